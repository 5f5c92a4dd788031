/* The request queue of one disk: worker threads on the host's side, VM time on the guest's. See blk/blk.h for
 * what it promises.
 *
 * Requests stand in one list in the order of submission until the vCPU thread has ended them. A worker takes
 * the first that no earlier unfinished one holds back. The list is short (BLK_QUEUE_MAX) and walked; what is
 * on disk costs more than that. Leaves out what a request means to a guest (dev/scsi_*.c) and how bytes reach
 * the host (the backends). */
#define _GNU_SOURCE
#include "blk/blk.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "blk/cost.h"
#include "core/board.h"

#define WORKERS 4 /* per disk, started when there is work for them */
#define SECTOR 512u
#define ZERO_CHUNK 65536u

enum phase { QUEUED, RUNNING, ENDED };

struct blk {
    struct board *board;
    uint32_t adapter;   /* index of the chip that is woken */
    struct blk_backend backend;
    pthread_mutex_t lock;
    pthread_cond_t work, ended;
    struct blk_req *head;
    unsigned inflight, workers, idle, limit;
    bool closing, woken, more; /* more: finished requests are left over from the last look */
    uint64_t order;
    struct blk_counters counters;
    char error[160];
    pthread_t thread[WORKERS];
};

/* ---- on a worker ---- */

static int write_zeroes(const struct blk_backend *be, const struct blk_req *req, char err[160])
{
    static const uint8_t zero[ZERO_CHUNK];
    int status = BLK_OK;
    if (be->ops->write_zeroes)
        return be->ops->write_zeroes(be->ctx, req->off, req->len, err);
    for (uint64_t done = 0; done < req->len && status == BLK_OK; done += ZERO_CHUNK) {
        uint64_t n = req->len - done < ZERO_CHUNK ? req->len - done : ZERO_CHUNK;
        status = be->ops->write(be->ctx, req->off + done, zero, n, err);
    }
    return status;
}

static int perform(const struct blk_backend *be, const struct blk_req *req, char err[160])
{
    int status = BLK_OK;
    if (be->readonly && req->op != BLK_READ && req->op != BLK_FLUSH)
        return BLK_EREADONLY;
    switch (req->op) {
    case BLK_READ: return be->ops->read(be->ctx, req->off, req->buf, req->len, err);
    case BLK_WRITE: status = be->ops->write(be->ctx, req->off, req->buf, req->len, err); break;
    case BLK_FLUSH: return be->readonly ? BLK_OK : be->ops->flush(be->ctx, err);
    case BLK_DISCARD:
        if (be->ops->discard)
            status = be->ops->discard(be->ctx, req->off, req->len, err);
        break;
    case BLK_WRITE_ZEROES: status = write_zeroes(be, req, err); break;
    }
    return status == BLK_OK && req->fua ? be->ops->flush(be->ctx, err) : status;
}

static bool overlap(const struct blk_req *a, const struct blk_req *b)
{
    return a->off < b->off + b->len && b->off < a->off + a->len;
}

static bool held_back(const struct blk *blk, const struct blk_req *req)
{
    for (const struct blk_req *r = blk->head; r != req; r = r->next)
        if (r->phase != ENDED && (req->op == BLK_FLUSH || (r->op != BLK_FLUSH && overlap(r, req))))
            return true;
    return false;
}

static struct blk_req *next_ready(const struct blk *blk)
{
    for (struct blk_req *r = blk->head; r; r = r->next)
        if (r->phase == QUEUED && !held_back(blk, r))
            return r;
    return NULL;
}

static void count(struct blk *blk, const struct blk_req *req)
{
    struct blk_counters *c = &blk->counters;
    uint64_t *const which[] = {
        [BLK_READ] = &c->reads, [BLK_WRITE] = &c->writes, [BLK_FLUSH] = &c->flushes,
        [BLK_DISCARD] = &c->discards, [BLK_WRITE_ZEROES] = &c->discards,
    };
    ++*which[req->op];
    c->errors += req->status != BLK_OK;
    c->read_bytes += req->op == BLK_READ ? req->len : 0;
    c->written_bytes += req->op == BLK_WRITE ? req->len : 0;
}

/* Real time: tells the adapter, once until it has looked. A full inbox is drained within milliseconds. */
static void wake(struct blk *blk)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    struct board *b = blk->board;
    struct inbox_msg msg = {.kind = INBOX_WAKE, .dev = (int32_t)blk->adapter};
    while (inbox_post(&b->inbox, &msg)) {
        pthread_mutex_lock(&blk->lock);
        bool closing = blk->closing;
        pthread_mutex_unlock(&blk->lock);
        if (closing)
            return;
        nanosleep(&pause, NULL);
    }
    b->cpu->wake(b->cpu_ctx);
}

/* Called and left with the lock held. */
static void run_one(struct blk *blk, struct blk_req *req)
{
    char err[160] = "";
    req->phase = RUNNING;
    pthread_mutex_unlock(&blk->lock);
    int status = perform(&blk->backend, req, err);
    pthread_mutex_lock(&blk->lock);
    req->status = status;
    req->phase = ENDED;
    if (status != BLK_OK)
        snprintf(blk->error, sizeof(blk->error), "%s", err);
    count(blk, req);
    pthread_cond_broadcast(&blk->ended);
    if (next_ready(blk))
        pthread_cond_signal(&blk->work);
    if (blk->board->clock.mode != CLOCK_REAL || blk->woken)
        return;
    blk->woken = true;
    pthread_mutex_unlock(&blk->lock);
    wake(blk);
    pthread_mutex_lock(&blk->lock);
}

static void *work(void *arg)
{
    struct blk *blk = arg;
    pthread_mutex_lock(&blk->lock);
    for (;;) {
        struct blk_req *req = next_ready(blk);
        if (req) {
            run_one(blk, req);
            continue;
        }
        if (blk->closing)
            break;
        blk->idle++;
        pthread_cond_wait(&blk->work, &blk->lock);
        blk->idle--;
    }
    pthread_mutex_unlock(&blk->lock);
    return NULL;
}

/* Signals are for the threads that have handlers' business to do, not for ours. */
static int start_worker(struct blk *blk)
{
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&blk->thread[blk->workers], NULL, work, blk);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc == 0)
        blk->workers++;
    return rc;
}

/* ---- on the vCPU thread ---- */

struct blk *blk_open(struct dev *adapter, const struct blk_backend *backend)
{
    struct board *b = adapter->board;
    if (!backend->size || backend->size % SECTOR) {
        board_fail(b, VMK_EINVAL, "a disk of %llu bytes is not a multiple of 512 above 0",
                   (unsigned long long)backend->size);
        return NULL;
    }
    struct blk *blk = calloc(1, sizeof(*blk));
    if (!blk) {
        board_fail(b, VMK_ENOMEM, "no memory for a disk's queue");
        return NULL;
    }
    blk->board = b;
    blk->adapter = adapter->index;
    blk->backend = *backend;
    blk->limit = backend->serial ? 1 : WORKERS;
    pthread_mutex_init(&blk->lock, NULL);
    pthread_cond_init(&blk->work, NULL);
    pthread_cond_init(&blk->ended, NULL);
    return blk;
}

void blk_close(struct blk *blk)
{
    if (!blk)
        return;
    blk_cancel(blk, NULL);
    pthread_mutex_lock(&blk->lock);
    blk->closing = true;
    pthread_cond_broadcast(&blk->work);
    pthread_mutex_unlock(&blk->lock);
    for (unsigned i = 0; i < blk->workers; i++)
        pthread_join(blk->thread[i], NULL);
    blk->backend.ops->close(blk->backend.ctx);
    pthread_cond_destroy(&blk->ended);
    pthread_cond_destroy(&blk->work);
    pthread_mutex_destroy(&blk->lock);
    free(blk);
}

const struct blk_backend *blk_info(const struct blk *blk)
{
    return &blk->backend;
}

/* A disk moves one request's bytes at a time: it is free when all in flight have moved theirs. A flush ends
 * after all before it. Both are functions of what is in flight, so a restored queue goes on alike. */
static uint64_t model_due(const struct blk *blk, const struct blk_req *req)
{
    uint64_t start = board_now(blk->board);
    for (const struct blk_req *r = blk->head; r; r = r->next) {
        uint64_t until = req->op == BLK_FLUSH ? r->due : r->due - blk_fixed_ns(r);
        start = until > start ? until : start;
    }
    return start + blk_transfer_ns(req) + blk_fixed_ns(req);
}

static bool in_range(const struct blk *blk, const struct blk_req *req)
{
    return (unsigned)req->op <= BLK_WRITE_ZEROES && req->off % SECTOR == 0 && req->len % SECTOR == 0 &&
           req->off <= blk->backend.size && req->len <= blk->backend.size - req->off;
}

static int append(struct blk *blk, struct blk_req *req)
{
    struct blk_req **end = &blk->head;
    if (blk->inflight >= BLK_QUEUE_MAX)
        return VMK_EBUSY;
    if (!blk->idle && blk->workers < blk->limit && start_worker(blk) && !blk->workers)
        return VMK_ENOMEM;
    while (*end)
        end = &(*end)->next;
    *end = req;
    blk->inflight++;
    pthread_cond_signal(&blk->work);
    return VMK_OK;
}

int blk_resubmit(struct blk *blk, struct blk_req *req, uint64_t due)
{
    if (!in_range(blk, req))
        return VMK_EINVAL;
    if (req->op == BLK_FLUSH)
        req->off = req->len = 0;
    req->next = NULL;
    req->phase = QUEUED;
    req->status = BLK_OK;
    pthread_mutex_lock(&blk->lock);
    req->order = blk->order++;
    req->due = blk->board->clock.mode == CLOCK_REAL ? 0 : due ? due : model_due(blk, req);
    int rc = append(blk, req);
    pthread_mutex_unlock(&blk->lock);
    return rc;
}

int blk_submit(struct blk *blk, struct blk_req *req)
{
    return blk_resubmit(blk, req, 0);
}

static void unlink_req(struct blk *blk, struct blk_req *req)
{
    struct blk_req **at = &blk->head;
    while (*at != req)
        at = &(*at)->next;
    *at = req->next;
    blk->inflight--;
}

static void await(struct blk *blk, const struct blk_req *req)
{
    while (req->phase != ENDED)
        pthread_cond_wait(&blk->ended, &blk->lock);
}

void blk_cancel(struct blk *blk, void *owner)
{
    for (;;) {
        pthread_mutex_lock(&blk->lock);
        struct blk_req *req = blk->head;
        while (req && owner && req->owner != owner)
            req = req->next;
        if (req && (req->phase != QUEUED || blk->board->clock.mode != CLOCK_REAL))
            await(blk, req);
        if (req)
            unlink_req(blk, req);
        if (next_ready(blk))
            pthread_cond_signal(&blk->work);
        pthread_mutex_unlock(&blk->lock);
        if (!req)
            return;
        req->done(req, BLK_ECANCELLED);
    }
}

static bool is_due(const struct blk *blk, const struct blk_req *req, uint64_t now)
{
    return blk->board->clock.mode == CLOCK_REAL ? req->phase == ENDED : req->due <= now;
}

/* Off the list: the earliest that is due, or NULL. Waits for the host where the model was faster. */
static struct blk_req *take_due(struct blk *blk, uint64_t now)
{
    struct blk_req *first = NULL;
    pthread_mutex_lock(&blk->lock);
    blk->woken = false;
    for (struct blk_req *r = blk->head; r; r = r->next)
        if (is_due(blk, r, now) && (!first || r->due < first->due))
            first = r;
    if (first) {
        await(blk, first);
        unlink_req(blk, first);
    }
    pthread_mutex_unlock(&blk->lock);
    return first;
}

void blk_run_due(struct blk *blk, uint64_t now)
{
    blk->more = false;
    for (unsigned n = 0; n < 2 * BLK_QUEUE_MAX; n++) {
        struct blk_req *req = take_due(blk, now);
        if (!req)
            return;
        req->done(req, req->status);
    }
    blk->more = true;
}

/* Only the vCPU thread changes the list, so it walks it without the lock; phases are the workers'. */
uint64_t blk_deadline(const struct blk *blk)
{
    uint64_t first = DEV_NEVER;
    if (blk->board->clock.mode == CLOCK_REAL)
        return blk->more ? 0 : blk->head ? DEV_NEVER - 1 : DEV_NEVER;
    for (const struct blk_req *r = blk->head; r; r = r->next)
        first = r->due < first ? r->due : first;
    return first;
}

void blk_quiesce(struct blk *blk)
{
    pthread_mutex_lock(&blk->lock);
    for (const struct blk_req *r = blk->head; r; r = r->next)
        await(blk, r);
    pthread_mutex_unlock(&blk->lock);
}

void blk_counters(struct blk *blk, struct blk_counters *out)
{
    pthread_mutex_lock(&blk->lock);
    *out = blk->counters;
    pthread_mutex_unlock(&blk->lock);
}

void blk_last_error(struct blk *blk, char text[160])
{
    pthread_mutex_lock(&blk->lock);
    memcpy(text, blk->error, sizeof(blk->error));
    pthread_mutex_unlock(&blk->lock);
}
