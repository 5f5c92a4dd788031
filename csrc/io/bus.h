/* Port and MMIO maps: which chip answers an address. Overlap is an error when a range is claimed; PCI BARs
 * move theirs at run time. Unclaimed reads give all ones, unclaimed writes vanish; both are counted and can
 * be traced. */
#ifndef VMK_IO_BUS_H
#define VMK_IO_BUS_H

#include <stdbool.h>
#include <stdint.h>

struct board;
struct dev;

#define BUS_PORTS 65536
#define BUS_MAX_RANGES 256

struct bus_range {
    uint64_t base, size;
    struct dev *dev;
    uint32_t region;
};

struct bus {
    uint8_t port_owner[BUS_PORTS];             /* 0 = nobody, else 1 + index into ports[]; one byte a port */
    struct bus_range ports[BUS_MAX_RANGES - 1];
    struct bus_range mmio[BUS_MAX_RANGES];     /* sorted by base */
    unsigned nports, nmmio;
    uint64_t unclaimed_reads, unclaimed_writes;
};

/* While a board is built, or when a BAR is enabled. 0, or a negative vmk_error when the range overlaps a
 * claimed one or wraps. */
int bus_claim_ports(struct dev *d, unsigned region, uint32_t base, uint32_t count);
int bus_claim_mmio(struct dev *d, unsigned region, uint64_t base, uint64_t size);
/* Gives back what `d` claimed under `region` on that bus; no effect if nothing was. */
void bus_release_ports(struct dev *d, unsigned region);
void bus_release_mmio(struct dev *d, unsigned region);

/* Guest accesses, on the vCPU thread. An access that straddles two owners is split per byte. */
uint32_t bus_port_read(struct board *b, uint16_t port, unsigned size);
void bus_port_write(struct board *b, uint16_t port, unsigned size, uint32_t value);
uint64_t bus_mmio_read(struct board *b, uint64_t gpa, unsigned size);
void bus_mmio_write(struct board *b, uint64_t gpa, unsigned size, uint64_t value);

#endif
