/* `scatter SECONDS WORKERS DISK…`: verified random I/O past the page cache, all disks at once.
 *
 * Each worker, a process, has a stripe of a disk to itself, all zero at first. It writes runs of sectors
 * whose every word tells disk, sector and how often that sector was written, reads runs back and compares,
 * and flushes now and then; at the end it reads its whole stripe. Prints one line for each disk:
 * `SCATTER disk writes W reads R sectors S wrong X`. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <linux/fs.h>
#include <time.h>
#include <unistd.h>

enum { SECTOR = 512, LONGEST = 128, MAX_DISKS = 16, FLUSH_EVERY = 64 };

struct tally {
    uint64_t writes, reads, sectors, wrong;
};

struct worker {
    int fd;
    uint64_t seed, first, count; /* of the stripe, in sectors */
    uint32_t *times;             /* each sector was written */
    uint64_t *buffer;
    struct tally *tally;
};

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static uint64_t random_word(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    return *state ^= *state << 17;
}

static uint64_t word_of(const struct worker *w, uint64_t sector, unsigned index)
{
    uint64_t times = w->times[sector];
    return times ? (w->seed << 56 ^ (w->first + sector) << 28 ^ times << 8) + index : 0;
}

static void add(uint64_t *to, uint64_t n)
{
    __atomic_add_fetch(to, n, __ATOMIC_RELAXED);
}

static void write_run(struct worker *w, uint64_t at, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        w->times[at + i]++;
        for (unsigned k = 0; k < SECTOR / 8; k++)
            w->buffer[i * (SECTOR / 8) + k] = word_of(w, at + i, k);
    }
    ssize_t done = pwrite(w->fd, w->buffer, n * SECTOR, (off_t)((w->first + at) * SECTOR));
    add(&w->tally->wrong, done != (ssize_t)(n * SECTOR));
    add(&w->tally->writes, 1);
}

static void check_run(struct worker *w, uint64_t at, uint64_t n)
{
    memset(w->buffer, 0xee, n * SECTOR);
    ssize_t done = pread(w->fd, w->buffer, n * SECTOR, (off_t)((w->first + at) * SECTOR));
    uint64_t wrong = done != (ssize_t)(n * SECTOR);
    for (uint64_t i = 0; i < n; i++)
        for (unsigned k = 0; k < SECTOR / 8; k++)
            wrong += w->buffer[i * (SECTOR / 8) + k] != word_of(w, at + i, k);
    add(&w->tally->wrong, wrong);
    add(&w->tally->reads, 1);
    add(&w->tally->sectors, n);
}

static void scatter(struct worker *w, double seconds)
{
    uint64_t state = w->seed * 0x9e3779b97f4a7c15u + w->first + 1;
    double end = now() + seconds;
    while (now() < end) {
        uint64_t r = random_word(&state), n = 1 + r % LONGEST;
        n = n < w->count ? n : w->count;
        uint64_t at = random_word(&state) % (w->count - n + 1);
        if (r >> 32 & 1)
            write_run(w, at, n);
        else
            check_run(w, at, n);
        if ((r >> 33) % FLUSH_EVERY == 0)
            add(&w->tally->wrong, fsync(w->fd) != 0);
    }
    for (uint64_t at = 0; at < w->count; at += LONGEST)
        check_run(w, at, w->count - at < LONGEST ? w->count - at : LONGEST);
}

static void run_worker(const char *disk, unsigned number, unsigned index, unsigned workers, double seconds,
                       struct tally *tally)
{
    struct worker w = {.fd = open(disk, O_RDWR | O_DIRECT), .seed = number + 1, .tally = tally};
    uint64_t bytes = 0;
    if (w.fd < 0 || ioctl(w.fd, BLKGETSIZE64, &bytes))
        exit(1);
    w.count = bytes / SECTOR / workers;
    w.first = index * w.count;
    w.times = calloc(w.count, sizeof(*w.times));
    w.buffer = aligned_alloc(4096, LONGEST * SECTOR);
    if (!w.times || !w.buffer || !w.count)
        exit(1);
    scatter(&w, seconds);
    exit(0);
}

int main(int argc, char **argv)
{
    if (argc < 4 || argc - 3 > MAX_DISKS)
        return 2;
    double seconds = atof(argv[1]);
    unsigned workers = (unsigned)atoi(argv[2]), disks = (unsigned)argc - 3;
    struct tally *tally = mmap(NULL, sizeof(*tally) * MAX_DISKS, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status, failed = 0;
    if (tally == MAP_FAILED)
        return 1;
    for (unsigned i = 0; i < disks * workers; i++)
        if (fork() == 0)
            run_worker(argv[3 + i / workers], i / workers, i % workers, workers, seconds,
                       &tally[i / workers]);
    while (wait(&status) > 0)
        failed |= status;
    for (unsigned i = 0; i < disks; i++)
        printf("SCATTER %s writes %lu reads %lu sectors %lu wrong %lu\n", argv[3 + i], tally[i].writes,
               tally[i].reads, tally[i].sectors, tally[i].wrong);
    return failed != 0;
}
