/* Grains of stream-optimized extents: deflated, each behind a marker that names its first sector.
 *
 * Follows VMware's "Virtual Disk Format 5.0", section "Stream-Optimized Compressed Sparse Extents". The
 * marker is a 64-bit sector number and a 32-bit length, then a zlib stream. A stream that gives less than a
 * grain leaves zeros behind it; one that gives more is an error. */
#include "blk/sparse.h"

#include <string.h>
#include <zlib.h>

struct marker {
    uint64_t sector;
    uint32_t size;
} __attribute__((packed));

static int inflate_grain(struct sparse *s, uint32_t size, uint64_t at, char *err)
{
    z_stream z = {.next_in = s->packed, .avail_in = size};
    z.next_out = s->bounce, z.avail_out = (uInt)s->cfg.grain;
    memset(s->bounce, 0, s->cfg.grain);
    if (inflateInit(&z) != Z_OK)
        return host_fail(&s->file, BLK_EIO, at, "no memory to decompress", err);
    int end = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    return end == Z_STREAM_END ? BLK_OK : host_fail(&s->file, BLK_EIO, at, "a damaged compressed grain", err);
}

int sparse_unpack(struct sparse *s, uint64_t grain, uint32_t entry, char *err)
{
    struct marker m;
    uint64_t at = entry * SECTOR;
    if (s->bounce_grain == grain)
        return BLK_OK;
    s->bounce_grain = UINT64_MAX;
    int status = host_read(&s->file, at, &m, sizeof(m), err);
    if (status)
        return status;
    if (m.sector != grain * s->cfg.grain / SECTOR)
        return host_fail(&s->file, BLK_EIO, at, "a compressed grain of another place", err);
    if (!m.size || m.size > 2 * s->cfg.grain)
        return host_fail(&s->file, BLK_EIO, at, "a compressed grain of impossible length", err);
    status = host_read(&s->file, at + sizeof(m), s->packed, m.size, err);
    if (!status)
        status = inflate_grain(s, m.size, at, err);
    if (!status)
        s->bounce_grain = grain;
    return status;
}
