/* The debug exit port: a guest's test program writes its verdict and the VM ends with it. Four ports wide,
 * as QEMU's isa-debug-exit, so that a write of 1, 2 or 4 bytes arrives whole; reads give 0. Absent unless
 * the configuration names a port. No state. */
#include "core/board.h"

#define EXIT_PORTS 4

static uint64_t debug_exit_read(struct dev *d, unsigned region, uint64_t off, unsigned size)
{
    (void)d, (void)region, (void)off, (void)size;
    return 0;
}

static void debug_exit_write(struct dev *d, unsigned region, uint64_t off, unsigned size, uint64_t value)
{
    (void)region, (void)off, (void)size;
    board_request(d->board, VMK_REQ_DEBUG_EXIT, (uint32_t)value);
}

static int debug_exit_init(struct dev *d)
{
    uint32_t port = d->board->cfg.debug_exit_port;

    return port ? bus_claim_ports(d, 0, port, EXIT_PORTS) : 0;
}

const struct dev_class debug_exit_class = {
    .name = "debug_exit",
    .version = 1,
    .init = debug_exit_init,
    .read = debug_exit_read,
    .write = debug_exit_write,
};
