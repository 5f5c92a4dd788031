/* The i8042 keyboard controller at 0x60 and 0x64 with one PS/2 keyboard and nothing on its auxiliary port.
 *
 * Follows the IBM PC/AT and PS/2 technical references. The keyboard speaks scan code set 2 (or 1 on demand);
 * keys arrive from outside in set 1, are turned into what the keyboard would send, and the controller
 * translates back while CTR.XLATE is on. Controller replies and the keyboard's answers pass before typed
 * keys; a key byte follows the last read by KEY_GAP_NS at the earliest, so that reading 0x60 twice for one
 * interrupt sees one byte twice, as on a real machine.
 *
 * A byte for the absent mouse is answered like a controller does whose device never clocks: FE with the
 * time-out bit, which drivers take as "no mouse" without waiting. The chip powers up as firmware leaves it
 * (translating, interrupt on, keyboard scanning), for guests that boot without one.
 *
 * Left out: scan code set 3 (refused with FE), typematic repeat, parity errors, the password and RAM
 * commands. */
#include <string.h>

#include "core/board.h"
#include "dev/i8042_regs.h"
#include "dev/port8.h"
#include "dev/scancodes.h"
#include "dev/sysctl.h"

#define KEY_GAP_NS 20000
#define KEYS_SIZE 1024
#define REPLY_SIZE 16

enum { REGION_DATA, REGION_COMMAND };

struct i8042 {
    uint64_t next_key_at;    /* VM ns before which the keyboard sends no key */
    uint16_t keys_head, keys_len;
    uint8_t ctr;
    uint8_t command;         /* controller command that waits for its data byte, 0 = none */
    uint8_t data;            /* output buffer */
    uint8_t data_status;     /* its bits in the status register; OBF among them */
    uint8_t last_was_command;
    uint8_t kbd_command;     /* keyboard command that waits for its argument, 0 = none */
    uint8_t kbd_set;
    uint8_t kbd_scanning;
    uint8_t kbd_last;        /* last answer, for resend */
    uint8_t break_seen;      /* the translator has swallowed a break prefix */
    uint8_t reply_len;
    uint8_t reserved;
    uint8_t reply[REPLY_SIZE];
    uint8_t reply_status[REPLY_SIZE];
    uint8_t keys[KEYS_SIZE]; /* bytes in the keyboard, in its own scan code set */
};

static const struct state_field i8042_fields[] = {
    FIELD(struct i8042, next_key_at, uint64_t),     FIELD(struct i8042, keys_head, uint16_t),
    FIELD(struct i8042, keys_len, uint16_t),        FIELD(struct i8042, ctr, uint8_t),
    FIELD(struct i8042, command, uint8_t),          FIELD(struct i8042, data, uint8_t),
    FIELD(struct i8042, data_status, uint8_t),      FIELD(struct i8042, last_was_command, uint8_t),
    FIELD(struct i8042, kbd_command, uint8_t),      FIELD(struct i8042, kbd_set, uint8_t),
    FIELD(struct i8042, kbd_scanning, uint8_t),     FIELD(struct i8042, kbd_last, uint8_t),
    FIELD(struct i8042, break_seen, uint8_t),       FIELD(struct i8042, reply_len, uint8_t),
    FIELD(struct i8042, reserved, uint8_t),         FIELD(struct i8042, reply, uint8_t),
    FIELD(struct i8042, reply_status, uint8_t),     FIELD(struct i8042, keys, uint8_t),
};

/* ---- queues ---- */

/* Beyond the queue a reply is lost: only a guest that never reads gets there. */
static void reply(struct i8042 *k, uint8_t byte, uint8_t status)
{
    if (k->reply_len == REPLY_SIZE)
        return;
    k->reply[k->reply_len] = byte;
    k->reply_status[k->reply_len++] = status;
}

static void take_reply(struct i8042 *k)
{
    k->data = k->reply[0];
    k->data_status = STATUS_OBF | k->reply_status[0];
    k->reply_len--;
    memmove(k->reply, k->reply + 1, k->reply_len);
    memmove(k->reply_status, k->reply_status + 1, k->reply_len);
}

static bool key_waits(const struct i8042 *k)
{
    return !(k->data_status & STATUS_OBF) && !k->reply_len && k->keys_len && !(k->ctr & CTR_KBDDIS);
}

static uint8_t translate(struct i8042 *k, uint8_t byte)
{
    uint8_t released = k->break_seen ? SET1_BREAK : 0;

    k->break_seen = 0;
    return scancode_to_set1(byte) | released;
}

static void take_key(struct i8042 *k)
{
    while (k->keys_len) {
        uint8_t byte = k->keys[k->keys_head];

        k->keys_head = (uint16_t)((k->keys_head + 1) % KEYS_SIZE);
        k->keys_len--;
        if ((k->ctr & CTR_XLATE) && byte == SET2_BREAK) {
            k->break_seen = 1;
            continue;
        }
        k->data = k->ctr & CTR_XLATE ? translate(k, byte) : byte;
        k->data_status = STATUS_OBF;
        return;
    }
}

/* Fills an empty output buffer. */
static void feed(struct i8042 *k, uint64_t now)
{
    if (!(k->data_status & STATUS_OBF) && k->reply_len)
        take_reply(k);
    else if (key_waits(k) && now >= k->next_key_at)
        take_key(k);
}

/* ---- keyboard ---- */

static void answer(struct i8042 *k, uint8_t byte)
{
    k->kbd_last = byte;
    reply(k, k->ctr & CTR_XLATE ? scancode_to_set1(byte) : byte, 0);
}

static void keyboard_defaults(struct i8042 *k)
{
    k->kbd_set = 2;
    k->keys_head = k->keys_len = 0;
    k->break_seen = 0;
}

static void scan_set_argument(struct i8042 *k, uint8_t set)
{
    answer(k, set <= 2 ? KBD_ACK : KBD_RESEND);
    if (set == 0)
        answer(k, k->kbd_set);
    else if (set <= 2)
        k->kbd_set = set;
}

static void keyboard_argument(struct i8042 *k, uint8_t value)
{
    if (k->kbd_command == KBD_SCAN_SET)
        scan_set_argument(k, value);
    else
        answer(k, KBD_ACK); /* LEDs and repeat rate */
    k->kbd_command = 0;
}

static void keyboard_command(struct i8042 *k, uint8_t value)
{
    k->kbd_command = 0;
    switch (value) {
    case KBD_SET_LEDS:
    case KBD_SCAN_SET:
    case KBD_TYPEMATIC:
        k->kbd_command = value;
        answer(k, KBD_ACK);
        break;
    case KBD_ECHO:
        answer(k, KBD_ECHO);
        break;
    case KBD_IDENTIFY:
        answer(k, KBD_ACK);
        answer(k, 0xab);
        answer(k, 0x83);
        break;
    case KBD_ENABLE:
    case KBD_DISABLE:
    case KBD_DEFAULTS:
        if (value != KBD_ENABLE)
            keyboard_defaults(k);
        k->kbd_scanning = value == KBD_DEFAULTS ? k->kbd_scanning : value == KBD_ENABLE;
        answer(k, KBD_ACK);
        break;
    case KBD_RESEND:
        answer(k, k->kbd_last);
        break;
    case KBD_RESET:
        keyboard_defaults(k);
        k->kbd_scanning = 1;
        answer(k, KBD_ACK);
        answer(k, KBD_SELF_TEST_OK);
        break;
    default:
        answer(k, KBD_RESEND);
    }
}

static void keyboard_write(struct i8042 *k, uint8_t value)
{
    k->ctr &= (uint8_t)~CTR_KBDDIS; /* sending to the keyboard releases its clock */
    if (k->kbd_command && value < 0x80)
        keyboard_argument(k, value);
    else
        keyboard_command(k, value);
}

/* One set 1 byte as the keyboard sends it: 0 to 2 bytes into `out`. */
static unsigned key_bytes(const struct i8042 *k, uint8_t set1, uint8_t *out)
{
    unsigned n = 0;

    if (k->kbd_set == 1 || set1 == 0xe0 || set1 == 0xe1) {
        out[n++] = set1;
    } else if (scancode_to_set2(set1)) {
        if (set1 & SET1_BREAK)
            out[n++] = SET2_BREAK;
        out[n++] = scancode_to_set2(set1);
    }
    return n;
}

/* All bytes of one message or none: half a key would be held down for ever. */
static void type_keys(struct i8042 *k, const uint8_t *set1, unsigned n)
{
    uint8_t bytes[2 * INBOX_BYTES];
    unsigned len = 0;

    for (unsigned i = 0; i < n; i++)
        len += key_bytes(k, set1[i], bytes + len);
    if (!k->kbd_scanning || len > (unsigned)KEYS_SIZE - k->keys_len)
        return;
    for (unsigned i = 0; i < len; i++)
        k->keys[(k->keys_head + k->keys_len++) % KEYS_SIZE] = bytes[i];
}

/* ---- controller ---- */

static uint8_t read_output_port(const struct dev *d)
{
    const struct i8042 *k = d->state;
    uint8_t value = OUT_NOT_RESET | OUT_UNUSED | (sysctl_a20(d->board) ? OUT_A20 : 0);

    if (k->data_status & STATUS_OBF)
        value |= k->data_status & STATUS_AUX ? OUT_AUX_OBF : OUT_OBF;
    return value;
}

static void write_output_port(struct dev *d, uint8_t value)
{
    sysctl_set_a20(d->board, value & OUT_A20);
    if (!(value & OUT_NOT_RESET))
        board_request(d->board, VMK_REQ_RESET, 0);
}

static void controller_command(struct dev *d, uint8_t value)
{
    struct i8042 *k = d->state;

    k->command = 0;
    switch (value) {
    case CMD_WRITE_CTR:
    case CMD_WRITE_OUTPUT:
    case CMD_WRITE_OBF:
    case CMD_WRITE_AUX_OBF:
    case CMD_WRITE_AUX: k->command = value; break;
    case CMD_READ_CTR: reply(k, k->ctr, 0); break;
    case CMD_AUX_DISABLE: k->ctr |= CTR_AUXDIS; break;
    case CMD_AUX_ENABLE: k->ctr &= (uint8_t)~CTR_AUXDIS; break;
    case CMD_AUX_TEST: reply(k, 0x00, 0); break;
    case CMD_SELF_TEST:
        k->ctr |= CTR_SYS;
        reply(k, 0x55, 0);
        break;
    case CMD_KBD_TEST: reply(k, 0x00, 0); break;
    case CMD_KBD_DISABLE: k->ctr |= CTR_KBDDIS; break;
    case CMD_KBD_ENABLE: k->ctr &= (uint8_t)~CTR_KBDDIS; break;
    case CMD_READ_INPUT: reply(k, 0x80, 0); break;
    case CMD_READ_OUTPUT: reply(k, read_output_port(d), 0); break;
    case CMD_A20_OFF:
    case CMD_A20_ON: sysctl_set_a20(d->board, value == CMD_A20_ON); break;
    default:
        if (value >= CMD_PULSE && !(value & OUT_NOT_RESET))
            board_request(d->board, VMK_REQ_RESET, 0);
    }
}

static void write_data(struct dev *d, uint8_t value)
{
    struct i8042 *k = d->state;
    uint8_t command = k->command;

    k->command = 0;
    switch (command) {
    case 0: keyboard_write(k, value); break;
    case CMD_WRITE_CTR: k->ctr = value; break;
    case CMD_WRITE_OUTPUT: write_output_port(d, value); break;
    case CMD_WRITE_OBF: reply(k, value, 0); break;
    case CMD_WRITE_AUX_OBF: reply(k, value, STATUS_AUX); break;
    default: reply(k, KBD_RESEND, STATUS_AUX | STATUS_TIMEOUT);
    }
}

static uint8_t read_status(const struct i8042 *k)
{
    return (uint8_t)(k->data_status | STATUS_UNLOCKED | (k->ctr & CTR_SYS ? STATUS_SYS : 0) |
                     (k->last_was_command ? STATUS_COMMAND : 0));
}

static uint8_t read_data(struct i8042 *k, uint64_t now)
{
    if (k->data_status & STATUS_OBF)
        k->next_key_at = now + KEY_GAP_NS;
    k->data_status = 0;
    return k->data;
}

/* ---- on the bus ---- */

static void drive(struct dev *d)
{
    const struct i8042 *k = d->state;
    bool full = k->data_status & STATUS_OBF, aux = k->data_status & STATUS_AUX;

    irq_set(d->board, 1, 0, full && !aux && (k->ctr & CTR_KBDINT));
    irq_set(d->board, 12, 0, full && aux && (k->ctr & CTR_AUXINT));
}

static void i8042_update(struct dev *d)
{
    drive(d);
    feed(d->state, board_now(d->board));
    drive(d); /* the byte that follows one just read is a new edge */
}

static uint8_t i8042_read8(struct dev *d, unsigned region, unsigned off)
{
    struct i8042 *k = d->state;

    (void)off;
    i8042_update(d);
    if (region == REGION_COMMAND)
        return read_status(k);
    uint8_t value = read_data(k, board_now(d->board));
    i8042_update(d);
    return value;
}

static void i8042_write8(struct dev *d, unsigned region, unsigned off, uint8_t value)
{
    struct i8042 *k = d->state;

    (void)off;
    k->last_was_command = region == REGION_COMMAND;
    if (region == REGION_COMMAND)
        controller_command(d, value);
    else
        write_data(d, value);
    i8042_update(d);
}

static uint64_t i8042_read(struct dev *d, unsigned region, uint64_t off, unsigned size)
{
    return port8_read(d, region, off, size, i8042_read8);
}

static void i8042_write(struct dev *d, unsigned region, uint64_t off, unsigned size, uint64_t value)
{
    port8_write(d, region, off, size, value, i8042_write8);
}

static void i8042_event(struct dev *d, const struct inbox_msg *msg)
{
    if (msg->kind != INBOX_KEY)
        return;
    type_keys(d->state, msg->data, msg->len < INBOX_BYTES ? msg->len : INBOX_BYTES);
    i8042_update(d);
}

static uint64_t i8042_deadline(struct dev *d)
{
    const struct i8042 *k = d->state;

    return key_waits(k) ? k->next_key_at : DEV_NEVER;
}

static void i8042_tick(struct dev *d, uint64_t now)
{
    (void)now;
    i8042_update(d);
}

/* A saved state may hold anything; keep what indexes within its arrays. */
static void i8042_restored(struct dev *d)
{
    struct i8042 *k = d->state;

    k->keys_head %= KEYS_SIZE;
    if (k->keys_len > KEYS_SIZE)
        k->keys_len = KEYS_SIZE;
    if (k->reply_len > REPLY_SIZE)
        k->reply_len = REPLY_SIZE;
    drive(d);
}

static int i8042_init(struct dev *d)
{
    int rc = bus_claim_ports(d, REGION_DATA, 0x60, 1);

    return rc ? rc : bus_claim_ports(d, REGION_COMMAND, 0x64, 1);
}

static void i8042_reset(struct dev *d)
{
    struct i8042 *k = d->state;

    memset(k, 0, sizeof(*k));
    k->ctr = CTR_KBDINT | CTR_SYS | CTR_AUXDIS | CTR_XLATE;
    k->kbd_set = 2;
    k->kbd_scanning = 1;
    drive(d);
}

const struct dev_class i8042_class = {
    .name = "i8042",
    .version = 1,
    .size = sizeof(struct i8042),
    .fields = i8042_fields,
    .nfields = sizeof(i8042_fields) / sizeof(i8042_fields[0]),
    .init = i8042_init,
    .reset = i8042_reset,
    .read = i8042_read,
    .write = i8042_write,
    .event = i8042_event,
    .deadline = i8042_deadline,
    .tick = i8042_tick,
    .restored = i8042_restored,
};
