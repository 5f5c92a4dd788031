/* Random register accesses to every chip of the board, between clock advances, input and acknowledged
 * interrupts.
 *
 *     fuzz_chips [ACCESSES [DEVICE-INDEX [SEED]]]
 *
 * Proves for each device: no crash, leak or endless loop (run under ASan and UBSan); at random points
 * save, load, save gives equal bytes, and a second board loaded from the save answers the next accesses as
 * the first does; a save with damaged bytes may be loaded without harm. Left out: the second board's RAM,
 * which is copied. */
#include <inttypes.h>

#include "check.h"
#include "rig.h"

#include "core/state.h"
#include "dev/lapic.h"

#define CHECK_EVERY 250  /* accesses between two comparisons, on average */
#define TWIN_OPS 40      /* accesses both boards make after a comparison */
#define DAMAGE_OPS 40
#define DAMAGED_BYTES 8
#define MAX_LOG2_NS 36   /* longest step of the clock: a minute */
#define FUZZ_MEMORY (2 << 20)
#define FUZZ_CPUS 2
#define FUZZ_NIC (3 << 3)

static uint64_t seed = 1;

static uint64_t rnd(void)
{
    uint64_t z = seed += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static uint64_t below(uint64_t n) { return rnd() % n; }

/* Mostly small values, powers of two and their neighbours, sometimes anything. */
static uint64_t rnd_value(void)
{
    switch (below(4)) {
    case 0: return rnd();
    case 1: return below(256);
    case 2: return 1ull << below(64);
    default: return (1ull << below(64)) - 1;
    }
}

/* ---- one step, the same on any board ---- */

enum op_kind { OP_READ, OP_WRITE, OP_LAPIC, OP_MSR, OP_CLOCK, OP_DEADLINE, OP_EVENT, OP_ACK, OP_KINDS };

struct op {
    enum op_kind kind;
    unsigned dev;
    bool mmio, write;
    uint64_t address, value;
    unsigned size;
    struct inbox_msg msg;
};

static uint64_t apply_msr(struct dev *lapic, const struct op *op)
{
    uint32_t msr = (uint32_t)op->address;
    uint64_t value = op->value;
    int rc = op->write ? lapic_msr_write(lapic, msr, value) : lapic_msr_read(lapic, msr, &value);
    return rc ? UINT64_MAX : value;
}

static uint64_t apply_lapic(struct dev *lapic, const struct op *op)
{
    if (!op->write)
        return lapic_mmio_read(lapic, (uint32_t)op->address, op->size);
    lapic_mmio_write(lapic, (uint32_t)op->address, op->size, (uint32_t)op->value);
    return 0;
}

static uint64_t apply_read(struct board *b, const struct op *op)
{
    if (op->mmio)
        return bus_mmio_read(b, op->address, op->size);
    return bus_port_read(b, (uint16_t)op->address, op->size);
}

static void apply_write(struct board *b, const struct op *op)
{
    if (op->mmio)
        bus_mmio_write(b, op->address, op->size, op->value);
    else
        bus_port_write(b, (uint16_t)op->address, op->size, (uint32_t)op->value);
}

static uint64_t apply(struct board *b, const struct op *op)
{
    unsigned cpu = op->dev % FUZZ_CPUS;

    b->request = VMK_REQ_NONE;
    switch (op->kind) {
    case OP_READ: return apply_read(b, op);
    case OP_WRITE: apply_write(b, op); break;
    case OP_LAPIC: return apply_lapic(b->irq.lapic[cpu], op);
    case OP_MSR: return apply_msr(b->irq.lapic[cpu], op);
    case OP_CLOCK:
        clock_skip_to(&b->clock, board_now(b) + op->value);
        board_run_due(b);
        break;
    case OP_DEADLINE:
        if (b->deadline != UINT64_MAX && b->deadline - board_now(b) < 1ull << MAX_LOG2_NS)
            clock_skip_to(&b->clock, b->deadline);
        board_run_due(b);
        break;
    case OP_EVENT:
        inbox_post(&b->inbox, &op->msg);
        board_run_due(b);
        break;
    default: return irq_pending(b, cpu) ? (uint64_t)irq_ack(b, cpu) : UINT64_MAX;
    }
    return b->deadline;
}

/* ---- choosing steps ---- */

/* A random range that `dev` claims at the moment; false if it has none on either bus. */
static bool pick_range(const struct board *b, const struct dev *dev, struct bus_range *range, bool *mmio)
{
    unsigned seen = 0;

    for (unsigned i = 0; i < b->bus.nports + b->bus.nmmio; i++) {
        bool in_mmio = i >= b->bus.nports;
        const struct bus_range *r = in_mmio ? &b->bus.mmio[i - b->bus.nports] : &b->bus.ports[i];
        if (r->dev != dev || below(++seen) != 0)
            continue;
        *range = *r;
        *mmio = in_mmio;
    }
    return seen > 0;
}

static void pick_access(const struct board *b, const struct dev *dev, struct op *op)
{
    struct bus_range range = {0};

    op->write = below(2);
    if (!strcmp(dev->cls->name, "lapic")) {
        op->kind = below(3) ? OP_LAPIC : OP_MSR;
        op->dev = dev->instance;
        op->address = op->kind == OP_LAPIC ? below(0x400) & (below(8) ? ~15ull : ~0ull) : 0x800 + below(0x40);
        op->size = 4;
        if (op->kind == OP_MSR && !below(8))
            op->address = below(2) ? MSR_APIC_BASE : MSR_TSC_DEADLINE;
        return;
    }
    op->kind = op->write ? OP_WRITE : OP_READ;
    op->size = 1u << below(3);
    if (!pick_range(b, dev, &range, &op->mmio)) {
        op->address = below(65536);
        return;
    }
    uint64_t span = op->mmio && below(2) && range.size > 1024 ? 1024 : range.size;
    op->address = range.base + below(span);
    if (op->mmio && below(4))
        op->size = below(4) ? 4 : 8;
    if (op->mmio && below(8))
        op->address &= ~(uint64_t)(op->size - 1);
}

static void pick_event(const struct board *b, struct op *op)
{
    static const enum inbox_kind kinds[] = {INBOX_BYTES_IN, INBOX_KEY, INBOX_POWER_BUTTON};

    op->kind = OP_EVENT;
    op->msg = (struct inbox_msg){
        .kind = kinds[below(3)], .dev = (int32_t)below(b->ndevs), .len = (uint32_t)below(INBOX_BYTES + 1),
    };
    for (unsigned i = 0; i < op->msg.len; i++)
        op->msg.data[i] = (uint8_t)rnd();
    if (below(2)) /* to a device that listens */
        op->msg.dev = (int32_t)board_find((struct board *)b, below(2) ? "uart" : "i8042", 0)->index;
}

static struct op pick(const struct board *b, const struct dev *dev)
{
    struct op op = {.value = rnd_value(), .size = 1, .dev = (unsigned)below(FUZZ_CPUS)};
    uint64_t dice = below(64);

    if (dice < 2) {
        op.kind = OP_CLOCK;
        op.value = below(1ull << below(MAX_LOG2_NS + 1));
    } else if (dice < 6) {
        op.kind = OP_DEADLINE;
    } else if (dice < 8) {
        pick_event(b, &op);
    } else if (dice < 11) {
        op.kind = OP_ACK;
    } else {
        pick_access(b, dice < 16 ? &b->devs[below(b->ndevs)] : dev, &op);
    }
    return op;
}

/* ---- properties ---- */

/* The board under test and the one that is restored from its saves, with a buffer for each one's state. */
struct pair {
    struct board *board, *twin;
    uint8_t *state, *twin_state;
    size_t size;
};

static void config_write(struct board *b, unsigned devfn, unsigned reg, uint32_t value)
{
    bus_port_write(b, 0xcf8, 4, 0x80000000u | devfn << 8 | reg);
    bus_port_write(b, 0xcfc, 4, value);
}

/* With a NIC whose BARs are open. */
static struct board *fuzz_board(void)
{
    struct board *b = rig_create_as(&(struct vmk_config){
        .memory = FUZZ_MEMORY, .rtc_epoch = RIG_EPOCH, .cpus = FUZZ_CPUS, .time_mode = VMK_TIME_MANUAL,
        .debug_exit_port = 0xf4, .nics = 1, .nic = {{.mac = {2, 0, 0, 0, 0, 1}}},
    });
    config_write(b, FUZZ_NIC, 0x10, 0xf0000000);
    config_write(b, FUZZ_NIC, 0x20, 0xc000);
    config_write(b, FUZZ_NIC, 0x04, 7);
    return b;
}

static struct pair pair_create(void)
{
    struct pair p = {
        .board = fuzz_board(),
        .twin = fuzz_board(),
    };
    p.size = board_state_size(p.board);
    p.state = malloc(p.size);
    p.twin_state = malloc(p.size);
    return p;
}

static void pair_destroy(struct pair *p)
{
    free(p->state);
    free(p->twin_state);
    board_destroy(p->board);
    board_destroy(p->twin);
}

/* Where a device's payload lies in the saved board. */
static size_t payload_at(const struct board *b, unsigned index)
{
    size_t at = board_state_size(b);

    for (unsigned i = index; i < b->ndevs; i++)
        at -= state_size(b->devs[i].cls);
    return at + state_size(b->devs[index].cls) - b->devs[index].cls->size;
}

static void print_differences(const struct pair *p)
{
    for (unsigned i = 0; i < p->board->ndevs; i++) {
        const struct dev_class *cls = p->board->devs[i].cls;
        size_t at = payload_at(p->board, i);
        for (unsigned f = 0; f < cls->nfields; f++) {
            size_t field = at + cls->fields[f].offset, size = cls->fields[f].size * cls->fields[f].count;
            if (memcmp(p->state + field, p->twin_state + field, size))
                printf("    %s.%s\n", cls->name, cls->fields[f].name);
        }
    }
}

static bool same_state(struct pair *p, const char *when)
{
    board_state_save(p->board, p->state);
    board_state_save(p->twin, p->twin_state);
    bool same = !memcmp(p->state, p->twin_state, p->size);
    CHECK(same);
    if (!same) {
        printf("  states differ %s:\n", when);
        print_differences(p);
    }
    return same;
}

static bool same_answer(struct pair *p, const struct op *op)
{
    uint64_t x = apply(p->board, op), y = apply(p->twin, op);

    CHECK(x == y);
    if (x != y)
        printf("  kind %d at 0x%" PRIx64 " size %u: 0x%" PRIx64 ", restored board 0x%" PRIx64 "\n", op->kind,
               op->address, op->size, x, y);
    return x == y;
}

/* Loads the state into the twin, and compares the two over the next accesses. */
static bool check_twin(struct pair *p, const struct dev *dev)
{
    board_state_save(p->board, p->state);
    memcpy(p->twin->ram.host, p->board->ram.host, p->board->ram.size);
    CHECK_EQ(board_state_load(p->twin, p->state, p->size), VMK_OK);
    if (!same_state(p, "after loading"))
        return false;
    for (unsigned i = 0; i < TWIN_OPS; i++) {
        struct op op = pick(p->board, dev);
        if (!same_answer(p, &op))
            return false;
    }
    CHECK(!memcmp(p->board->ram.host, p->twin->ram.host, p->board->ram.size)); /* fw_cfg writes RAM */
    return same_state(p, "after equal accesses");
}

/* Damages bytes of this device's record and lets the twin run on it. What it answers does not matter. */
static void check_damage(struct pair *p, const struct dev *dev)
{
    size_t at = payload_at(p->twin, dev->index), size = dev->cls->size, front = size < 64 ? size : 64;

    if (!size)
        return;
    board_state_save(p->twin, p->twin_state);
    for (unsigned i = 0; i < DAMAGED_BYTES; i++)
        p->twin_state[at + below(below(2) ? size : front)] = (uint8_t)rnd();
    CHECK_EQ(board_state_load(p->twin, p->twin_state, p->size), VMK_OK);
    for (unsigned i = 0; i < DAMAGE_OPS; i++) {
        struct op op = pick(p->twin, &p->twin->devs[dev->index]);
        apply(p->twin, &op);
    }
}

static void forget_output(struct board *b)
{
    for (unsigned ch = 0; ch < VMK_CHANNELS; ch++)
        b->out[ch].len = 0;
}

static void fuzz(unsigned index, uint64_t accesses)
{
    struct pair p = pair_create();
    const struct dev *dev = &p.board->devs[index];
    uint64_t compared = 0;

    check_test = dev->cls->name;
    for (uint64_t i = 0; i < accesses; i++) {
        struct op op = pick(p.board, dev);
        apply(p.board, &op);
        if (below(CHECK_EVERY) && i + 1 < accesses)
            continue;
        compared++;
        if (!check_twin(&p, dev))
            break;
        check_damage(&p, dev);
        forget_output(p.board);
        forget_output(p.twin);
    }
    printf("%s: %" PRIu64 " accesses, %" PRIu64 " comparisons\n", dev->cls->name, accesses, compared);
    pair_destroy(&p);
}

int main(int argc, char **argv)
{
    uint64_t accesses = argc > 1 ? strtoull(argv[1], NULL, 0) : 20000;
    uint64_t first_seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
    struct board *probe = fuzz_board();
    unsigned devices = probe->ndevs;

    board_destroy(probe);
    for (unsigned i = 0; i < devices; i++) {
        if (argc > 2 && strtoul(argv[2], NULL, 0) != i)
            continue;
        seed = first_seed * 1000003 + i;
        fuzz(i, accesses);
    }
    return check_done();
}
