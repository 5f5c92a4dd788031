/*
 * Goes 64 → compatibility → 32 → 16-bit protected → real → 32 → 64, 100 times, privileged instructions in
 * each.
 */
#include "../lib/gdt.h"
#include "../lib/report.h"
#include "../lib/run.h"
#include "../lib/trap.h"

enum { LOW = 0x8000, REAL_VECTOR_21 = 0x84, ROUNDS = 100, CHECKS = 7, INT_MARK = 15 };
enum { IF_BYTE = 0x02, PE = 0x01, LMA_LME_BYTE = 0x05, LME_BYTE = 0x01 }; /* RFLAGS and EFER bits 8 to 15 */

extern uint8_t low_begin[], low_end[], low_marks[], low_cpuid[], real_vector[], low_gdt_pointer[], marks[];
extern uint8_t mode_dependent[];
extern uint32_t cpuid_leaf_0;
void mode_round_trip(void);

static const char *const checks[CHECKS] = { "sti", "cli", "cpuid", "rdmsr EFER", "mov from cr0", "smsw",
                                            "bytes that mean something else elsewhere" };

struct mode {
    const char *name;
    const uint8_t *marks;
    uint8_t efer, pe;
    unsigned wrong[CHECKS];
};

static uint8_t *low(const uint8_t *label)
{
    return (uint8_t *)(LOW + (label - low_begin));
}

static void prepare(void)
{
    uint32_t leaf = 0, ebx, ecx, edx;

    asm volatile("cpuid" : "+a"(leaf), "=b"(ebx), "=c"(ecx), "=d"(edx));
    cpuid_leaf_0 = ebx;
    copy_bytes((void *)LOW, low_begin, (size_t)(low_end - low_begin));
    copy_bytes(low(low_cpuid), &ebx, sizeof(ebx));
    copy_bytes(low(low_gdt_pointer), &gdt_pointer, 6);
    copy_bytes((void *)REAL_VECTOR_21, real_vector, 4);
}

static void judge(struct mode *mode)
{
    const uint8_t want[CHECKS] = { IF_BYTE, 0, 1, mode->efer, mode->pe, mode->pe, 1 };
    const uint8_t mask[CHECKS] = { IF_BYTE, IF_BYTE, 0xff, LMA_LME_BYTE, PE, PE, 0xff };

    for (unsigned i = 0; i < CHECKS; i++)
        mode->wrong[i] += (((const volatile uint8_t *)mode->marks)[i] & mask[i]) != want[i];
}

static uint64_t mode_dependent_in_64(void)
{
    struct regs regs = { 0 };

    run_code(low(mode_dependent), &regs);
    return regs.rax;
}

static void clear(void)
{
    static const uint8_t nothing[40] = { 0 };

    copy_bytes(marks, nothing, 40);
    copy_bytes(low(low_marks), nothing, 16);
}

void main(void)
{
    struct mode modes[] = {
        { "compatibility:", marks, LMA_LME_BYTE, PE, { 0 } },
        { "32-bit without paging:", marks + 8, 0, PE, { 0 } },
        { "16-bit protected:", low(low_marks), 0, PE, { 0 } },
        { "real:", low(low_marks) + 8, 0, 0, { 0 } },
        { "32-bit after real:", marks + 32, 0, PE, { 0 } },
    };
    unsigned lost_interrupts = 0, wrong_in_64 = 0;

    prepare();
    for (unsigned round = 0; round < ROUNDS; round++) {
        clear();
        mode_round_trip();
        for (unsigned m = 0; m < sizeof(modes) / sizeof(modes[0]); m++)
            judge(&modes[m]);
        lost_interrupts += *(volatile uint8_t *)(low(low_marks) + INT_MARK) != 0x21;
        wrong_in_64 += mode_dependent_in_64() != 0xa20f0000;
    }
    for (unsigned m = 0; m < sizeof(modes) / sizeof(modes[0]); m++)
        for (unsigned i = 0; i < CHECKS; i++)
            expect2(modes[m].name, checks[i], modes[m].wrong[i], 0);
    expect2("64-bit:", checks[CHECKS - 1], wrong_in_64, 0);
    expect("real: int 0x21 through its table", lost_interrupts, 0);
    expect("64-bit again after 100 rounds: exceptions arrive",
           (uint64_t)run_code("\x0f\x0b", &(struct regs){ 0 }), UD);
}
