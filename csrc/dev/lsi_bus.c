/* The places on an LSI Logic adapter's bus, and the disks that come and go.
 *
 * A place is a target and a LUN. Parallel SCSI has no way to tell a host of a new disk: it looks for itself
 * (rescan) and finds a unit attention. The SAS1068 sends events. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dev/lsi_private.h"

#define DISK_BLOCK 512
#define CD_BLOCK 2048

static struct scsi_unit *unit_at(struct dev *d, unsigned target, unsigned lun)
{
    return target < LSI_TARGETS && lun < LSI_LUNS ? &lsi_host_of(d)->unit[target][lun] : NULL;
}

uint8_t lsi_luns(struct dev *d, unsigned target)
{
    uint8_t luns = 0;
    for (unsigned lun = 0; lun < LSI_LUNS; lun++)
        luns |= (uint8_t)((lsi_host_of(d)->unit[target][lun].kind != SCSI_ABSENT) << lun);
    return luns;
}

bool lsi_target_present(struct dev *d, unsigned target)
{
    return target < LSI_TARGETS && lsi_luns(d, target);
}

struct blk *lsilogic_disk(struct dev *d, unsigned target, unsigned lun)
{
    struct scsi_unit *u = unit_at(d, target, lun);
    return u ? u->blk : NULL;
}

static void list_disks(struct dev *d)
{
    struct lsi_host *h = lsi_host_of(d);
    h->disks = 0;
    for (unsigned i = 0; i < LSI_TARGETS * LSI_LUNS; i++)
        if (h->unit[i / LSI_LUNS][i % LSI_LUNS].blk)
            h->disk[h->disks++] = h->unit[i / LSI_LUNS][i % LSI_LUNS].blk;
}

/* ---- who is told ---- */

/* The other LUNs' host learns by a unit attention that the list has changed. */
static void tell_neighbours(struct dev *d, unsigned target, unsigned lun)
{
    for (unsigned other = 0; other < LSI_LUNS; other++) {
        struct scsi_unit *u = &lsi_host_of(d)->unit[target][other];
        if (other != lun && u->kind != SCSI_ABSENT)
            scsi_attention(u, SENSE_LUNS_CHANGED);
    }
}

/* ---- attach and detach ---- */

static int refuse(struct dev *d, unsigned target, unsigned lun, const char *why)
{
    return board_fail(d->board, VMK_EINVAL, "SCSI adapter %u, target %u, LUN %u: %s", d->instance, target,
                      lun, why);
}

static int check_place(struct dev *d, unsigned target, unsigned lun)
{
    const struct lsi_model *m = lsi_host_of(d)->model;
    if (target >= m->max_devices || lun >= LSI_LUNS)
        return refuse(d, target, lun, m->sas ? "targets are 0 to 15 and LUNs 0 to 7"
                                             : "targets are 0 to 15 but 7, and LUNs 0 to 7");
    if (!m->sas && target == LSI_OWN_ID)
        return refuse(d, target, lun, "target 7 is the adapter itself");
    if (lsi_host_of(d)->unit[target][lun].kind != SCSI_ABSENT)
        return refuse(d, target, lun, "the place is taken");
    return VMK_OK;
}

static int check_text(struct dev *d, unsigned target, unsigned lun, const char *text, size_t room, size_t max)
{
    size_t n = strnlen(text, room);
    if (n > max)
        return refuse(d, target, lun, "a serial number has at most 36 characters, a product name 16");
    for (size_t i = 0; i < n; i++)
        if (text[i] < ' ' || text[i] > '~')
            return refuse(d, target, lun, "serial number and product name are printable ASCII");
    return VMK_OK;
}

static int put_medium(struct dev *d, struct scsi_unit *u, const struct blk_backend *backend)
{
    struct blk *blk = NULL;
    if (backend && backend->size < u->block)
        return board_fail(d->board, VMK_EINVAL, "a medium of %llu bytes has no block of %u",
                          (unsigned long long)backend->size, u->block);
    if (backend && !(blk = blk_open(d, backend)))
        return VMK_EINVAL;
    u->blk = blk;
    u->blocks = backend ? backend->size / u->block : 0;
    u->readonly = !backend || backend->readonly || u->kind == SCSI_CDROM;
    return VMK_OK;
}

int lsilogic_attach(struct dev *d, unsigned target, unsigned lun, const struct blk_backend *backend,
                    const struct vmk_disk_config *config)
{
    int rc = check_place(d, target, lun);
    if (rc || (rc = check_text(d, target, lun, config->serial, sizeof(config->serial), SCSI_SERIAL_BYTES)) ||
        (rc = check_text(d, target, lun, config->product, sizeof(config->product), SCSI_PRODUCT_BYTES)))
        return rc;
    if (config->kind > VMK_DISK_CDROM || (config->kind == VMK_DISK_DISK && !backend))
        return refuse(d, target, lun, "a disk needs a backend; a CD drive may be empty");
    struct scsi_unit *u = unit_at(d, target, lun), fresh = {
        .state = &lsi_of(d)->unit[target][lun],
        .kind = config->kind == VMK_DISK_CDROM ? SCSI_CDROM : SCSI_DISK,
        .block = config->kind == VMK_DISK_CDROM ? CD_BLOCK : DISK_BLOCK,
        .parallel = !lsi_host_of(d)->model->sas,
        .address = (uint16_t)(d->instance << 8 | target << 4 | lun),
    };
    bool first = !lsi_target_present(d, target);
    memcpy(fresh.serial, config->serial, strnlen(config->serial, SCSI_SERIAL_BYTES));
    memcpy(fresh.product, config->product, strnlen(config->product, SCSI_PRODUCT_BYTES));
    if ((rc = put_medium(d, &fresh, backend)))
        return rc;
    *u = fresh;
    list_disks(d);
    scsi_reset(u);
    tell_neighbours(d, target, lun);
    if (first && lsi_host_of(d)->model->sas)
        lsi_sas_tell(d, target, true);
    dev_rearm(d);
    return VMK_OK;
}

int lsilogic_detach(struct dev *d, unsigned target, unsigned lun)
{
    struct scsi_unit *u = unit_at(d, target, lun);
    if (!u || u->kind == SCSI_ABSENT)
        return refuse(d, target, lun, "there is no disk");
    lsi_io_end_unit(d, target, lun);
    blk_close(u->blk);
    memset(u->state, 0, sizeof(*u->state));
    *u = (struct scsi_unit){0};
    list_disks(d);
    tell_neighbours(d, target, lun);
    if (lsi_host_of(d)->model->sas && !lsi_target_present(d, target))
        lsi_sas_tell(d, target, false);
    dev_rearm(d);
    return VMK_OK;
}

int lsilogic_insert(struct dev *d, unsigned target, unsigned lun, const struct blk_backend *backend)
{
    struct scsi_unit *u = unit_at(d, target, lun);
    if (!u || u->kind != SCSI_CDROM)
        return refuse(d, target, lun, "there is no CD drive");
    struct blk *old = u->blk;
    lsi_io_end_unit(d, target, lun);
    int rc = put_medium(d, u, backend);
    if (rc) {
        u->blk = old;
        return rc;
    }
    blk_close(old);
    list_disks(d);
    scsi_medium_changed(u);
    dev_rearm(d);
    return VMK_OK;
}

/* ---- for the chip ---- */

/* The chip's state was reset: each unit's with it. */
void lsi_bus_reset(struct dev *d)
{
    for (unsigned i = 0; i < LSI_TARGETS * LSI_LUNS; i++) {
        struct scsi_unit *u = unit_at(d, i / LSI_LUNS, i % LSI_LUNS);
        if (u->kind != SCSI_ABSENT)
            scsi_reset(u);
    }
}

void lsi_bus_close(struct dev *d)
{
    for (unsigned i = 0; i < lsi_host_of(d)->disks; i++)
        blk_close(lsi_host_of(d)->disk[i]);
}

uint64_t lsi_bus_deadline(struct dev *d)
{
    const struct lsi_host *h = lsi_host_of(d);
    uint64_t first = DEV_NEVER;
    for (unsigned i = 0; i < h->disks; i++) {
        uint64_t due = blk_deadline(h->disk[i]);
        first = due < first ? due : first;
    }
    return first;
}

void lsi_bus_run_due(struct dev *d, uint64_t now)
{
    for (unsigned i = 0; i < lsi_host_of(d)->disks; i++)
        blk_run_due(lsi_host_of(d)->disk[i], now);
}
