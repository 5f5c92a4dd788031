/*
 * Code written by one processor and run by another, both ways, and a loop one processor spins in while the
 * other patches it (Intel SDM vol. 3, 9.1.3: cross-modifying code; the runner serialises with CPUID after it
 * saw the message).
 * QEMU 7.2 loses such a patch now and then when its processors are threads (a store between the translator's
 * fetch and its write protection of the page): as an oracle it runs this guest with thread=single.
 */
#include "../lib/paging.h"
#include "../lib/report.h"
#include "../lib/run.h"
#include "../lib/smp.h"

enum { ROUNDS = 1000, SPINS = 200, PATIENCE = 50000000, BSP = 0, AP = 1, EFER = 0xc0000080 };

static uint8_t page[PAGE] __attribute__((aligned(PAGE)));
static volatile uint32_t message, answer;
static volatile uint64_t result;
static unsigned stale[2], stale_privileged, spins;

static void serialise(void)
{
    uint32_t leaf = 0, b, c, d;

    asm volatile("cpuid" : "+a"(leaf), "=b"(b), "=c"(c), "=d"(d) : : "memory");
}

/* Gives up after a while, on either processor: one lost in stale code must cost a FAIL line, not a hang. */
static void wait_for(const volatile uint32_t *counter, uint32_t value)
{
    for (unsigned i = 0; i < PATIENCE; i++) {
        if (*counter == value)
            return;
        asm volatile("pause");
    }
    expect("answer of the other processor", *counter, value);
    done();
}

static void write_code(uint32_t i)
{
    static const uint8_t mov_eax_ret[] = { 0xb8, 0, 0, 0, 0, 0xc3 };

    copy_bytes(page, mov_eax_ret, sizeof(mov_eax_ret));
    copy_bytes(page + 1, &i, sizeof(i));
}

/* RDMSR of EFER (run_published() has its number in RCX) by turns with MOV EAX, 0. */
static void write_privileged(uint32_t i)
{
    static const uint8_t texts[2][6] = { { 0x0f, 0x32, 0x90, 0x90, 0x90, 0xc3 }, { 0xb8, 0, 0, 0, 0, 0xc3 } };

    copy_bytes(page, texts[i & 1], 6);
}

static void publish(void (*write)(uint32_t), uint32_t round, uint32_t sequence)
{
    write(round);
    message = sequence;
    wait_for(&answer, sequence);
}

static void run_published(uint32_t sequence)
{
    uint64_t value, rcx = EFER, rdx;

    wait_for(&message, sequence);
    serialise();
    asm volatile("callq *%3" : "=a"(value), "=d"(rdx), "+c"(rcx) : "r"(page) : "memory", "cc", "r11");
    result = value;
    answer = sequence;
}

/* Rounds of a phase are numbered on, so that no message of one phase means something in the next. */
static void phase(unsigned cpu, unsigned writer, void (*write)(uint32_t), uint32_t first,
                  void (*judge)(uint32_t))
{
    for (uint32_t i = 0; i < ROUNDS; i++) {
        if (cpu == writer)
            publish(write, i, first + i);
        else
            run_published(first + i);
        if (cpu == writer)
            judge(i);
    }
    smp_barrier(2, first / ROUNDS);
}

static void judge_bsp(uint32_t i)
{
    stale[BSP] += result != i;
}

static void judge_ap(uint32_t i)
{
    stale[AP] += result != i;
}

static void judge_privileged(uint32_t i)
{
    stale_privileged += ((result & 0x500) == 0x500) != !(i & 1);
}

/* jmp to itself with a PAUSE, patched into RET: two bytes in one store. */
static void spin(unsigned cpu, uint32_t first)
{
    volatile uint16_t *patch = (volatile uint16_t *)(page + 16);
    const uint16_t loop = 0xfceb, leave = 0x90c3; /* jmp .-2; ret, nop */

    for (uint32_t i = 0; i < SPINS; i++) {
        if (cpu == BSP) {
            copy_bytes(page + 14, "\xf3\x90", 2);
            *patch = loop;
            message = first + i;
            wait_for(&answer, first + i);
            *patch = leave;
            wait_for(&answer, ~(first + i));
        } else {
            wait_for(&message, first + i);
            serialise();
            answer = first + i;
            asm volatile("callq *%0" : : "r"(page + 14) : "memory");
            spins++;
            answer = ~(first + i);
        }
    }
}

static void work(unsigned cpu)
{
    if (cpu > AP)
        return;
    phase(cpu, BSP, write_code, ROUNDS * 1, judge_bsp);
    phase(cpu, AP, write_code, ROUNDS * 2, judge_ap);
    phase(cpu, BSP, write_privileged, ROUNDS * 3, judge_privileged);
    spin(cpu, ROUNDS * 4);
}

void main(void)
{
    smp_run(work);
    expect("written by cpu 0, run by cpu 1: stale of 1000", stale[BSP], 0);
    expect("written by cpu 1, run by cpu 0: stale of 1000", stale[AP], 0);
    expect("rdmsr written by cpu 0, run by cpu 1: stale of 1000", stale_privileged, 0);
    expect("cpu 1 leaves a loop that cpu 0 patches: of 200", spins, SPINS);
}
