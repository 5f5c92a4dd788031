/* 8-bit ISA chips see a wider port access as one byte access per port, lowest address first: `outw` to
 * 0x70 sets the CMOS index and then the data. */
#ifndef VMK_DEV_PORT8_H
#define VMK_DEV_PORT8_H

#include "core/dev.h"

typedef uint8_t port8_read_fn(struct dev *d, unsigned region, unsigned off);
typedef void port8_write_fn(struct dev *d, unsigned region, unsigned off, uint8_t value);

static inline uint64_t port8_read(struct dev *d, unsigned region, uint64_t off, unsigned size,
                                  port8_read_fn *read)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < size; i++)
        value |= (uint64_t)read(d, region, (unsigned)off + i) << (8 * i);
    return value;
}

static inline void port8_write(struct dev *d, unsigned region, uint64_t off, unsigned size, uint64_t value,
                               port8_write_fn *write)
{
    for (unsigned i = 0; i < size; i++)
        write(d, region, (unsigned)off + i, (uint8_t)(value >> (8 * i)));
}

#endif
