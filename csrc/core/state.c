/* Saving and restoring a chip through its field table.
 *
 * Owns the record format: name (16 bytes), version, instance, payload length (u32 each), then every field's
 * elements in table order, little-endian. The host is little-endian too (the engine is x86-64 only), so
 * elements are copied as they are. Leaves out: RAM and CPU state, which have their own images. */
#include "core/state.h"

#include <string.h>

#include "core/board.h"

#define NAME_BYTES 16

struct record_header {
    char name[NAME_BYTES];
    uint32_t version, instance, length;
};

static uint32_t payload_size(const struct dev_class *cls)
{
    uint32_t total = 0;
    for (uint32_t i = 0; i < cls->nfields; i++)
        total += cls->fields[i].size * cls->fields[i].count;
    return total;
}

int state_check(const struct dev_class *cls, const char **bad)
{
    uint32_t end = 0;
    for (uint32_t i = 0; i < cls->nfields; i++) {
        const struct state_field *f = &cls->fields[i];
        *bad = f->name;
        if (f->offset != end || (f->size & (f->size - 1)) || f->size > 8 || !f->size)
            return -1;
        end += f->size * f->count;
    }
    *bad = "(end of the struct)";
    return end == cls->size ? 0 : -1;
}

size_t state_size(const struct dev_class *cls)
{
    return sizeof(struct record_header) + payload_size(cls);
}

void state_save(const struct dev *d, uint8_t *out)
{
    struct record_header h = {
        .version = d->cls->version, .instance = d->instance, .length = payload_size(d->cls)};
    memcpy(h.name, d->cls->name, strnlen(d->cls->name, NAME_BYTES));
    memcpy(out, &h, sizeof(h));
    out += sizeof(h);
    for (uint32_t i = 0; i < d->cls->nfields; i++) {
        const struct state_field *f = &d->cls->fields[i];
        memcpy(out, (const uint8_t *)d->state + f->offset, (size_t)f->size * f->count);
        out += (size_t)f->size * f->count;
    }
}

int state_load(struct dev *d, const uint8_t *in, size_t len)
{
    struct record_header h;
    if (len < state_size(d->cls))
        return VMK_ESTATE;
    memcpy(&h, in, sizeof(h));
    if (strncmp(h.name, d->cls->name, NAME_BYTES) || h.version != d->cls->version ||
        h.instance != d->instance || h.length != payload_size(d->cls))
        return VMK_ESTATE;
    in += sizeof(h);
    for (uint32_t i = 0; i < d->cls->nfields; i++) {
        const struct state_field *f = &d->cls->fields[i];
        memcpy((uint8_t *)d->state + f->offset, in, (size_t)f->size * f->count);
        in += (size_t)f->size * f->count;
    }
    return VMK_OK;
}
