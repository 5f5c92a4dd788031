/* Loops that run inside a Linux guest, each printed as "LOOP name seconds". Static, no arguments: run by the
 * benchmark's init script.
 *
 * Each loop is repeated and its fastest round counts, by the guest's own clock: both contenders show real
 * time to their guests. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 3 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static volatile uint64_t sink;

static void alu(void)
{
    uint64_t x = 88172645463325252ull;
    for (int i = 0; i < 20000000; i++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    sink = x;
}

static void sieve(void)
{
    enum { N = 2000000 };
    static uint8_t composite[N];
    memset(composite, 0, N);
    for (uint32_t i = 2; i * i < N; i++)
        if (!composite[i])
            for (uint32_t j = i * i; j < N; j += i)
                composite[j] = 1;
    sink = composite[N - 1];
}

enum { WORDS = 1 << 16 };
static uint64_t words[WORDS];

#define ADD_TO_WORDS                         \
    for (int round = 0; round < 100; round++) \
        for (int i = 0; i < WORDS; i++)       \
            words[i] += (uint64_t)i;          \
    sink = words[WORDS / 2]

__attribute__((optimize("no-tree-vectorize"))) static void memory(void)
{
    ADD_TO_WORDS;
}

/* The same in SSE2: emulated vector instructions are another matter. */
__attribute__((optimize("tree-vectorize"))) static void vector(void)
{
    ADD_TO_WORDS;
}

static void copy(void)
{
    enum { N = 8 << 20 };
    static uint8_t from[N], to[N];
    for (int i = 0; i < 16; i++)
        memcpy(to, from, N);
    sink = to[1];
}

static uint32_t ror(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

/* The compression function's rounds of SHA-256 (FIPS 180-4, 6.2.2), on constants of its own shape: the
 * arithmetic is what counts. */
__attribute__((optimize("no-tree-vectorize"))) static void sha256(void)
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
    sink = h[0];
}

/* An integer mix of the kind that CoreMark measures: a linked list sorted, a small matrix product, a state
 * machine over text, all summed up in a CRC. */
static uint16_t crc16(uint16_t crc, uint32_t value)
{
    for (int i = 0; i < 16; i++, value >>= 1)
        crc = (uint16_t)(crc >> 1 ^ (((crc ^ value) & 1) ? 0xa001 : 0));
    return crc;
}

struct node {
    struct node *next;
    int16_t key, data;
};

static struct node *sorted(struct node *list)
{
    struct node *halves[2] = {NULL, NULL}, head = {NULL, 0, 0}, *tail = &head;
    if (!list || !list->next)
        return list;
    for (int side = 0; list; side ^= 1) {
        struct node *next = list->next;
        list->next = halves[side];
        halves[side] = list;
        list = next;
    }
    halves[0] = sorted(halves[0]);
    halves[1] = sorted(halves[1]);
    while (halves[0] || halves[1]) {
        int side = !halves[0] || (halves[1] && halves[1]->key < halves[0]->key);
        tail = tail->next = halves[side];
        halves[side] = tail->next;
    }
    tail->next = NULL;
    return head.next;
}

static uint16_t list_work(uint16_t crc)
{
    static struct node nodes[64];
    for (int i = 0; i < 64; i++)
        nodes[i] = (struct node){i < 63 ? &nodes[i + 1] : NULL, (int16_t)(crc * (i + 7) & 0x3ff), (int16_t)i};
    for (struct node *n = sorted(nodes); n; n = n->next)
        crc = crc16(crc, (uint32_t)(n->key ^ n->data));
    return crc;
}

static uint16_t matrix_work(uint16_t crc)
{
    enum { N = 9 };
    int16_t a[N][N], b[N][N];
    for (int i = 0; i < N * N; i++) {
        a[i / N][i % N] = (int16_t)(crc + i);
        b[i / N][i % N] = (int16_t)(crc ^ i);
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            int32_t sum = 0;
            for (int k = 0; k < N; k++)
                sum += a[i][k] * b[k][j];
            crc = crc16(crc, (uint32_t)sum);
        }
    return crc;
}

/* Counts numbers, signs and words. */
static uint16_t state_work(uint16_t crc)
{
    static const char text[] =
        "5012,1234,-874,+122,35.54400,.1234500,-110.700,+0.64400,5.500e+3,T0.3e-1F,1T3.4e4z";
    enum { START, NUMBER, FRACTION, EXPONENT, INVALID, STATES } state = START;
    uint32_t seen[STATES] = {0};
    for (const char *p = text; *p; p++) {
        char c = (char)(*p ^ (crc & 1 && *p == ','));
        if (c == ',')
            state = START;
        else if (c >= '0' && c <= '9')
            state = state == START ? NUMBER : state;
        else if (c == '.')
            state = state == START || state == NUMBER ? FRACTION : INVALID;
        else if (c == 'e')
            state = state == FRACTION || state == NUMBER ? EXPONENT : INVALID;
        else if (c != '+' && c != '-')
            state = INVALID;
        seen[state]++;
    }
    for (int i = 0; i < STATES; i++)
        crc = crc16(crc, seen[i]);
    return crc;
}

static void mix(void)
{
    uint16_t crc = 1;
    for (int i = 0; i < 1500; i++)
        crc = state_work(matrix_work(list_work(crc)));
    sink = crc;
}

static void doubles(void)
{
    double d = 1.0;
    for (int i = 0; i < 5000000; i++)
        d = d * 0.999999 + 0.5;
    sink = (uint64_t)d;
}

static void matrix(void)
{
    enum { N = 120 };
    static double a[N][N], b[N][N], c[N][N];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = 1.0 + (i + j) % 7;
            b[i][j] = 2.0 - (i + j) % 5;
        }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0;
            for (int k = 0; k < N; k++)
                sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
    sink = (uint64_t)c[3][4];
}

static void system_calls(void)
{
    for (int i = 0; i < 300000; i++)
        syscall(SYS_getppid);
}

static void fork_exec(void)
{
    for (int i = 0; i < 60; i++) {
        pid_t child = fork();
        if (!child) {
            execl("/bin/busybox", "true", (char *)NULL);
            _exit(1);
        }
        waitpid(child, NULL, 0);
    }
}

static void fork_wait(void)
{
    for (int i = 0; i < 200; i++) {
        pid_t child = fork();
        if (!child)
            _exit(0);
        waitpid(child, NULL, 0);
    }
}

/* One of the guest's own programs, on a file in memory. */
static void gzip(void)
{
    static const char name[] = "/tmp.gz.input";
    if (access(name, R_OK)) {
        FILE *f = fopen(name, "w");
        uint32_t x = 1;
        for (int i = 0; f && i < 60000; i++, x = x * 1664525 + 1013904223)
            fprintf(f, "%u: line %d of the input, %08x\n", x >> 20, i, x >> (i & 15));
        if (f)
            fclose(f);
    }
    pid_t child = fork();
    if (!child) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 1);
        execl("/bin/busybox", "gzip", "-c", name, (char *)NULL);
        _exit(1);
    }
    waitpid(child, NULL, 0);
}

static void page_faults(void)
{
    size_t n = 16 << 20;
    uint8_t *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (size_t i = 0; i < n; i += 4096)
        p[i] = 1;
    munmap(p, n);
}

static void context_switches(void)
{
    int there[2], back[2];
    char byte = 0;
    if (pipe(there) || pipe(back))
        return;
    pid_t child = fork();
    for (int i = 0; i < 10000; i++) {
        int in = child ? back[0] : there[0], out = child ? there[1] : back[1];
        if (child && write(out, &byte, 1) != 1)
            break;
        if (read(in, &byte, 1) != 1)
            break;
        if (!child && write(out, &byte, 1) != 1)
            break;
    }
    if (!child)
        _exit(0);
    waitpid(child, NULL, 0);
    for (int i = 0; i < 2; i++) {
        close(there[i]);
        close(back[i]);
    }
}

static const struct {
    const char *name;
    void (*run)(void);
} loops[] = {
    {"alu", alu},
    {"sieve", sieve},
    {"memory", memory},
    {"vector", vector},
    {"memcpy", copy},
    {"sha256", sha256},
    {"mix", mix},
    {"double", doubles},
    {"matrix", matrix},
    {"syscall", system_calls},
    {"fork+exec", fork_exec},
    {"fork+wait", fork_wait},
    {"page-fault", page_faults},
    {"context-switch", context_switches},
    {"gzip", gzip},
};

int main(void)
{
    for (size_t i = 0; i < sizeof(loops) / sizeof(loops[0]); i++) {
        double best = 1e9;
        for (int round = 0; round < ROUNDS; round++) {
            double start = now();
            loops[i].run();
            double took = now() - start;
            best = took < best ? took : best;
        }
        printf("LOOP %s %.6f\n", loops[i].name, best);
        fflush(stdout);
    }
    return 0;
}
