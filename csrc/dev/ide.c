/* The two ATA channels of the PIIX3 with nothing attached.
 *
 * Firmware probes them by port without asking PCI, and takes all ones for a drive that is busy for a minute:
 * a channel without drives reads zero (ATA/ATAPI-5 9.1: the host pulls DD7 down). Leaves out drives; disks
 * come on the SCSI adapter. */
#include "core/board.h"

enum { COMMAND_BYTES = 8 };

struct ide {
    uint32_t reserved; /* no register keeps anything */
};

static const struct state_field fields[] = {FIELD(struct ide, reserved, uint32_t)};

static uint64_t ide_read(struct dev *d, unsigned region, uint64_t off, unsigned size)
{
    (void)d, (void)region, (void)off, (void)size;
    return 0;
}

static void ide_write(struct dev *d, unsigned region, uint64_t off, unsigned size, uint64_t value)
{
    (void)d, (void)region, (void)off, (void)size, (void)value;
}

static int ide_init(struct dev *d)
{
    static const uint16_t command[2] = {0x1f0, 0x170}, control[2] = {0x3f6, 0x376};
    for (unsigned channel = 0; channel < 2; channel++)
        if (bus_claim_ports(d, channel, command[channel], COMMAND_BYTES) ||
            bus_claim_ports(d, 2 + channel, control[channel], 1))
            return VMK_EBUSY;
    return VMK_OK;
}

const struct dev_class ide_class = {
    .name = "ide", .version = 1, .size = sizeof(struct ide), .fields = fields, .nfields = 1,
    .init = ide_init, .read = ide_read, .write = ide_write,
};
