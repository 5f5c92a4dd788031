/*
 * Reads and checksums its own privileged code while that code runs: the rewritten bytes must never be
 * visible as data.
 * The code under the checksum holds one instruction of each length a rewriter could replace.
 */
#include "../lib/report.h"

enum { ROUNDS = 1000 };

extern const uint8_t privileged_begin[], privileged_end[];
void privileged(void);

asm(".text\n"
    ".globl privileged, privileged_begin, privileged_end\n"
    "privileged_begin:\n"
    "privileged:\n"
    "    pushq %rbx\n"
    "    pushfq\n"
    "    cli\n"
    "    xorl %eax, %eax\n"
    "    cpuid\n"
    "    rdtsc\n"
    "    movl $0xc0000080, %ecx\n"
    "    rdmsr\n"
    "    wrmsr\n"
    "    movq %cr0, %rax\n"
    "    movq %rax, %cr0\n"
    "    movq %cr3, %rax\n"
    "    movq %rax, %cr3\n"
    "    movq %cr4, %rax\n"
    "    movq %rax, %cr4\n"
    "    movq %cr8, %rax\n"
    "    movq %rax, %cr8\n"
    "    movq %dr7, %rax\n"
    "    sgdt -16(%rsp)\n"
    "    lgdt -16(%rsp)\n"
    "    sidt -16(%rsp)\n"
    "    lidt -16(%rsp)\n"
    "    smsw %ax\n"
    "    invlpg privileged\n"
    "    clts\n"
    "    wbinvd\n"
    "    swapgs\n"
    "    swapgs\n"
    "    inb $0x61, %al\n"
    "    outb %al, $0x80\n"
    "    pause\n"
    "    popfq\n"
    "    popq %rbx\n"
    "    ret\n"
    "privileged_end:\n");

static uint32_t checksum(void)
{
    uint32_t sum = 0x811c9dc5; /* FNV-1a */

    for (const volatile uint8_t *p = privileged_begin; p < privileged_end; p++)
        sum = (sum ^ *p) * 0x01000193;
    return sum;
}

/* The checksum of the same bytes, copied before any of them was ever executed. */
static uint8_t pristine[256];

static unsigned differing_bytes(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < (unsigned)(privileged_end - privileged_begin); i++)
        n += ((const volatile uint8_t *)privileged_begin)[i] != pristine[i];
    return n;
}

void main(void)
{
    uint32_t before = checksum();
    unsigned changed = 0;

    for (unsigned i = 0; i < (unsigned)(privileged_end - privileged_begin); i++)
        pristine[i] = privileged_begin[i];
    for (int i = 0; i < ROUNDS; i++) {
        privileged();
        changed += checksum() != before;
    }
    expect("checksum stays over 1000 rounds", changed, 0);
    expect("bytes equal the copy made before the first run", differing_bytes(), 0);
    expect("first byte is push rbx as data", privileged_begin[0], 0x53);
    expect("cli reads as fa", privileged_begin[2], 0xfa);
}
