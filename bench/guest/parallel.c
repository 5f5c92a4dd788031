/* Loops that two threads run at the same time inside a Linux guest, one on each CPU, each printed as "LOOP
 * name seconds". Static, no arguments: run by the benchmark's init script.
 *
 * A loop's time is from the moment both threads start to the moment both are through, by the guest's own
 * clock; it is repeated and the fastest round counts. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 2, ROUNDS = 3, WORDS = 1 << 16, PAGES = 256 };

static pthread_barrier_t barrier;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile uint64_t sink[THREADS][8];
static uint64_t words[THREADS][WORDS];
static uint64_t shared __attribute__((aligned(64)));
static uint64_t guarded __attribute__((aligned(64)));

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static uint32_t ror(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

/* The compression function's rounds of SHA-256 (FIPS 180-4, 6.2.2), on constants of its own shape. */
__attribute__((optimize("no-tree-vectorize"))) static void sha256(int thread)
{
    uint32_t w[64], h[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (uint32_t block = 0; block < 40000; block++) {
        for (uint32_t i = 0; i < 16; i++)
            w[i] = block * 0x9e3779b9u + i;
        for (int i = 16; i < 64; i++)
            w[i] = w[i - 16] + (ror(w[i - 15], 7) ^ ror(w[i - 15], 18) ^ w[i - 15] >> 3) + w[i - 7] +
                   (ror(w[i - 2], 17) ^ ror(w[i - 2], 19) ^ w[i - 2] >> 10);
        uint32_t s[8];
        memcpy(s, h, sizeof(s));
        for (int i = 0; i < 64; i++) {
            uint32_t t1 = s[7] + (ror(s[4], 6) ^ ror(s[4], 11) ^ ror(s[4], 25)) +
                          ((s[4] & s[5]) ^ (~s[4] & s[6])) + w[i] + 0x428a2f98u;
            uint32_t t2 = (ror(s[0], 2) ^ ror(s[0], 13) ^ ror(s[0], 22)) +
                          ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));
            memmove(s + 1, s, 7 * sizeof(s[0]));
            s[4] += t1;
            s[0] = t1 + t2;
        }
        for (int i = 0; i < 8; i++)
            h[i] += s[i];
    }
    sink[thread][0] = h[0];
}

static void alu(int thread)
{
    uint64_t x = 88172645463325252ull;
    for (int i = 0; i < 20000000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    sink[thread][0] = x;
}

__attribute__((optimize("no-tree-vectorize"))) static void memory(int thread)
{
    for (int round = 0; round < 100; round++)
        for (int i = 0; i < WORDS; i++)
            words[thread][i] += (uint64_t)i;
    sink[thread][0] = words[thread][WORDS / 2];
}

static void atomic(int thread)
{
    (void)thread;
    for (int i = 0; i < 1000000; i++)
        __atomic_fetch_add(&shared, 1, __ATOMIC_SEQ_CST);
}

static void own_atomic(int thread)
{
    for (int i = 0; i < 3000000; i++)
        __atomic_fetch_add(&words[thread][0], 1, __ATOMIC_SEQ_CST);
}

static void lock(int thread)
{
    (void)thread;
    for (int i = 0; i < 100000; i++) {
        pthread_mutex_lock(&mutex);
        guarded++;
        pthread_mutex_unlock(&mutex);
    }
}

static void getppid_loop(int thread)
{
    for (int i = 0; i < 300000; i++)
        sink[thread][0] = (uint64_t)syscall(SYS_getppid);
}

/* Unmapping what both threads' CPUs may have in their TLBs costs an interrupt to the other. */
static void map_unmap(int thread)
{
    for (int i = 0; i < 40; i++) {
        uint8_t *p = mmap(NULL, PAGES << 12, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        for (int page = 0; page < PAGES; page++)
            p[page << 12] = (uint8_t)thread;
        munmap(p, PAGES << 12);
    }
}

static void fork_wait(int thread)
{
    (void)thread;
    for (int i = 0; i < 100; i++) {
        pid_t child = vfork();
        if (!child) {
            execl("/bin/busybox", "true", (char *)NULL);
            _exit(1);
        }
        waitpid(child, NULL, 0);
    }
}

static const struct {
    const char *name;
    void (*run)(int thread);
} loops[] = {
    {"sha256", sha256}, {"alu", alu}, {"memory", memory}, {"atomic, own line", own_atomic},
    {"atomic, shared", atomic}, {"mutex", lock}, {"getppid", getppid_loop}, {"map+unmap", map_unmap},
    {"vfork+exec", fork_wait},
};

static void *work(void *arg)
{
    int thread = (int)(intptr_t)arg;
    cpu_set_t own;
    CPU_ZERO(&own);
    CPU_SET(thread, &own);
    sched_setaffinity(0, sizeof(own), &own);
    for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
        double best = 1e9;
        for (int round = 0; round < ROUNDS; round++) {
            pthread_barrier_wait(&barrier);
            double start = now();
            loops[i].run(thread);
            pthread_barrier_wait(&barrier);
            double took = now() - start;
            best = took < best ? took : best;
        }
        if (!thread)
            printf("LOOP %s: %.6f\n", loops[i].name, best);
    }
    return NULL;
}

int main(void)
{
    pthread_t other;
    setvbuf(stdout, NULL, _IOLBF, 0);
    pthread_barrier_init(&barrier, NULL, THREADS);
    pthread_create(&other, NULL, work, (void *)1);
    work((void *)0);
    pthread_join(other, NULL);
    return 0;
}
