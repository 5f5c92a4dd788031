/* The disks' request queue on a manual clock: what is promised about times, order, failures and ends. */
#include <unistd.h>

#include "check.h"
#include "rig.h"

#include "blk/blk.h"
#include "blk/cost.h"

#define DISK_BYTES (1u << 20)

/* A backend that remembers the order of what it did, is slow when told, and fails when told. */
static struct slow {
    uint8_t bytes[DISK_BYTES];
    char log[4096];
    unsigned delay_us;
    int fail;
    bool closed;
    pthread_mutex_t lock;
} slow = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int did(char what, char err[160])
{
    if (slow.delay_us)
        usleep(slow.delay_us);
    pthread_mutex_lock(&slow.lock);
    size_t n = strlen(slow.log);
    if (n + 1 < sizeof(slow.log))
        slow.log[n] = what;
    pthread_mutex_unlock(&slow.lock);
    if (slow.fail)
        snprintf(err, 160, "the medium is bad");
    return slow.fail;
}

static int slow_read(void *ctx, uint64_t off, void *buf, size_t len, char err[160])
{
    (void)ctx;
    memcpy(buf, slow.bytes + off, len);
    return did('r', err);
}

static int slow_write(void *ctx, uint64_t off, const void *buf, size_t len, char err[160])
{
    int rc = did('w', err);
    (void)ctx;
    if (!rc)
        memcpy(slow.bytes + off, buf, len);
    return rc;
}

static int slow_flush(void *ctx, char err[160])
{
    (void)ctx;
    return did('f', err);
}

static void slow_close(void *ctx)
{
    (void)ctx;
    slow.closed = true;
}

static const struct blk_ops slow_ops = {
    .name = "slow", .read = slow_read, .write = slow_write, .flush = slow_flush, .close = slow_close,
};

static struct blk *disk;
static unsigned ends;
static int last_status;
static char end_order[64];

static void done(struct blk_req *req, int status)
{
    end_order[ends++ % sizeof(end_order)] = (char)('0' + (req->owner ? *(int *)req->owner : 0));
    last_status = status;
}

static void begin(bool readonly)
{
    rig_begin();
    slow.delay_us = 0;
    slow.fail = BLK_OK;
    slow.closed = false;
    memset(slow.log, 0, sizeof(slow.log));
    memset(slow.bytes, 0, sizeof(slow.bytes));
    memset(end_order, 0, sizeof(end_order));
    ends = 0;
    struct blk_backend be = {.ops = &slow_ops, .size = DISK_BYTES, .readonly = readonly};
    disk = blk_open(board_find(rig, "ide", 0), &be);
}

static void end(void)
{
    blk_close(disk);
    CHECK(slow.closed);
    rig_end();
}

static void run_until(uint64_t when)
{
    clock_skip_to(&rig->clock, when);
    blk_run_due(disk, board_now(rig));
}

static void ends_when_the_model_says(void)
{
    uint8_t buf[4096] = {1, 2, 3};
    struct blk_req req = {.op = BLK_WRITE, .off = 512, .len = sizeof(buf), .buf = buf, .done = done};
    begin(false);
    CHECK_EQ(blk_submit(disk, &req), VMK_OK);
    CHECK_EQ(ends, 0);
    uint64_t due = blk_fixed_ns(&req) + blk_transfer_ns(&req);
    CHECK_EQ(blk_deadline(disk), due);
    run_until(due - 1);
    CHECK_EQ(ends, 0);
    slow.delay_us = 2000; /* the host may be slower: then it is waited for */
    run_until(due);
    CHECK_EQ(ends, 1);
    CHECK_EQ(last_status, BLK_OK);
    CHECK_EQ(slow.bytes[514], 3);
    CHECK_EQ(blk_deadline(disk), DEV_NEVER);
    end();
}

static void flush_waits_for_all_before_it(void)
{
    static uint8_t buf[8][4096];
    struct blk_req w[8], f = {.op = BLK_FLUSH, .done = done};
    begin(false);
    slow.delay_us = 1000;
    for (unsigned i = 0; i < 8; i++) {
        w[i] = (struct blk_req){.op = BLK_WRITE, .off = i * 4096, .len = 4096, .buf = buf[i], .done = done};
        CHECK_EQ(blk_submit(disk, &w[i]), VMK_OK);
    }
    CHECK_EQ(blk_submit(disk, &f), VMK_OK);
    run_until(SECOND);
    CHECK_EQ(ends, 9);
    CHECK(!strcmp(slow.log, "wwwwwwwwf"));
    end();
}

static void overlapping_requests_keep_their_order(void)
{
    static uint8_t a[8192], b[4096], c[4096];
    memset(a, 'a', sizeof(a));
    memset(b, 'b', sizeof(b));
    struct blk_req first = {.op = BLK_WRITE, .off = 0, .len = sizeof(a), .buf = a, .done = done};
    struct blk_req second = {.op = BLK_WRITE, .off = 4096, .len = sizeof(b), .buf = b, .done = done};
    struct blk_req third = {.op = BLK_READ, .off = 4096, .len = sizeof(c), .buf = c, .done = done};
    begin(false);
    slow.delay_us = 1000;
    blk_submit(disk, &first), blk_submit(disk, &second), blk_submit(disk, &third);
    run_until(SECOND);
    CHECK_EQ(ends, 3);
    CHECK_EQ(slow.bytes[0], 'a');
    CHECK_EQ(slow.bytes[4096], 'b');
    CHECK_EQ(c[0], 'b');
    CHECK(!strcmp(slow.log, "wwr"));
    end();
}

static void fua_is_a_write_and_a_flush(void)
{
    uint8_t buf[512] = {0};
    struct blk_req req = {.op = BLK_WRITE, .fua = true, .len = 512, .buf = buf, .done = done};
    begin(false);
    blk_submit(disk, &req);
    CHECK_EQ(blk_deadline(disk), BLK_WRITE_NS + BLK_FLUSH_NS + 512 * 1000 / BLK_BYTES_PER_US);
    run_until(SECOND);
    CHECK(!strcmp(slow.log, "wf"));
    end();
}

static void zeroes_are_written_where_the_backend_has_no_better_way(void)
{
    struct blk_req req = {.op = BLK_WRITE_ZEROES, .off = 512, .len = 100 * 1024, .done = done};
    begin(false);
    memset(slow.bytes, 1, sizeof(slow.bytes));
    blk_submit(disk, &req);
    run_until(SECOND);
    CHECK_EQ(last_status, BLK_OK);
    CHECK_EQ(slow.bytes[511], 1);
    CHECK_EQ(slow.bytes[512], 0);
    CHECK_EQ(slow.bytes[512 + 100 * 1024 - 1], 0);
    CHECK_EQ(slow.bytes[512 + 100 * 1024], 1);
    end();
}

static void ranges_outside_are_refused(void)
{
    uint8_t buf[1024];
    const struct {
        uint64_t off, len;
    } bad[] = {{DISK_BYTES, 512}, {DISK_BYTES - 512, 1024}, {UINT64_MAX - 511, 512}, {1, 512}, {0, 511}};
    begin(false);
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct blk_req req = {.op = BLK_READ, .off = bad[i].off, .len = bad[i].len, .buf = buf, .done = done};
        CHECK_EQ(blk_submit(disk, &req), VMK_EINVAL);
    }
    struct blk_req no_op = {.op = (enum blk_op)9, .len = 512, .buf = buf, .done = done};
    CHECK_EQ(blk_submit(disk, &no_op), VMK_EINVAL);
    CHECK_EQ(blk_deadline(disk), DEV_NEVER);
    end();
}

static void queue_is_bounded(void)
{
    static uint8_t buf[512];
    static struct blk_req req[BLK_QUEUE_MAX + 1];
    begin(false);
    for (unsigned i = 0; i <= BLK_QUEUE_MAX; i++) {
        req[i] = (struct blk_req){.op = BLK_READ, .len = 512, .buf = buf, .done = done};
        CHECK_EQ(blk_submit(disk, &req[i]), i < BLK_QUEUE_MAX ? VMK_OK : VMK_EBUSY);
    }
    run_until(SECOND);
    CHECK_EQ(ends, BLK_QUEUE_MAX);
    end();
}

static void failures_reach_the_requester_with_a_text(void)
{
    uint8_t buf[512] = {0};
    char text[160];
    struct blk_counters counters;
    struct blk_req req = {.op = BLK_WRITE, .len = 512, .buf = buf, .done = done};
    begin(false);
    slow.fail = BLK_ENOSPC;
    blk_submit(disk, &req);
    run_until(SECOND);
    CHECK_EQ(last_status, BLK_ENOSPC);
    blk_last_error(disk, text);
    CHECK(!strcmp(text, "the medium is bad"));
    blk_counters(disk, &counters);
    CHECK_EQ(counters.errors, 1);
    CHECK_EQ(counters.writes, 1);
    end();
}

static void readonly_disk_is_not_written(void)
{
    uint8_t buf[512] = {0};
    struct blk_req req = {.op = BLK_WRITE, .len = 512, .buf = buf, .done = done};
    begin(true);
    blk_submit(disk, &req);
    run_until(SECOND);
    CHECK_EQ(last_status, BLK_EREADONLY);
    CHECK_EQ(strlen(slow.log), 0);
    end();
}

static void cancelled_requests_end_at_once_and_only_those(void)
{
    static uint8_t buf[3][512];
    int owner[3] = {1, 2, 1};
    struct blk_req req[3];
    begin(false);
    slow.delay_us = 1000;
    for (unsigned i = 0; i < 3; i++) {
        req[i] = (struct blk_req){
            .op = BLK_WRITE, .off = i * 512, .len = 512, .buf = buf[i], .done = done, .owner = &owner[i]};
        buf[i][0] = 7;
        blk_submit(disk, &req[i]);
    }
    blk_cancel(disk, &owner[0]);
    CHECK_EQ(ends, 1);
    CHECK_EQ(last_status, BLK_ECANCELLED);
    blk_cancel(disk, &owner[0]);
    CHECK_EQ(ends, 1);
    run_until(SECOND);
    CHECK_EQ(ends, 3);
    CHECK_EQ(slow.bytes[0], 7); /* submitted is done, whether the host was quick or not */
    end();
}

static void closing_ends_what_is_in_flight(void)
{
    static uint8_t buf[512];
    struct blk_req req = {.op = BLK_WRITE, .len = 512, .buf = buf, .done = done};
    begin(false);
    slow.delay_us = 1000;
    blk_submit(disk, &req);
    end();
    CHECK_EQ(ends, 1);
    CHECK_EQ(last_status, BLK_ECANCELLED);
}

static void times_are_the_same_whatever_the_host_does(void)
{
    static uint8_t buf[16][4096];
    uint64_t times[2][16];
    for (unsigned run = 0; run < 2; run++) {
        struct blk_req req[16];
        begin(false);
        slow.delay_us = run ? 300 : 0;
        for (unsigned i = 0; i < 16; i++) {
            req[i] = (struct blk_req){.op = i % 3 ? BLK_READ : BLK_WRITE, .off = i % 5 * 4096, .len = 4096,
                                      .buf = buf[i], .done = done};
            blk_submit(disk, &req[i]);
            times[run][i] = blk_due(&req[i]);
            run_until(board_now(rig) + 9000);
        }
        run_until(SECOND);
        CHECK_EQ(ends, 16);
        end();
    }
    CHECK(!memcmp(times[0], times[1], sizeof(times[0])));
}

/* Waits for the worker's message as an idle VM does; false after ten seconds. */
static bool woken(void)
{
    struct inbox_msg msg;
    struct timespec until;
    int rc = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += 10;
    pthread_mutex_lock(&rig->inbox.lock);
    while (!rig->inbox.count && !rc)
        rc = pthread_cond_timedwait(&rig->inbox.arrived, &rig->inbox.lock, &until);
    pthread_mutex_unlock(&rig->inbox.lock);
    return inbox_take(&rig->inbox, board_now(rig), &msg) && msg.kind == INBOX_WAKE;
}

static void real_time_ends_when_the_host_has_done_it(void)
{
    static uint8_t buf[64][512];
    struct blk_req req[64];
    begin(false);
    blk_close(disk);
    rig_end();
    const struct vmk_config cfg = {.memory = 1 << 20, .cpus = 1, .time_mode = VMK_TIME_REAL};
    const struct blk_backend be = {.ops = &slow_ops, .size = DISK_BYTES};
    rig = rig_create_as(&cfg);
    clock_resume(&rig->clock);
    disk = blk_open(board_find(rig, "ide", 0), &be);
    slow.delay_us = 100;
    for (unsigned i = 0; i < 64; i++) {
        req[i] = (struct blk_req){.op = i % 9 ? BLK_WRITE : BLK_FLUSH, .off = i * 512,
                                  .len = i % 9 ? 512 : 0, .buf = buf[i], .done = done};
        CHECK_EQ(blk_submit(disk, &req[i]), VMK_OK);
    }
    CHECK_EQ(blk_deadline(disk), DEV_NEVER - 1); /* something will happen, nobody knows when */
    while (ends < 64 && woken())
        blk_run_due(disk, board_now(rig));
    CHECK_EQ(ends, 64);
    CHECK_EQ(last_status, BLK_OK);
    CHECK_EQ(blk_deadline(disk), DEV_NEVER);
    blk_submit(disk, &req[1]);
    blk_cancel(disk, NULL);
    CHECK_EQ(ends, 65);
    CHECK_EQ(last_status, BLK_ECANCELLED);
    end();
}

static void ramdisks_are_zero_or_the_callers(void)
{
    static uint8_t mine[1024] = {5};
    struct blk_backend be;
    uint8_t buf[512];
    char err[160];
    CHECK_EQ(blk_ramdisk(&be, NULL, 1000, false), VMK_EINVAL);
    CHECK_EQ(blk_ramdisk(&be, NULL, 1 << 20, false), VMK_OK);
    be.ops->read(be.ctx, (1 << 20) - 512, buf, 512, err);
    CHECK_EQ(buf[511], 0);
    be.ops->close(be.ctx);
    CHECK_EQ(blk_ramdisk(&be, mine, sizeof(mine), false), VMK_OK);
    be.ops->read(be.ctx, 0, buf, 512, err);
    CHECK_EQ(buf[0], 5);
    be.ops->close(be.ctx);
}

int main(void)
{
    RUN(ends_when_the_model_says);
    RUN(flush_waits_for_all_before_it);
    RUN(overlapping_requests_keep_their_order);
    RUN(fua_is_a_write_and_a_flush);
    RUN(zeroes_are_written_where_the_backend_has_no_better_way);
    RUN(ranges_outside_are_refused);
    RUN(queue_is_bounded);
    RUN(failures_reach_the_requester_with_a_text);
    RUN(readonly_disk_is_not_written);
    RUN(cancelled_requests_end_at_once_and_only_those);
    RUN(closing_ends_what_is_in_flight);
    RUN(times_are_the_same_whatever_the_host_does);
    RUN(real_time_ends_when_the_host_has_done_it);
    RUN(ramdisks_are_zero_or_the_callers);
    return check_done();
}
