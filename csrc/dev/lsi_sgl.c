/* Scatter-gather lists of the LSI Logic adapter: where in guest memory one command's data lies.
 *
 * Follows MPI 1.2, section "scatter gather elements": simple elements with 32- and 64-bit addresses,
 * chains in the frame's tail and in guest memory. Each chain segment is copied once and then read from the
 * copy. Lists are as long as the guest says, so elements and chains are counted. */
#include <stdlib.h>
#include <string.h>

#include "dev/lsi_private.h"

#define IO_SGL 0x30       /* where it starts in a SCSI_IO frame */
#define IO_CHAIN_OFFSET 2
#define MAX_ELEMENTS 4096
#define MAX_CHAINS 256
#define CHAIN_BYTES 4096  /* of one segment */

#define SGE_LAST (1u << 31)
#define SGE_END_OF_LIST (1u << 24)
#define SGE_64 (1u << 25)
#define SGE_TYPE(word) ((word) >> 28 & 3)
#define SGE_LENGTH(word) ((word) & 0xffffff)
enum { TYPE_SIMPLE = 1, TYPE_CHAIN = 3 };

/* A segment of the list, in our copy. */
struct walk {
    uint8_t bytes[CHAIN_BYTES];
    unsigned length, at;
    unsigned chain; /* where its chain element is; 0 = it has none */
    unsigned elements, chains;
};

static int add(struct lsi_task *task, uint64_t address, uint32_t length)
{
    if (task->segments == LSI_SEGMENTS)
        return IOC_INVALID_SGL;
    if (!(task->segments & (task->segments - 1))) { /* room doubles at each power of two */
        size_t room = task->segments ? 2 * (size_t)task->segments : 1;
        struct lsi_segment *grown = realloc(task->segment, room * sizeof(*grown));
        if (!grown)
            return IOC_BUSY;
        task->segment = grown;
    }
    task->segment[task->segments++] = (struct lsi_segment){.address = address, .length = length};
    return IOC_SUCCESS;
}

static int load_chain(struct dev *d, struct walk *w)
{
    const uint8_t *e = w->bytes + w->at;
    bool wide = w->at + 4 <= w->length && e[3] & 2;
    if (w->at + 8 + (wide ? 4 : 0) > w->length || ++w->chains > MAX_CHAINS ||
        SGE_TYPE(get32(e)) != TYPE_CHAIN)
        return IOC_INVALID_SGL;
    uint64_t address = wide ? get64(e + 4) : get32(e + 4);
    unsigned length = get16(e), next = 4u * e[2];
    if (!length || length > CHAIN_BYTES || next >= length || ram_read(d->board, address, w->bytes, length))
        return IOC_INVALID_SGL;
    w->length = length;
    w->at = 0;
    w->chain = next;
    return IOC_SUCCESS;
}

/* The element at w->at and the step to the next: *end is set by the list's last. */
static int take(struct dev *d, struct walk *w, struct lsi_task *task, uint32_t *left, bool *end)
{
    if (w->at + 8 > w->length || ++w->elements > MAX_ELEMENTS)
        return IOC_INVALID_SGL;
    const uint8_t *e = w->bytes + w->at;
    uint32_t word = get32(e), length = SGE_LENGTH(word), size = word & SGE_64 ? 12 : 8;
    if (SGE_TYPE(word) == TYPE_CHAIN)
        return load_chain(d, w);
    if (SGE_TYPE(word) != TYPE_SIMPLE || w->at + size > w->length)
        return IOC_INVALID_SGL;
    length = length < *left ? length : *left;
    int rc = length ? add(task, word & SGE_64 ? get64(e + 4) : get32(e + 4), length) : IOC_SUCCESS;
    *left -= length;
    *end = word & SGE_END_OF_LIST;
    w->at += size;
    if (rc || *end || !(word & SGE_LAST))
        return rc;
    if (!w->chain) /* the last of its segment, and nothing behind it */
        return *left ? IOC_INVALID_SGL : IOC_SUCCESS;
    w->at = w->chain;
    return IOC_SUCCESS;
}

int lsi_sgl_parse(struct dev *d, const uint8_t *frame, uint32_t wanted, struct lsi_task *task)
{
    struct walk w = {.length = LSI_FRAME_BYTES, .at = IO_SGL, .chain = 4u * frame[IO_CHAIN_OFFSET]};
    bool end = false;
    int rc = IOC_SUCCESS;
    memcpy(w.bytes, frame, LSI_FRAME_BYTES);
    while (wanted && !end && !rc)
        rc = take(d, &w, task, &wanted, &end);
    return rc ? rc : wanted ? IOC_INVALID_SGL : IOC_SUCCESS;
}

int lsi_sgl_to_host(struct dev *d, const struct lsi_task *task, uint8_t *buffer, uint32_t bytes)
{
    uint32_t done = 0;
    for (uint32_t i = 0; i < task->segments && done < bytes; i++) {
        uint32_t n = task->segment[i].length < bytes - done ? task->segment[i].length : bytes - done;
        if (ram_read(d->board, task->segment[i].address, buffer + done, n))
            return IOC_INVALID_SGL;
        done += n;
    }
    return done == bytes ? IOC_SUCCESS : IOC_INVALID_SGL;
}

int lsi_sgl_to_guest(struct dev *d, const struct lsi_task *task, const uint8_t *buffer, uint32_t bytes)
{
    uint32_t done = 0;
    for (uint32_t i = 0; i < task->segments && done < bytes; i++) {
        uint32_t n = task->segment[i].length < bytes - done ? task->segment[i].length : bytes - done;
        if (ram_write(d->board, task->segment[i].address, buffer + done, n))
            return IOC_INVALID_SGL;
        done += n;
    }
    return done == bytes ? IOC_SUCCESS : IOC_INVALID_SGL;
}
