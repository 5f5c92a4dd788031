/* The debug console ports of SeaBIOS (0x402) and Bochs (0xE9): a byte written is a byte of log, a read
 * says that somebody listens. The two ports share one channel. No state. */
#include "core/board.h"

enum { PORT_SEABIOS = 0x402, PORT_BOCHS = 0xe9 };

#define LISTENING 0xe9

static uint64_t debugcon_read(struct dev *d, unsigned region, uint64_t off, unsigned size)
{
    (void)d, (void)region, (void)off, (void)size;
    return LISTENING;
}

static void debugcon_write(struct dev *d, unsigned region, uint64_t off, unsigned size, uint64_t value)
{
    uint8_t byte = (uint8_t)value;

    (void)region, (void)off, (void)size;
    board_output(d->board, VMK_DEBUGCON, &byte, 1);
}

static int debugcon_init(struct dev *d)
{
    int rc = bus_claim_ports(d, 0, PORT_BOCHS, 1);

    return rc ? rc : bus_claim_ports(d, 1, PORT_SEABIOS, 1);
}

const struct dev_class debugcon_class = {
    .name = "debugcon",
    .version = 1,
    .init = debugcon_init,
    .read = debugcon_read,
    .write = debugcon_write,
};
