/* Hostile drivers against the LSI adapter: random registers, messages, lists, SCSI commands, disks that
 * come and go.
 *     fuzz_lsi [STEPS [SEED]]
 *
 * Proves under ASan and UBSan: no crash, leak or endless loop; a second board that is restored from the
 * first one's state, memory and disks answers alike, with commands in flight; damaged states may be
 * loaded. */
#include <inttypes.h>

#include "check.h"
#include "lsi_rig.h"

#include "core/state.h"
#include "dev/lsi_private.h"

#define DISK_BYTES (1u << 20)
#define CD_BYTES (512u << 10)
#define PLACES 4
#define TWIN_STEPS 60
#define DAMAGE_STEPS 30
#define CHECK_EVERY 400

static uint64_t seed;

static uint64_t rnd(void)
{
    uint64_t z = seed += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static uint64_t below(uint64_t n) { return rnd() % n; }
static bool one_in(unsigned n) { return below(n) == 0; }

static uint32_t rnd_value(void)
{
    switch (below(4)) {
    case 0: return (uint32_t)rnd();
    case 1: return (uint32_t)below(256);
    case 2: return 1u << below(32);
    default: return (1u << below(32)) - 1;
    }
}

/* ---- steps, alike on any board ---- */

#define AREAS 64u
#define AREA_BYTES 0x20000u
#define AREA(n) (DATA + AREA_BYTES * (n)) /* one more for messages */
#define LIST(n) (CHAIN + 128 * (n))

enum step_kind { STEP_READ, STEP_WRITE, STEP_FRAME, STEP_HANDSHAKE, STEP_CLOCK, STEP_UP, STEP_CONFIG };

struct step {
    enum step_kind kind;
    uint32_t address, value;
    uint64_t ns;
    uint32_t area; /* of memory: commands in flight share none, as no sane driver's do */
    uint32_t words[64];
    uint8_t frame[128], list[128], data[64];
};

static const struct place {
    unsigned target, lun;
    uint32_t kind;
    uint64_t size;
} places[PLACES] = {
    {0, 0, VMK_DISK_DISK, DISK_BYTES}, {0, 1, VMK_DISK_DISK, DISK_BYTES},
    {3, 2, VMK_DISK_DISK, DISK_BYTES}, {5, 0, VMK_DISK_CDROM, CD_BYTES},
};

static uint64_t apply(struct board *b, const struct step *s)
{
    rig = b;
    adapter = board_find(b, "lsilogic", 0);
    b->request = VMK_REQ_NONE;
    switch (s->kind) {
    case STEP_READ: return bus_mmio_read(b, LSI_BASE + s->address, s->value);
    case STEP_WRITE: w32(s->address, s->value); break;
    case STEP_FRAME:
        ram_write(b, FRAME, s->frame, sizeof(s->frame));
        ram_write(b, LIST(s->area), s->list, sizeof(s->list));
        ram_write(b, AREA(s->area), s->data, sizeof(s->data));
        w32(s->address, FRAME);
        break;
    case STEP_HANDSHAKE:
        w32(0, 0x42000000 | s->value << 16);
        for (unsigned i = 0; i < s->value; i++)
            w32(0, s->words[i % 64]);
        break;
    case STEP_CLOCK: rig_advance(s->ns); break;
    case STEP_CONFIG: config_write(0x10, s->address, s->value); break;
    case STEP_UP:
        lsi_pci_on(0);
        lsi_up();
        break;
    }
    return b->deadline ^ (uint64_t)r32(0x00) << 32 ^ r32(0x30);
}

/* ---- choosing them ---- */

static const uint8_t opcodes[] = {
    0x00, 0x03, 0x08, 0x0a, 0x12, 0x15, 0x16, 0x1a, 0x1b, 0x1e, 0x25, 0x28, 0x2a, 0x2b, 0x2e, 0x2f,
    0x35, 0x37, 0x3b, 0x3c, 0x41, 0x42, 0x43, 0x46, 0x4a, 0x51, 0x52, 0x55, 0x5a, 0x5e, 0x5f, 0x88,
    0x89, 0x8a, 0x8e, 0x8f, 0x91, 0x93, 0x9e, 0xa0, 0xa8, 0xaa, 0xad, 0xae, 0xbb, 0xbd, 0xbe,
};

static void pick_cdb(uint8_t *cdb)
{
    static const uint8_t vpd[] = {0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2};
    memset(cdb, 0, 16);
    cdb[0] = one_in(16) ? (uint8_t)rnd() : opcodes[below(sizeof(opcodes))];
    for (unsigned i = 1; i < 16; i++)
        cdb[i] = one_in(8) ? (uint8_t)rnd() : 0;
    unsigned group = cdb[0] >> 5, at = group == 5 ? 9 : group == 4 ? 13 : group ? 8 : 4;
    cdb[at] = (uint8_t)(one_in(4) ? rnd() : one_in(4) ? 24 : below(9)); /* fits now and then */
    if (cdb[0] == 0x12 && one_in(2)) {
        cdb[1] = 1;
        cdb[2] = vpd[below(sizeof(vpd))];
    }
    if (group && one_in(2))
        cdb[group == 4 ? 9 : 5] = (uint8_t)below(16);
}

static uint32_t pick_length(void)
{
    static const uint32_t usual[] = {0, 4, 8, 18, 24, 36, 96, 255, 512, 1024, 2048, 4096, 8192, 65536};
    return one_in(16) ? 0x1000000 | rnd_value() : usual[below(sizeof(usual) / sizeof(usual[0]))];
}

/* A byte of a list: of an address only the highest, which leads out of memory and not into another's area. */
static unsigned breakable(void)
{
    unsigned i = (unsigned)below(64);
    return i % 8 > 3 ? i | 3 : i;
}

static void pick_list(struct step *s, uint32_t length)
{
    uint8_t *sgl = s->frame + 0x30;
    uint32_t words[] = {0xd1000000 | (length & 0xffffff), AREA(s->area)};
    memcpy(sgl, words, sizeof(words));
    if (one_in(4)) { /* a piece, then a chain */
        uint32_t first = length / 2 & ~7u;
        uint32_t here[] = {0x90000000 | first, AREA(s->area), 0x30000000 | 8u, LIST(s->area)};
        uint32_t there[] = {0xd1000000 | (length - first), AREA(s->area) + 0x10000};
        s->frame[2] = 0x38 / 4;
        memcpy(sgl, here, sizeof(here));
        memcpy(s->list, there, sizeof(there));
    }
    for (unsigned i = 0; one_in(6) && i < 4; i++)
        sgl[breakable()] ^= (uint8_t)(1 << below(8));
    for (unsigned i = 0; one_in(6) && i < 4; i++)
        s->list[breakable()] ^= (uint8_t)(1 << below(8));
}

static bool in_flight(uint32_t context)
{
    const struct lsi *l = board_find(rig, "lsilogic", 0)->state;
    for (unsigned i = 0; i < LSI_SLOTS; i++)
        if (l->slot[i].used && get32(l->slot[i].frame + 8) == context)
            return true;
    return false;
}

static void pick_io(struct step *s)
{
    const struct place *p = &places[below(PLACES)];
    uint32_t length = pick_length(), context = (uint32_t)below(AREAS), sense = SENSE;
    if (in_flight(context)) {
        s->kind = STEP_CLOCK;
        s->ns = 100000;
        return;
    }
    s->area = context;
    s->frame[0] = one_in(20) ? (uint8_t)rnd() : (uint8_t)p->target;
    s->frame[1] = one_in(40);
    s->frame[5] = one_in(10) ? (uint8_t)rnd() : 18;
    memcpy(s->frame + 8, &context, 4);
    s->frame[0x0d] = one_in(20) ? (uint8_t)rnd() : (uint8_t)p->lun;
    s->frame[0x17] = (uint8_t)below(one_in(10) ? 4 : 3);
    pick_cdb(s->frame + 0x18);
    memcpy(s->frame + 0x28, &length, 4);
    memcpy(s->frame + 0x2c, &sense, 4);
    pick_list(s, length);
    for (unsigned i = 0; i < sizeof(s->data); i++)
        s->data[i] = one_in(3) ? (uint8_t)rnd() : 0;
}

static void pick_message(struct step *s)
{
    static const uint8_t types[] = {0, 1, 3, 4, 9, 0x0f, 0x0f};
    for (unsigned i = 0; i < 0x20; i++)
        s->frame[i] = one_in(3) ? (uint8_t)below(20) : 0;
    s->frame[3] = one_in(3) ? 1 : one_in(2) ? 4 : (uint8_t)below(12);
    if (s->frame[3] == 4) { /* a configuration page */
        s->frame[0] = (uint8_t)below(8);
        s->frame[6] = (uint8_t)(0x10 + below(6));
        s->frame[0x16] = (uint8_t)below(4);
        s->frame[0x17] = types[below(sizeof(types))];
        s->frame[0x1b] = (uint8_t)(below(4) << 4);
    }
    uint32_t word = 0xd1000000 | (uint32_t)below(80), where = AREA(AREAS);
    s->area = AREAS;
    memcpy(s->frame + 0x1c, &word, 4);
    memcpy(s->frame + 0x20, &where, 4);
}

static struct step pick(struct board *b)
{
    rig = b; /* whose commands in flight count */
    struct step s = {.kind = STEP_FRAME, .address = 0x40};
    unsigned dice = (unsigned)below(100);
    if (dice < 45) {
        pick_io(&s);
    } else if (dice < 52) {
        pick_message(&s);
    } else if (dice < 70) {
        s.kind = STEP_READ;
        s.address = one_in(3) ? 0x44 : (uint32_t)below(0x60) & ~(one_in(20) ? 0u : 3u);
        s.value = one_in(20) ? 1u << below(4) : 4;
        s.address &= ~(s.value - 1);
    } else if (dice < 75) {
        s.kind = STEP_WRITE;
        s.address = one_in(2) ? 0x44 : (uint32_t)below(0x18) * 4;
        s.value = s.address == 0x44 ? REPLIES + 128 * (uint32_t)below(REPLY_COUNT) : rnd_value();
    } else if (dice < 80) {
        s.kind = STEP_HANDSHAKE;
        s.value = (uint32_t)below(one_in(4) ? 256 : 14);
        for (unsigned i = 0; i < 64; i++)
            s.words[i] = one_in(2) ? rnd_value() : 0;
        s.words[0] = (uint32_t)below(10) << 24 | (uint32_t)below(8);
    } else if (dice < 96) {
        s.kind = STEP_CLOCK;
        s.ns = below(1ull << below(22));
    } else if (dice < 97) {
        s.kind = STEP_CONFIG;
        s.address = one_in(2) ? 4 : 0x98 + 4 * (uint32_t)below(4);
        s.value = s.address == 4 ? (uint32_t)below(8) : rnd_value();
    } else {
        s.kind = STEP_UP;
    }
    return s;
}

/* ---- boards ---- */

struct bench {
    struct board *board, *twin;
    uint8_t *state, *other;
    size_t size;
    bool plugged[PLACES];
};

static struct blk *disk_of(struct board *b, unsigned i)
{
    return lsilogic_disk(board_find(b, "lsilogic", 0), places[i].target, places[i].lun);
}

static void plug(struct bench *t, unsigned i, bool in)
{
    struct board *const boards[] = {t->board, t->twin};
    for (unsigned n = 0; n < 2; n++) {
        rig = boards[n];
        adapter = board_find(rig, "lsilogic", 0);
        if (in)
            attach(places[i].target, places[i].lun, places[i].size, places[i].kind, false);
        else
            lsilogic_detach(adapter, places[i].target, places[i].lun);
    }
    t->plugged[i] = in;
}

static struct board *make_board(uint32_t model)
{
    lsi_begin_as(model);
    return rig;
}

static void settle(struct bench *t, unsigned i, bool copy)
{
    struct blk *a = disk_of(t->board, i), *b = disk_of(t->twin, i);
    blk_quiesce(a);
    blk_quiesce(b);
    if (copy)
        memcpy(blk_info(b)->ctx, blk_info(a)->ctx, places[i].size);
    CHECK(!memcmp(blk_info(a)->ctx, blk_info(b)->ctx, places[i].size));
}

static bool same_state(struct bench *t)
{
    const struct dev_class *cls = board_find(t->board, "lsilogic", 0)->cls;
    size_t at = t->size - cls->size;
    board_state_save(t->board, t->state);
    board_state_save(t->twin, t->other);
    for (unsigned i = 0; i < cls->nfields; i++) {
        const struct state_field *f = &cls->fields[i];
        for (size_t n = f->offset; n < f->offset + (size_t)f->size * f->count; n++)
            if (t->state[at + n] != t->other[at + n]) {
                printf("  %s differs from byte %zu on\n", f->name, n - f->offset);
                break;
            }
    }
    return !memcmp(t->state, t->other, t->size);
}

/* Are a unit's reads and writes in flight together? What such a read finds is the device's choice, and a
 * restored one, which reads again, may choose otherwise. */
static bool reads_race_writes(struct board *b)
{
    const struct lsi *l = board_find(b, "lsilogic", 0)->state;
    unsigned all[LSI_TARGETS * LSI_LUNS] = {0};
    bool reads[LSI_TARGETS * LSI_LUNS] = {false}, writes[LSI_TARGETS * LSI_LUNS] = {false};
    for (unsigned i = 0; i < LSI_SLOTS; i++) {
        const uint8_t *frame = l->slot[i].frame;
        unsigned unit = frame[0] % LSI_TARGETS * LSI_LUNS + frame[0x0d] % LSI_LUNS, op = frame[0x18];
        if (!l->slot[i].used)
            continue;
        all[unit]++;
        reads[unit] |= !scsi_sends_data(frame + 0x18) || op == 0x89 || (op & 0x1f) == 0x0f;
        writes[unit] |= scsi_sends_data(frame + 0x18);
    }
    for (unsigned unit = 0; unit < LSI_TARGETS * LSI_LUNS; unit++)
        if (all[unit] > 1 && reads[unit] && writes[unit])
            return true;
    return false;
}

static bool check_twin(struct bench *t)
{
    bool same = true;
    rig = t->board;
    if (reads_race_writes(t->board))
        rig_advance(SECOND);
    for (unsigned i = 0; i < PLACES; i++)
        if (t->plugged[i])
            settle(t, i, true);
    board_state_save(t->board, t->state);
    memcpy(t->twin->ram.host, t->board->ram.host, t->board->ram.size);
    CHECK_EQ(board_state_load(t->twin, t->state, t->size), VMK_OK);
    CHECK(same = same_state(t));
    for (unsigned i = 0; i < TWIN_STEPS && same; i++) {
        struct step s = pick(t->board);
        uint64_t x = apply(t->board, &s), y = apply(t->twin, &s);
        CHECK(same = x == y);
        if (!same)
            printf("  step %u of kind %d at 0x%x: 0x%" PRIx64 " and 0x%" PRIx64 "\n", i, s.kind, s.address, x,
                   y);
    }
    CHECK(same = same && same_state(t));
    CHECK(!memcmp(t->board->ram.host, t->twin->ram.host, t->board->ram.size));
    for (unsigned i = 0; i < PLACES; i++)
        if (t->plugged[i])
            settle(t, i, false);
    return same;
}

/* The adapter's record is the last of the board's. */
static void check_damage(struct bench *t)
{
    size_t bytes = board_find(t->board, "lsilogic", 0)->cls->size, front = 800;
    board_state_save(t->board, t->other);
    for (unsigned i = 0; i < 12; i++)
        t->other[t->size - bytes + below(one_in(2) ? front : bytes)] = (uint8_t)rnd();
    CHECK_EQ(board_state_load(t->twin, t->other, t->size), VMK_OK);
    for (unsigned i = 0; i < DAMAGE_STEPS; i++) {
        struct step s = pick(t->twin);
        apply(t->twin, &s);
    }
}

static void fuzz(uint32_t model, uint64_t steps)
{
    struct bench t = {.board = make_board(model), .twin = make_board(model)};
    uint64_t checks = 0;
    t.size = board_state_size(t.board);
    t.state = malloc(t.size);
    t.other = malloc(t.size);
    for (unsigned i = 0; i < PLACES; i++)
        plug(&t, i, true);
    for (uint64_t n = 0; n < steps; n++) {
        struct step s = pick(t.board);
        if (one_in(2000)) {
            unsigned i = (unsigned)below(PLACES);
            plug(&t, i, !t.plugged[i]);
        }
        apply(t.board, &s);
        if (!one_in(CHECK_EVERY))
            continue;
        checks++;
        if (!check_twin(&t))
            break;
        check_damage(&t);
    }
    printf("model %u: %" PRIu64 " steps, %" PRIu64 " comparisons\n", model, steps, checks);
    board_destroy(t.board);
    board_destroy(t.twin);
    free(t.state);
    free(t.other);
}

int main(int argc, char **argv)
{
    uint64_t steps = argc > 1 ? strtoull(argv[1], NULL, 0) : 20000;
    check_test = "fuzz_lsi";
    for (uint32_t model = VMK_SCSI_LSI53C1030; model <= VMK_SCSI_SAS1068; model++) {
        seed = (argc > 2 ? strtoull(argv[2], NULL, 0) : 1) * 1000003 + model;
        fuzz(model, steps);
    }
    return check_done();
}
