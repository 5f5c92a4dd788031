/* Grain directory and grain tables of a hosted sparse extent.
 *
 * Follows VMware's "Virtual Disk Format 5.0", section "Hosted Sparse Extents". A directory entry is the
 * sector of a table, a table entry the sector of a grain; both exist twice, the second set for recovery.
 *
 * Tables are read when they are needed and kept up to a bound. Changes stay in memory until a flush: first
 * the data becomes durable, then the tables are written, new tables before the directory that names them. So
 * at any moment the file's tables point only at grains whose data is durable, and losing power loses no more
 * than what was never flushed. The redundant set is written first; where the two differ after a crash, the
 * first set counts. */
#include "blk/sparse.h"

#include <stdlib.h>
#include <string.h>

#define TABLES_KEPT 4096u

static uint64_t table_bytes(const struct sparse *s)
{
    return s->cfg.gt_entries * 4ull;
}

static uint64_t gd_bytes(const struct sparse *s)
{
    return s->tables * 4ull;
}

/* Tables outside the file would be overwritten by the grains that make it grow. */
static int check_directory(struct sparse *s, const uint32_t *directory, uint64_t at, char *err)
{
    for (uint32_t i = 0; i < s->tables; i++)
        if (directory[i] && directory[i] * SECTOR + table_bytes(s) > s->next)
            return host_fail(&s->file, BLK_EIO, at + i * 4ull, "a grain table outside the file", err);
    return BLK_OK;
}

static int read_directory(struct sparse *s, uint32_t *directory, uint64_t at, char *err)
{
    if (at > s->next || gd_bytes(s) > s->next - at)
        return host_fail(&s->file, BLK_EIO, at, "the grain directory is outside the file", err);
    int status = host_read(&s->file, at, directory, gd_bytes(s), err);
    return status ? status : check_directory(s, directory, at, err);
}

int sparse_tables_open(struct sparse *s, char *err)
{
    s->gd = calloc(s->tables, sizeof(*s->gd));
    s->rgd = calloc(s->tables, sizeof(*s->rgd));
    s->table = calloc(s->tables, sizeof(*s->table));
    if (!s->gd || !s->rgd || !s->table)
        return host_fail(&s->file, BLK_EIO, s->cfg.gd_offset, "no memory for the grain directory", err);
    int status = read_directory(s, s->gd, s->cfg.gd_offset, err);
    if (!status && s->cfg.rgd_offset)
        status = read_directory(s, s->rgd, s->cfg.rgd_offset, err);
    return status;
}

void sparse_tables_free(struct sparse *s)
{
    for (uint32_t i = 0; s->table && i < s->tables; i++)
        free(s->table[i].entry);
    free(s->table);
    free(s->gd);
    free(s->rgd);
}

/* Frees a clean table, not used since the hand last passed. */
static int make_room(struct sparse *s, char *err)
{
    if (s->dirty >= TABLES_KEPT / 2) {
        int status = sparse_commit(s, err);
        if (status)
            return status;
    }
    for (uint64_t steps = 0; s->loaded >= TABLES_KEPT && steps < 2ull * s->tables; steps++) {
        struct sparse_table *t = &s->table[s->hand];
        s->hand = (s->hand + 1) % s->tables;
        if (!t->entry || t->dirty)
            continue;
        if (!t->used) {
            free(t->entry);
            t->entry = NULL;
            s->loaded--;
        }
        t->used = false;
    }
    return BLK_OK;
}

static int load(struct sparse *s, uint32_t index, char *err)
{
    struct sparse_table *t = &s->table[index];
    t->used = true;
    if (t->entry)
        return BLK_OK;
    int status = make_room(s, err);
    if (status)
        return status;
    uint32_t *entry = calloc(1, table_bytes(s));
    if (!entry)
        return host_fail(&s->file, BLK_EIO, 0, "no memory for a grain table", err);
    if (s->gd[index])
        status = host_read(&s->file, s->gd[index] * SECTOR, entry, table_bytes(s), err);
    if (status) {
        free(entry);
        return status;
    }
    t->entry = entry;
    s->loaded++;
    return BLK_OK;
}

int sparse_get(struct sparse *s, uint64_t grain, uint32_t *entry, char *err)
{
    uint64_t index = grain / s->cfg.gt_entries;
    *entry = GTE_ABSENT;
    if (!s->gd[index] && !s->table[index].entry)
        return BLK_OK;
    int status = load(s, (uint32_t)index, err);
    if (status)
        return status;
    *entry = s->table[index].entry[grain % s->cfg.gt_entries];
    if (*entry == GTE_ZERO && !s->cfg.zero_grains)
        return host_fail(&s->file, BLK_EIO, SECTOR, "a grain that lies in the header", err);
    if (*entry * SECTOR >= s->next)
        return host_fail(&s->file, BLK_EIO, *entry * SECTOR, "a grain outside the file", err);
    return BLK_OK;
}

/* Gives directory entry `index` a table in each set, of zeros, at the end of the file. */
static int add_table(struct sparse *s, uint32_t index, char *err)
{
    uint64_t bytes = (table_bytes(s) + SECTOR - 1) / SECTOR * SECTOR;
    uint64_t sets = s->cfg.rgd_offset ? 2 : 1;
    if ((s->next + sets * bytes) / SECTOR > UINT32_MAX)
        return host_fail(&s->file, BLK_ENOSPC, s->next, "the extent is full: 2 TiB", err);
    int status = load(s, index, err);
    if (status)
        return status;
    s->gd[index] = (uint32_t)(s->next / SECTOR);
    if (sets == 2)
        s->rgd[index] = (uint32_t)((s->next + bytes) / SECTOR);
    s->next += sets * bytes;
    s->gd_dirty = true;
    return BLK_OK;
}

int sparse_set(struct sparse *s, uint64_t grain, uint32_t entry, char *err)
{
    uint32_t index = (uint32_t)(grain / s->cfg.gt_entries);
    int status = s->gd[index] ? load(s, index, err) : add_table(s, index, err);
    if (status)
        return status;
    struct sparse_table *t = &s->table[index];
    t->entry[grain % s->cfg.gt_entries] = entry;
    s->dirty += !t->dirty;
    t->dirty = true;
    return BLK_OK;
}

static int write_tables(struct sparse *s, const uint32_t *directory, char *err)
{
    for (uint32_t i = 0; i < s->tables; i++) {
        if (!s->table[i].dirty || !directory[i])
            continue;
        int status = host_write(&s->file, directory[i] * SECTOR, s->table[i].entry, table_bytes(s), err);
        if (status)
            return status;
    }
    return BLK_OK;
}

static int write_directories(struct sparse *s, char *err)
{
    int status = host_sync(&s->file, err);
    if (!status && s->cfg.rgd_offset)
        status = host_write(&s->file, s->cfg.rgd_offset, s->rgd, gd_bytes(s), err);
    if (!status)
        status = host_write(&s->file, s->cfg.gd_offset, s->gd, gd_bytes(s), err);
    s->gd_dirty = status != BLK_OK;
    return status;
}

int sparse_commit(struct sparse *s, char *err)
{
    int status = host_sync(&s->file, err);
    if (status || (!s->dirty && !s->gd_dirty))
        return status;
    status = write_tables(s, s->rgd, err);
    if (!status)
        status = write_tables(s, s->gd, err);
    if (!status && s->gd_dirty)
        status = write_directories(s, err);
    if (!status)
        status = host_sync(&s->file, err);
    if (status)
        return status;
    for (uint32_t i = 0; i < s->tables; i++)
        s->table[i].dirty = false;
    s->dirty = 0;
    return BLK_OK;
}

int sparse_mark(struct sparse *s, char *err)
{
    static const uint8_t unclean = 1;
    if (s->marked || !s->cfg.unclean_at)
        return BLK_OK;
    int status = host_write(&s->file, s->cfg.unclean_at, &unclean, 1, err);
    s->marked = !status;
    return status;
}
