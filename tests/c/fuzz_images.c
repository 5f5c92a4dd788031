/* Images are untrusted: layers over files of chance, with layouts of chance, must end every call with an
 * answer.
 *
 * fuzz_images [ROUNDS [SEED]]
 *
 * What they answer does not matter here; that no byte outside a buffer is touched is ASan's affair. Tables
 * are filled with small numbers, so that they point into the file about as often as not. */
#define _GNU_SOURCE
#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include "blk/blk.h"
#include "check.h"
#include "vmk_disk.h"

#define FILE_SIZE (1u << 18)
#define LARGEST (1u << 17) /* bytes moved by one call */

static uint64_t seed;
static uint8_t content[FILE_SIZE];

static uint32_t chance(uint32_t n)
{
    seed = seed * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(seed >> 33) % n;
}

static uint64_t edge(void)
{
    static const uint64_t edges[] = {
        0, 1, 2, 511, 512, 0x7fffffff, 0xffffffff, 1ull << 40, 1ull << 62, UINT64_MAX,
    };
    return edges[chance(sizeof(edges) / sizeof(*edges))];
}

static void fill(void)
{
    for (uint32_t i = 0; i < FILE_SIZE; i += 8) {
        uint64_t v = chance(3) ? 0 : chance(20) ? chance(FILE_SIZE / 512 + 20) : edge();
        if (chance(2))
            v |= (uint64_t)chance(FILE_SIZE / 512) << 32;
        memcpy(content + i, &v, 8);
    }
}

/* Entries of qcow2 are big-endian offsets with flags. */
static void fill_qcow2(uint32_t cluster)
{
    for (uint32_t i = 0; i < FILE_SIZE; i += 8) {
        uint64_t place = (uint64_t)chance(FILE_SIZE / cluster + 2) * cluster;
        uint64_t v = chance(3) ? 0 : chance(20) ? place : edge();
        if (!chance(4))
            v |= 1ull << 62;
        if (!chance(6))
            v |= 1;
        v = htobe64(v);
        memcpy(content + i, &v, 8);
    }
}

/* Deflated grains with their markers here and there. */
static void add_packed(uint32_t grain)
{
    for (uint32_t n = 0; n < 20; n++) {
        uint8_t plain[8192], packed[9000];
        uLongf size = sizeof(packed);
        uint32_t at = chance(FILE_SIZE / 512 - 40) * 512, length = chance(sizeof(plain));
        uint64_t sector = chance(64) * (uint64_t)(grain / 512);
        memset(plain, (int)chance(256), sizeof(plain));
        if (compress2(packed, &size, plain, length, 1) != Z_OK)
            continue;
        uint32_t said = chance(8) ? (uint32_t)size : (uint32_t)edge();
        memcpy(content + at, &sector, 8);
        memcpy(content + at + 8, &said, 4);
        memcpy(content + at + 12, packed, size);
    }
}

static int file_of_it(void)
{
    int fd = memfd_create("image", 0);
    size_t size = chance(8) ? FILE_SIZE : chance(FILE_SIZE);
    if (fd < 0 || write(fd, content, size) != (ssize_t)size)
        abort();
    return fd;
}

static void use(struct blk_backend *disk)
{
    char err[160];
    uint64_t size = vmk_disk_size(disk), length;
    bool allocated;
    uint8_t *buf = calloc(1, LARGEST);
    for (unsigned n = 0; n < 40; n++) {
        uint64_t off = (chance(4) ? chance(256) * 512ull : edge() / 512 * 512) % (size + 512);
        uint64_t len = chance(LARGEST / 512) * 512ull;
        switch (chance(7)) {
        case 0: vmk_disk_write(disk, off, buf, len, err); break;
        case 1: vmk_disk_write_zeroes(disk, off, len, err); break;
        case 2: vmk_disk_discard(disk, off, len, err); break;
        case 3: vmk_disk_map(disk, off, &length, &allocated, err); break;
        case 4: vmk_disk_flush(disk, err); break;
        default: vmk_disk_read(disk, off, buf, len, err); break;
        }
    }
    free(buf);
    vmk_disk_close(disk, err);
    CHECK(true);
}

static struct blk_backend *sparse(struct blk_backend *parent, char *err)
{
    struct vmk_disk_sparse layout = {
        .capacity = chance(10) ? (1 + chance(4096)) * 512ull : edge(),
        .grain = chance(10) ? 4096ull << chance(3) : edge(),
        .gd_offset = chance(10) ? chance(64) * 512ull : edge(),
        .rgd_offset = chance(2) ? chance(64) * 512ull : chance(10) ? 0 : edge(),
        .gt_entries = chance(10) ? 1 + chance(512) : (uint32_t)edge(),
        .zero_grains = chance(2), .compressed = !chance(3), .unclean_at = chance(2) ? 72 : 0,
        .parent_offset = chance(4) ? 0 : chance(64) * 512ull,
    };
    fill();
    if (layout.compressed)
        add_packed((uint32_t)layout.grain);
    struct vmk_disk_file file = {.fd = file_of_it(), .readonly = !chance(8), .label = "sparse"};
    struct blk_backend *made = vmk_disk_sparse(&file, &layout, parent, err);
    close(file.fd);
    return made;
}

static struct blk_backend *qcow2(struct blk_backend *parent, char *err)
{
    struct vmk_disk_qcow2 layout = {
        .capacity = chance(10) ? (1 + chance(65536)) * 512ull : edge(),
        .l1_offset = chance(10) ? chance(FILE_SIZE / 8) * 8ull : edge(),
        .l1_entries = chance(10) ? 1 + chance(2000) : (uint32_t)edge(),
        .cluster_bits = chance(10) ? 9 + chance(5) : (uint32_t)edge(),
    };
    fill_qcow2(1u << (layout.cluster_bits & 15));
    struct vmk_disk_file file = {.fd = file_of_it(), .label = "qcow2"};
    struct blk_backend *made = vmk_disk_qcow2(&file, &layout, parent, err);
    close(file.fd);
    return made;
}

static void one_round(void)
{
    char err[160] = "";
    struct blk_backend *parent = NULL, *made;
    for (unsigned depth = 1 + chance(3); depth; depth--) {
        err[0] = 0;
        made = chance(3) ? sparse(parent, err) : qcow2(parent, err);
        CHECK(made || err[0]);
        parent = made ? made : parent;
    }
    if (parent && chance(2)) {
        struct blk_backend *parts[2] = {parent, vmk_disk_zero(512ull * (1 + chance(100)), err)};
        made = vmk_disk_concat(parts, 2, err);
        CHECK(made || err[0]);
        if (!made)
            vmk_disk_close(parts[1], err);
        parent = made ? made : parent;
    }
    if (parent)
        use(parent);
}

int main(int argc, char **argv)
{
    unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 1000;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
    for (unsigned i = 0; i < rounds; i++) {
        seed = first + i;
        check_test = "one_round";
        one_round();
    }
    return check_done();
}
