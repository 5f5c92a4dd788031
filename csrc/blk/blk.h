/* A disk as its adapter sees it: a backend that moves bytes, behind a bounded queue that keeps them
 * honest.
 *
 * Two interfaces. Below, `struct blk_ops`: a format or a file, written as plain blocking calls; they run
 * on a worker thread and know nothing of the VM. Above, blk_submit(): an adapter hands in a request on the
 * vCPU thread and hears of its end on the vCPU thread, through its board's deadline. Guest memory is never
 * touched by a worker: a request owns a host buffer, the adapter copies from the guest before it submits a
 * write and to the guest after a read has ended.
 *
 * When a request ends is decided by VM time, not by the host: in virtual time each has a modelled duration
 * (blk/cost.h), and if the host is slower than the model the vCPU thread waits for it at that moment. So
 * two runs see the same completions at the same instructions. In real time it ends when the host has done
 * it.
 *
 * Order: requests may run side by side, except that a FLUSH starts when all earlier ones have ended, and
 * that a request whose range overlaps an earlier one's waits for it. A write is durable when a later
 * FLUSH, or its own FUA, has ended; not before. */
#ifndef VMK_BLK_BLK_H
#define VMK_BLK_BLK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct board;
struct dev;

enum blk_op {
    BLK_READ = 0,
    BLK_WRITE = 1,
    BLK_FLUSH = 2,
    BLK_DISCARD = 3, /* contents become zero or stay; the backend says which by discard_zeroes */
    BLK_WRITE_ZEROES = 4,
};

/* How a request failed; the adapter turns it into sense data. */
enum blk_status {
    BLK_OK = 0,
    BLK_EIO = 1,    /* medium error */
    BLK_ENOSPC = 2, /* the host's disk is full */
    BLK_EREADONLY = 3,
    BLK_ECANCELLED = 4, /* the adapter was reset or the disk was pulled */
};

/* Blocking; called from several worker threads at once unless `serial` is set. Offsets and lengths are
 * within `size` and multiples of 512 (the queue checks). Each returns an enum blk_status and, on failure,
 * puts one line into err. */
struct blk_ops {
    const char *name; /* "raw", "vmdk", … */
    int (*read)(void *ctx, uint64_t off, void *buf, size_t len, char err[160]);
    int (*write)(void *ctx, uint64_t off, const void *buf, size_t len, char err[160]);
    int (*flush)(void *ctx, char err[160]);
    int (*discard)(void *ctx, uint64_t off, uint64_t len, char err[160]); /* NULL: accepted, no effect */
    int (*write_zeroes)(void *ctx, uint64_t off, uint64_t len, char err[160]); /* NULL: written as data */
    /* The extent from `off` on that is allocated here or is not: its length in *len. NULL: all is
     * allocated. */
    int (*map)(void *ctx, uint64_t off, uint64_t *len, bool *allocated, char err[160]);
    void (*close)(void *ctx);
};

struct blk_backend {
    const struct blk_ops *ops;
    void *ctx;
    uint64_t size; /* bytes, a multiple of 512 */
    bool readonly, serial, thin, discard_zeroes;
};

struct blk_req {
    enum blk_op op;
    bool fua; /* a write that ends only when it is durable */
    uint64_t off;
    uint64_t len; /* DISCARD and WRITE_ZEROES: no buffer, so any length */
    uint8_t *buf; /* len bytes for READ and WRITE; belongs to the requester until done() */
    /* On the vCPU thread. May submit again. `status` is an enum blk_status. */
    void (*done)(struct blk_req *req, int status);
    void *owner;
    /* The queue's own. */
    struct blk_req *next;
    uint64_t due, order;
    int status;
    uint32_t phase;
};

struct blk;

#define BLK_QUEUE_MAX 256 /* requests in flight per disk */

/* A disk of the chip `adapter`; takes over `backend` (closed by blk_close). In real time the adapter hears of
 * finished requests by INBOX_WAKE in its event slot. NULL with board->error set. */
struct blk *blk_open(struct dev *adapter, const struct blk_backend *backend);
/* Waits for the host to finish what is in flight, ends it as BLK_ECANCELLED, closes the backend. */
void blk_close(struct blk *blk);

const struct blk_backend *blk_info(const struct blk *blk);

/* 0, or VMK_EBUSY when BLK_QUEUE_MAX are in flight, or VMK_EINVAL for a range outside the disk. done() is
 * never called from inside blk_submit(). */
int blk_submit(struct blk *blk, struct blk_req *req);

/* The same for a request that was in flight when the VM was saved: `due` is what blk_due() said then. */
int blk_resubmit(struct blk *blk, struct blk_req *req, uint64_t due);

/* The VM time at which a request in flight ends; 0 in real time. */
static inline uint64_t blk_due(const struct blk_req *req)
{
    return req->due;
}

/* Ends every request of `owner` (NULL: all) as BLK_ECANCELLED, now; buffers are safe to free on return.
 * What was submitted has reached the host all the same, except in real time what it had not begun: which
 * of them it had would otherwise tell the guest about the host's speed. */
void blk_cancel(struct blk *blk, void *owner);

/* For the adapter's deadline and tick slots: when the next request ends (DEV_NEVER if none is in flight;
 * in real time DEV_NEVER - 1 if one is, a VM that waits for it is not idle, and the worker wakes the vCPU
 * through the inbox), and ending those that are due. */
uint64_t blk_deadline(const struct blk *blk);
void blk_run_due(struct blk *blk, uint64_t now);

/* Waits until the host has nothing left to do (before a snapshot); due requests then end at the next
 * blk_run_due(). */
void blk_quiesce(struct blk *blk);

struct blk_counters {
    uint64_t reads, writes, flushes, discards, read_bytes, written_bytes, errors;
};
void blk_counters(struct blk *blk, struct blk_counters *out);

/* The backend's text for its last failed request; empty if none has failed. */
void blk_last_error(struct blk *blk, char text[160]);

/* A disk in memory: `bytes` belongs to the caller and outlives the disk, or is NULL for zeroes of our own.
 * Fills *out; 0 or a negative vmk_error. */
int blk_ramdisk(struct blk_backend *out, void *bytes, uint64_t size, bool readonly);

#endif
