/* Disks in the face Python sees: backends made and given away, places on adapters found. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blk/blk.h"
#include "core/vm.h"
#include "dev/lsilogic.h"

struct blk_backend *vmk_backend_ram(void *bytes, uint64_t size, bool readonly, char *error, size_t error_size)
{
    struct blk_backend *be = calloc(1, sizeof(*be));
    int rc = be ? blk_ramdisk(be, bytes, size, readonly) : VMK_ENOMEM;
    if (!rc)
        return be;
    snprintf(error, error_size, "a disk of %llu bytes in memory: %s", (unsigned long long)size,
             rc == VMK_ENOMEM ? "no memory" : "give a multiple of 512 up to 1 TiB");
    free(be);
    return NULL;
}

uint64_t vmk_backend_size(const struct blk_backend *backend)
{
    return backend->size;
}

void vmk_backend_close(struct blk_backend *backend)
{
    if (!backend)
        return;
    backend->ops->close(backend->ctx);
    free(backend);
}

static struct dev *adapter_of(struct vm *vm, uint32_t adapter)
{
    struct dev *d = board_find(vm->board, "lsilogic", adapter);
    vm->error[0] = 0;
    if (!d)
        snprintf(vm->error, sizeof(vm->error), "there is no SCSI adapter %u: this VM has %u", adapter,
                 vm->board->cfg.scsi_adapters);
    return d;
}

int vmk_disk_attach(struct vm *vm, uint32_t adapter, uint32_t target, uint32_t lun,
                    struct blk_backend *backend, const struct vmk_disk_config *config)
{
    struct dev *d = adapter_of(vm, adapter);
    int rc = d ? lsilogic_attach(d, target, lun, backend, config) : VMK_EINVAL;
    if (!rc)
        free(backend);
    return rc;
}

int vmk_disk_detach(struct vm *vm, uint32_t adapter, uint32_t target, uint32_t lun)
{
    struct dev *d = adapter_of(vm, adapter);
    return d ? lsilogic_detach(d, target, lun) : VMK_EINVAL;
}

int vmk_disk_insert(struct vm *vm, uint32_t adapter, uint32_t target, uint32_t lun,
                    struct blk_backend *backend)
{
    struct dev *d = adapter_of(vm, adapter);
    int rc = d ? lsilogic_insert(d, target, lun, backend) : VMK_EINVAL;
    if (!rc)
        free(backend);
    return rc;
}

void vmk_disks_quiesce(struct vm *vm)
{
    struct dev *d;
    for (unsigned n = 0; (d = board_find(vm->board, "lsilogic", n)); n++)
        for (unsigned i = 0; i < LSI_TARGETS * LSI_LUNS; i++)
            if (lsilogic_disk(d, i / LSI_LUNS, i % LSI_LUNS))
                blk_quiesce(lsilogic_disk(d, i / LSI_LUNS, i % LSI_LUNS));
}

int vmk_disk_stats(struct vm *vm, uint32_t adapter, uint32_t target, uint32_t lun, struct vmk_disk_stats *out)
{
    struct dev *d = adapter_of(vm, adapter);
    struct blk *blk = d ? lsilogic_disk(d, target, lun) : NULL;
    struct blk_counters c;
    if (d && !blk)
        snprintf(vm->error, sizeof(vm->error), "SCSI adapter %u, target %u, LUN %u: there is no disk",
                 adapter, target, lun);
    if (!blk)
        return VMK_EINVAL;
    blk_counters(blk, &c);
    *out = (struct vmk_disk_stats){
        .reads = c.reads, .writes = c.writes, .flushes = c.flushes, .discards = c.discards,
        .read_bytes = c.read_bytes, .written_bytes = c.written_bytes, .errors = c.errors,
    };
    blk_last_error(blk, out->last_error);
    return VMK_OK;
}
