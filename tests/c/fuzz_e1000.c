/* Hostile rings: random descriptors, heads, tails, contexts and frames against one 8254x.
 *
 * fuzz_e1000 [STEPS [SEED]]
 *
 * Proves: no crash, no access outside guest memory, no endless loop (run under ASan and UBSan); every
 * frame that leaves has a legal length; no step does more work than the time it is modelled to take
 * allows; a restored board goes on as the saved one does. */
#include <inttypes.h>

#include "check.h"
#include "e1000_rig.h"

#define COMPARE_EVERY 1000
#define TWIN_STEPS 50
#define MOST_FRAMES_A_STEP 70000u /* one packet in segments of a byte */

static uint64_t seed;

static uint64_t rnd(void)
{
    uint64_t z = seed += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static uint64_t below(uint64_t n) { return rnd() % n; }

static struct log { uint64_t frames, bytes; bool bad; } sent;

static void fuzz_send(void *ctx, const uint8_t *frame, size_t len, uint64_t now)
{
    struct log *log = ctx;
    (void)now;
    log->frames++;
    log->bytes += len + frame[len - 1];
    log->bad |= len < 14 || len > NET_FRAME_MAX;
}

static const struct net_peer fuzz_peer = {.send = fuzz_send, .ctx = &sent};

/* Mostly memory, now and then a ring, a chip, an edge or nonsense. */
static uint64_t address(void)
{
    static const uint64_t odd[] = {
        0, TX_RING, RX_RING, NIC_BAR + TDT, 0xa0000, (16 << 20) - 7, 0xfee00000, UINT64_MAX - 5, 1ull << 32,
    };
    return below(8) ? TX_DATA + below(1 << 20) : odd[below(9)];
}

static uint32_t length(void)
{
    switch (below(4)) {
    case 0: return (uint32_t)below(64);
    case 1: return (uint32_t)below(2048);
    case 2: return (uint32_t)below(0x10000);
    default: return below(8) ? (uint32_t)below(300) : (uint32_t)below(0x100000);
    }
}

struct step {
    unsigned kind, index;
    uint64_t a, b;
    uint32_t offset, value;
};

enum { PUT_TX, PUT_RX, TAIL, REGISTER, FRAME, CLOCK, READ, CONFIG, KINDS };

/* Dwords 2 and 3 of a descriptor of any kind, biased to what does something. */
static uint64_t tx_words(void)
{
    enum { DATA = TXD_DEXT | TXD_DTYP_DATA };
    static const uint32_t kinds[] = {0, TXD_DEXT, DATA, DATA, 7 << 20};
    uint32_t header = (uint32_t)(below(2) ? 54 : below(256));
    uint32_t mss = (uint32_t)(below(16) ? 200 + below(9000) : below(70000));
    uint32_t command = kinds[below(5)] | length() | ((uint32_t)rnd() & 0xdf000000u);
    uint32_t status = (uint32_t)rnd();
    if (below(2))
        command |= TXD_IC_OR_TSE;
    if ((command & TXD_DEXT) && !(command & TXD_DTYP)) /* a context with a plausible header and MSS */
        status = header << 8 | mss << 16;
    return command | (uint64_t)status << 32;
}

static uint32_t any_register(void)
{
    static const uint32_t often[] = {
        RCTL, TCTL, TDH, TDT, TDLEN, TDBAL, TDBAH, RDH, RDT, RDLEN, RDBAL, RDBAH, CTRL, ICR, ICS, IMS, IMC,
        ITR, RDTR, RADV, TIDV, TADV, MDIC, EECD, EERD, VET, RXCSUM, MTA, RAH0, PBA,
    };
    return below(4) ? often[below(sizeof(often) / sizeof(often[0]))] : (uint32_t)below(0x6000) & ~3u;
}

static uint32_t any_value(uint32_t offset)
{
    if ((offset == RDBAH || offset == TDBAH) && below(8))
        return 0;
    if (offset == RDBAL || offset == TDBAL)
        return below(4) ? (offset == TDBAL ? TX_RING : RX_RING) : (uint32_t)address();
    if (offset == RDLEN || offset == TDLEN)
        return (uint32_t)(below(4) ? RING * 16 : rnd());
    if (offset == TCTL || offset == RCTL)
        return (uint32_t)rnd() | (below(4) ? 2 : 0);
    return below(2) ? (uint32_t)below(2 * RING) : (uint32_t)rnd();
}

static struct step pick(void)
{
    static const uint8_t weights[] = {
        PUT_TX, PUT_TX, PUT_TX, PUT_RX, TAIL, TAIL, REGISTER, FRAME, CLOCK, READ,
    };
    struct step s = {.kind = weights[below(10)], .index = (unsigned)below(RING)};
    s.a = address();
    s.b = tx_words();
    s.offset = any_register();
    s.value = any_value(s.offset);
    if (!below(500))
        s.kind = CONFIG;
    return s;
}

/* One tail in two is a plausible one on a ring that was set up anew. */
static void apply_tail(const struct step *s)
{
    if (s->b & 1) {
        set(TDBAL, TX_RING), set(TDBAH, 0), set(TDLEN, RING * 16), set(TCTL, TCTL_EN | TCTL_PSP);
        set(TDH, s->index), set(TDT, (s->index + 1 + (s->value & 7)) % RING);
    } else {
        set(RDBAL, RX_RING), set(RDBAH, 0), set(RDLEN, RING * 16);
        set(RCTL, (s->value & 0x0f0fff38) | RCTL_EN), set(RDH, s->index), set(RDT, (s->index + 9) % RING);
    }
}

static void apply_frame(const struct step *s)
{
    uint8_t frame[NET_FRAME_MAX];
    size_t len = 14 + s->a % (s->b & 7 ? 1500 : NET_FRAME_MAX - 14);
    for (size_t i = 0; i < len; i++)
        frame[i] = (uint8_t)(s->a >> (i % 8 * 8));
    if (s->b & 8)
        memcpy(frame, nic_mac, 6);
    if (s->b & 16)
        memcpy(frame + 12, "\x08\0\x45", 3);
    (void)net_deliver(port(), frame, len, s->b & 32 ? 0 : board_now(rig) + s->value % MS);
    board_run_due(rig);
}

static uint64_t apply(const struct step *s)
{
    uint64_t got = 0;
    switch (s->kind) {
    case PUT_TX: ram_write(rig, TX_RING + s->index * 16, (uint64_t[]){s->a, s->b}, 16); break;
    case PUT_RX: ram_write(rig, RX_RING + s->index * 16, &s->a, 8); break;
    case TAIL: apply_tail(s); break;
    case REGISTER: set(s->offset, s->value); break;
    case FRAME: apply_frame(s); break;
    case CLOCK: rig_advance(s->value % (10 * MS)); break;
    case READ: got = reg(s->offset); break;
    default: pci_write(NIC, 4, 2, s->value & 1 ? 7 : 3), pci_write(NIC, 0xf2, 2, s->value >> 1 & 1); break;
    }
    return got + sent.frames + sent.bytes + reg(TDH) + reg(RDH);
}

static struct board *begin(void)
{
    struct board *b = nic_board(VMK_NIC_E82545EM);
    net_plug(net_port_of(b, 0), &fuzz_peer);
    return b;
}

/* The same steps on the board and on one that took over its state and memory. Frames under way are not
 * part of a state, so there are none. */
static void compare(uint8_t *bytes, size_t size)
{
    struct step steps[TWIN_STEPS];
    uint64_t want[TWIN_STEPS];
    struct log before;
    rig_advance(SECOND), set(RDT, reg(RDT)), set(CTRL, CTRL_RST), rig_advance(SECOND);
    board_state_save(rig, bytes);
    struct board *twin = begin(), *first = rig;
    memcpy(twin->ram.host, rig->ram.host, rig->ram.size);
    before = sent;
    for (unsigned i = 0; i < TWIN_STEPS; i++) {
        steps[i] = pick();
        want[i] = apply(&steps[i]);
    }
    rig = twin;
    CHECK_EQ(board_state_load(rig, bytes, size), VMK_OK);
    sent = before;
    for (unsigned i = 0; i < TWIN_STEPS; i++)
        CHECK_EQ(apply(&steps[i]), want[i]);
    rig = first;
    board_destroy(twin);
}

int main(int argc, char **argv)
{
    uint64_t steps = argc > 1 ? strtoull(argv[1], NULL, 0) : 20000;
    seed = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    rig = begin();
    rig_advance(20 * MS), nic_open_bars();
    size_t size = board_state_size(rig);
    uint8_t *bytes = malloc(size);
    check_test = "fuzz_e1000";
    for (uint64_t i = 0; i < steps && !check_failed; i++) {
        struct step s = pick();
        uint64_t before = sent.frames;
        apply(&s);
        CHECK(!sent.bad);
        CHECK(s.kind == CLOCK || sent.frames - before < MOST_FRAMES_A_STEP);
        if (!below(COMPARE_EVERY))
            compare(bytes, size);
    }
    printf("%" PRIu64 " steps, %" PRIu64 " frames sent\n", steps, sent.frames);
    free(bytes);
    rig_end();
    return check_done();
}
