/* A 16550A serial port; the board has two.
 *
 * Follows National's PC16550D data sheet. The transmitter is empty at all times: a byte leaves for
 * board_output() in the access that writes it, so a guest is never slowed down to a baud rate. The line
 * settings matter only for the receive time-out. Bytes from outside wait in `queue` and enter the FIFO as the
 * guest drains it; beyond the queue they are lost as an overrun. A modem is always attached and ready. In
 * loopback the outside line is cut and its bytes wait.
 *
 * Left out: parity and framing errors and breaks, which nothing outside can produce; DMA mode; XOFF. */
#include <string.h>

#include "core/board.h"
#include "dev/port8.h"
#include "dev/ticks.h"
#include "dev/uart_regs.h"

#define UART_HZ 1843200ull
#define FIFO_SIZE 16
#define QUEUE_SIZE 4096
#define TIMEOUT_CHARS 4

struct uart {
    uint64_t rx_time;      /* VM ns of the last byte into or out of the FIFO */
    uint16_t divisor;
    uint16_t queue_head, queue_len;
    uint8_t ier, fcr, lcr, mcr, scr;
    uint8_t overrun;       /* LSR.OE */
    uint8_t modem_deltas;  /* MSR bits 3:0 */
    uint8_t thre_pending;  /* the transmitter became empty and nobody has been told */
    uint8_t rx_timeout;
    uint8_t rx_len;
    uint8_t rx[FIFO_SIZE];
    uint8_t queue[QUEUE_SIZE];
};

static const struct state_field uart_fields[] = {
    FIELD(struct uart, rx_time, uint64_t),     FIELD(struct uart, divisor, uint16_t),
    FIELD(struct uart, queue_head, uint16_t),  FIELD(struct uart, queue_len, uint16_t),
    FIELD(struct uart, ier, uint8_t),          FIELD(struct uart, fcr, uint8_t),
    FIELD(struct uart, lcr, uint8_t),          FIELD(struct uart, mcr, uint8_t),
    FIELD(struct uart, scr, uint8_t),          FIELD(struct uart, overrun, uint8_t),
    FIELD(struct uart, modem_deltas, uint8_t), FIELD(struct uart, thre_pending, uint8_t),
    FIELD(struct uart, rx_timeout, uint8_t),   FIELD(struct uart, rx_len, uint8_t),
    FIELD(struct uart, rx, uint8_t),           FIELD(struct uart, queue, uint8_t),
};

static const struct {
    uint16_t base;
    uint8_t irq;
    enum vmk_channel channel;
} ports[] = {
    {0x3f8, 4, VMK_COM1},
    {0x2f8, 3, VMK_COM2},
};

/* ---- receiver ---- */

static unsigned fifo_capacity(const struct uart *u)
{
    return u->fcr & FCR_ENABLE ? FIFO_SIZE : 1;
}

static unsigned trigger_level(const struct uart *u)
{
    static const uint8_t level[4] = {1, 4, 8, 14};

    return u->fcr & FCR_ENABLE ? level[u->fcr >> 6] : 1;
}

static void receive(struct uart *u, uint8_t byte, uint64_t now)
{
    if (u->rx_len >= fifo_capacity(u)) {
        u->overrun = 1;
        return;
    }
    u->rx[u->rx_len++] = byte;
    u->rx_time = now;
}

/* Lets waiting bytes into the FIFO while there is room. */
static void feed(struct uart *u, uint64_t now)
{
    if (u->mcr & MCR_LOOP)
        return;
    while (u->queue_len && u->rx_len < fifo_capacity(u)) {
        receive(u, u->queue[u->queue_head], now);
        u->queue_head = (uint16_t)((u->queue_head + 1) % QUEUE_SIZE);
        u->queue_len--;
    }
}

static void enqueue(struct uart *u, const uint8_t *bytes, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (u->queue_len == QUEUE_SIZE) {
            u->overrun = 1;
            return;
        }
        u->queue[(u->queue_head + u->queue_len++) % QUEUE_SIZE] = bytes[i];
    }
}

static uint8_t read_rbr(struct uart *u, uint64_t now)
{
    if (!u->rx_len)
        return 0;
    uint8_t byte = u->rx[0];
    memmove(u->rx, u->rx + 1, --u->rx_len);
    u->rx_time = now;
    u->rx_timeout = 0;
    feed(u, now);
    return byte;
}

/* When bytes below the trigger level have waited long enough to be announced. A divisor of 0 stops a real
 * port; here it counts as the fastest, since input that is never announced would only hang the guest. */
static uint64_t timeout_at(const struct uart *u)
{
    unsigned parity = u->lcr & LCR_PARITY ? 1 : 0, stop = u->lcr & LCR_STOP2 ? 2 : 1;
    unsigned bits = 1 + 5 + (u->lcr & LCR_WORD) + parity + stop;
    uint64_t clocks = 16ull * (u->divisor ? u->divisor : 1) * bits * TIMEOUT_CHARS;

    if (!(u->fcr & FCR_ENABLE) || !(u->ier & IER_RX))
        return DEV_NEVER;
    if (u->rx_timeout || !u->rx_len || u->rx_len >= trigger_level(u))
        return DEV_NEVER;
    return u->rx_time + ns_of_tick(clocks, UART_HZ);
}

/* ---- interrupts ---- */

static uint8_t interrupt_id(const struct uart *u)
{
    if ((u->ier & IER_LSR) && u->overrun)
        return IIR_LSR;
    if ((u->ier & IER_RX) && u->rx_len >= trigger_level(u))
        return IIR_RX;
    if ((u->ier & IER_RX) && u->rx_timeout)
        return IIR_TIMEOUT;
    if ((u->ier & IER_THRE) && u->thre_pending)
        return IIR_THRE;
    if ((u->ier & IER_MSR) && u->modem_deltas)
        return IIR_MSR;
    return IIR_NONE;
}

/* In loopback the OUT2 pin is inactive, so a PC's port is silent. */
static bool irq_level(const struct uart *u)
{
    return interrupt_id(u) != IIR_NONE && (u->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;
}

/* ---- registers ---- */

static uint8_t modem_lines(const struct uart *u)
{
    if (!(u->mcr & MCR_LOOP))
        return MSR_CTS | MSR_DSR | MSR_DCD;
    return (uint8_t)((u->mcr & MCR_RTS ? MSR_CTS : 0) | (u->mcr & MCR_DTR ? MSR_DSR : 0) |
                     (u->mcr & MCR_OUT1 ? MSR_RI : 0) | (u->mcr & MCR_OUT2 ? MSR_DCD : 0));
}

static void write_mcr(struct uart *u, uint8_t value, uint64_t now)
{
    uint8_t before = modem_lines(u);

    u->mcr = value & MCR_MASK;
    uint8_t changed = before ^ modem_lines(u);
    u->modem_deltas |= changed >> 4 & (MSR_DCTS | MSR_DDSR | MSR_DDCD);
    if (changed & before & MSR_RI)
        u->modem_deltas |= MSR_TERI;
    feed(u, now);
}

static void write_fcr(struct uart *u, uint8_t value, uint64_t now)
{
    if ((value & FCR_CLEAR_RX) || ((value ^ u->fcr) & FCR_ENABLE)) {
        u->rx_len = 0;
        u->rx_timeout = 0;
    }
    u->fcr = value & FCR_ENABLE ? value & FCR_MASK : 0;
    feed(u, now);
}

static void write_ier(struct uart *u, uint8_t value)
{
    if (value & ~u->ier & IER_THRE)
        u->thre_pending = 1;
    u->ier = value & IER_MASK;
}

static uint8_t read_iir(struct uart *u)
{
    uint8_t id = interrupt_id(u);

    if (id == IIR_THRE)
        u->thre_pending = 0;
    return id | (u->fcr & FCR_ENABLE ? IIR_FIFO : 0);
}

static uint8_t read_lsr(struct uart *u)
{
    uint8_t value = LSR_THRE | LSR_TEMT | (u->rx_len ? LSR_DR : 0) | (u->overrun ? LSR_OE : 0);

    u->overrun = 0;
    return value;
}

static uint8_t read_msr(struct uart *u)
{
    uint8_t value = modem_lines(u) | u->modem_deltas;

    u->modem_deltas = 0;
    return value;
}

static uint8_t chip_read(struct uart *u, enum uart_reg reg, uint64_t now)
{
    bool dlab = u->lcr & LCR_DLAB;

    switch (reg) {
    case UART_DATA: return dlab ? (uint8_t)u->divisor : read_rbr(u, now);
    case UART_IER: return dlab ? (uint8_t)(u->divisor >> 8) : u->ier;
    case UART_IIR: return read_iir(u);
    case UART_LCR: return u->lcr;
    case UART_MCR: return u->mcr;
    case UART_LSR: return read_lsr(u);
    case UART_MSR: return read_msr(u);
    default: return u->scr;
    }
}

/* Everything but THR, whose byte leaves through the shell. */
static void chip_write(struct uart *u, enum uart_reg reg, uint8_t value, uint64_t now)
{
    bool dlab = u->lcr & LCR_DLAB;

    switch (reg) {
    case UART_DATA: u->divisor = (uint16_t)((u->divisor & 0xff00) | value); break;
    case UART_IER:
        if (dlab)
            u->divisor = (uint16_t)((u->divisor & 0x00ff) | value << 8);
        else
            write_ier(u, value);
        break;
    case UART_IIR: write_fcr(u, value, now); break;
    case UART_LCR: u->lcr = value; break;
    case UART_MCR: write_mcr(u, value, now); break;
    case UART_SCR: u->scr = value; break;
    default: break; /* LSR and MSR are read-only */
    }
}

/* ---- on the bus ---- */

static void uart_update(struct dev *d)
{
    irq_set(d->board, ports[d->instance].irq, 0, irq_level(d->state));
}

static void transmit(struct dev *d, uint8_t byte)
{
    struct uart *u = d->state;

    if (u->mcr & MCR_LOOP)
        receive(u, byte, board_now(d->board));
    else
        board_output(d->board, ports[d->instance].channel, &byte, 1);
    u->thre_pending = 1;
}

static uint8_t uart_read8(struct dev *d, unsigned region, unsigned off)
{
    (void)region;
    uint8_t value = chip_read(d->state, (enum uart_reg)off, board_now(d->board));
    uart_update(d);
    return value;
}

static void uart_write8(struct dev *d, unsigned region, unsigned off, uint8_t value)
{
    struct uart *u = d->state;

    (void)region;
    if (off == UART_DATA && !(u->lcr & LCR_DLAB))
        transmit(d, value);
    else
        chip_write(u, (enum uart_reg)off, value, board_now(d->board));
    uart_update(d);
}

static uint64_t uart_read(struct dev *d, unsigned region, uint64_t off, unsigned size)
{
    return port8_read(d, region, off, size, uart_read8);
}

static void uart_write(struct dev *d, unsigned region, uint64_t off, unsigned size, uint64_t value)
{
    port8_write(d, region, off, size, value, uart_write8);
}

static void uart_event(struct dev *d, const struct inbox_msg *msg)
{
    struct uart *u = d->state;

    if (msg->kind != INBOX_BYTES_IN)
        return;
    enqueue(u, msg->data, msg->len < INBOX_BYTES ? msg->len : INBOX_BYTES);
    feed(u, board_now(d->board));
    uart_update(d);
}

static uint64_t uart_deadline(struct dev *d)
{
    return timeout_at(d->state);
}

static void uart_tick(struct dev *d, uint64_t now)
{
    struct uart *u = d->state;

    if (now >= timeout_at(u))
        u->rx_timeout = 1;
    uart_update(d);
}

/* A saved state may hold anything; keep what indexes within its arrays. */
static void uart_restored(struct dev *d)
{
    struct uart *u = d->state;

    u->queue_head %= QUEUE_SIZE;
    if (u->queue_len > QUEUE_SIZE)
        u->queue_len = QUEUE_SIZE;
    if (u->rx_len > FIFO_SIZE)
        u->rx_len = FIFO_SIZE;
    uart_update(d);
}

static int uart_init(struct dev *d)
{
    if (d->instance >= sizeof(ports) / sizeof(ports[0]))
        return board_fail(d->board, VMK_EINVAL, "uart: no port number for serial port %u", d->instance + 1);
    return bus_claim_ports(d, 0, ports[d->instance].base, UART_PORTS);
}

static void uart_reset(struct dev *d)
{
    struct uart *u = d->state;

    memset(u, 0, sizeof(*u));
    u->divisor = 1;
    uart_update(d);
}

const struct dev_class uart_class = {
    .name = "uart",
    .version = 1,
    .size = sizeof(struct uart),
    .fields = uart_fields,
    .nfields = sizeof(uart_fields) / sizeof(uart_fields[0]),
    .init = uart_init,
    .reset = uart_reset,
    .read = uart_read,
    .write = uart_write,
    .event = uart_event,
    .deadline = uart_deadline,
    .tick = uart_tick,
    .restored = uart_restored,
};
