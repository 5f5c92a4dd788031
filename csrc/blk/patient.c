/* A layer that does not give up when the host's disk is full: the write waits, and with it the VM, until
 * there is room or somebody says that it shall fail.
 *
 * The worker that carries the request sleeps and tries again; in virtual time the VM stands still at the
 * moment the request would end, so the guest never hears of it. Layers below leave a write that failed for
 * lack of space undone, or done in part, and may be asked again. */
#include "blk/layer.h"

#include <stdlib.h>
#include <time.h>

#define RETRY_NS 100000000l

struct patient {
    struct blk_backend *lower;
    struct vmk_disk_patience *patience;
};

/* Whether to try once more after `status`. */
static bool again(struct patient *p, int status)
{
    const struct timespec pause = {.tv_nsec = RETRY_NS};
    if (status != BLK_ENOSPC || __atomic_load_n(&p->patience->ended, __ATOMIC_ACQUIRE))
        return false;
    __atomic_add_fetch(&p->patience->waiting, 1, __ATOMIC_ACQ_REL);
    nanosleep(&pause, NULL);
    __atomic_sub_fetch(&p->patience->waiting, 1, __ATOMIC_ACQ_REL);
    return true;
}

static int patient_read(void *ctx, uint64_t off, void *buf, size_t len, char *err)
{
    struct patient *p = ctx;
    return p->lower->ops->read(p->lower->ctx, off, buf, len, err);
}

static int patient_write(void *ctx, uint64_t off, const void *buf, size_t len, char *err)
{
    struct patient *p = ctx;
    int status;
    do
        status = p->lower->ops->write(p->lower->ctx, off, buf, len, err);
    while (again(p, status));
    return status;
}

static int patient_write_zeroes(void *ctx, uint64_t off, uint64_t len, char *err)
{
    struct patient *p = ctx;
    int status;
    do
        status = layer_write_zeroes(p->lower, off, len, err);
    while (again(p, status));
    return status;
}

static int patient_discard(void *ctx, uint64_t off, uint64_t len, char *err)
{
    struct patient *p = ctx;
    int status;
    if (!p->lower->ops->discard)
        return BLK_OK;
    do
        status = p->lower->ops->discard(p->lower->ctx, off, len, err);
    while (again(p, status));
    return status;
}

static int patient_flush(void *ctx, char *err)
{
    struct patient *p = ctx;
    int status;
    do
        status = p->lower->ops->flush(p->lower->ctx, err);
    while (again(p, status));
    return status;
}

static int patient_map(void *ctx, uint64_t off, uint64_t *len, bool *allocated, char *err)
{
    struct patient *p = ctx;
    return layer_map(p->lower, off, len, allocated, err);
}

static void patient_close(void *ctx)
{
    struct patient *p = ctx;
    layer_close(p->lower);
    free(p);
}

static const struct blk_ops patient_ops = {
    .name = "patient",
    .read = patient_read,
    .write = patient_write,
    .flush = patient_flush,
    .discard = patient_discard,
    .write_zeroes = patient_write_zeroes,
    .map = patient_map,
    .close = patient_close,
};

struct blk_backend *vmk_disk_patient(struct blk_backend *lower, struct vmk_disk_patience *patience, char *err)
{
    struct patient *p = calloc(1, sizeof(*p));
    if (!p)
        return layer_refuse(err, "waiting for room", "no memory");
    *p = (struct patient){.lower = lower, .patience = patience};
    struct blk_backend *layer = layer_new(&patient_ops, p, lower->size, err);
    if (!layer) {
        free(p);
        return NULL;
    }
    layer->readonly = lower->readonly;
    layer->serial = lower->serial;
    layer->thin = lower->thin;
    layer->discard_zeroes = lower->discard_zeroes;
    return layer;
}
