/* A hosted sparse extent: grains found through a directory and its tables, and what is shared among the files
 * that read, allocate and decompress them. */
#ifndef VMK_BLK_SPARSE_H
#define VMK_BLK_SPARSE_H

#include <pthread.h>

#include "blk/layer.h"

#define GTE_ABSENT 0u
#define GTE_ZERO 1u

struct sparse_table {
    uint32_t *entry;      /* NULL: not loaded */
    bool dirty, used;
};

struct sparse {
    struct host_file file;
    struct vmk_disk_sparse cfg;
    struct blk_backend *parent;
    uint64_t table_span;       /* bytes of the disk one table covers */
    uint32_t tables;           /* entries of the directory that count */
    pthread_mutex_t lock;      /* all below */
    uint32_t *gd, *rgd;        /* sector numbers of tables */
    struct sparse_table *table;
    uint32_t loaded, dirty, hand;
    bool gd_dirty, marked;
    uint64_t next;             /* where the file grows */
    uint8_t *bounce;           /* a grain */
    uint8_t *packed;           /* a deflated grain as it is in the file */
    uint64_t bounce_grain;     /* decompressed in `bounce`; UINT64_MAX: none */
};

/* Allocates and reads the directories; BLK_OK or an error. */
int sparse_tables_open(struct sparse *s, char *err);
void sparse_tables_free(struct sparse *s);

/* With the lock held: entry of grain number `grain`, GTE_ABSENT, GTE_ZERO or a sector of the file. */
int sparse_get(struct sparse *s, uint64_t grain, uint32_t *entry, char *err);
int sparse_set(struct sparse *s, uint64_t grain, uint32_t entry, char *err);
/* Makes what was written durable, data before the tables that point at it. */
int sparse_commit(struct sparse *s, char *err);
/* Notes in the header that the extent is being changed, before the first change. */
int sparse_mark(struct sparse *s, char *err);

/* With the lock held: decompresses a grain into s->bounce. */
int sparse_unpack(struct sparse *s, uint64_t grain, uint32_t entry, char *err);

static inline uint64_t sparse_grains(const struct sparse *s)
{
    return (s->cfg.capacity + s->cfg.grain - 1) / s->cfg.grain;
}

#endif
