/* What a request takes in virtual time: the figures of a plain SATA flash disk, chosen, not measured.
 *
 * A disk moves one request's bytes at a time; the fixed part of each overlaps with others. What a write says
 * when it ends is that the disk's cache has it; a flush, or a write with FUA, pays for more. */
#ifndef VMK_BLK_COST_H
#define VMK_BLK_COST_H

#include "blk/blk.h"

#define BLK_READ_NS 60000u
#define BLK_WRITE_NS 25000u
#define BLK_FLUSH_NS 300000u
#define BLK_DISCARD_NS 50000u
#define BLK_BYTES_PER_US 500u

static inline uint64_t blk_fixed_ns(const struct blk_req *req)
{
    static const uint32_t fixed[] = {
        [BLK_READ] = BLK_READ_NS, [BLK_WRITE] = BLK_WRITE_NS, [BLK_FLUSH] = BLK_FLUSH_NS,
        [BLK_DISCARD] = BLK_DISCARD_NS, [BLK_WRITE_ZEROES] = BLK_DISCARD_NS,
    };
    return fixed[req->op] + (req->op != BLK_FLUSH && req->fua ? BLK_FLUSH_NS : 0);
}

static inline uint64_t blk_transfer_ns(const struct blk_req *req)
{
    return req->op == BLK_READ || req->op == BLK_WRITE ? req->len * 1000 / BLK_BYTES_PER_US : 0;
}

#endif
