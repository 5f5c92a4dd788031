/* The paravirtual interface: a page of calls, in the spirit of VMware's VMI.
 *
 * A kernel has a page of entries, VMI_ENTRY_BYTES each, filled with the plain instructions for a bare
 * machine, and calls them where it would execute a privileged instruction. If CPUID names us at VMI_LEAF it
 * writes the page's address to VMI_MSR, and the monitor puts its own code there: one kernel, both kinds of
 * machine. What that saves: code on the page is scanned with the policies of profile adaptive whatever the
 * VM's own (engine/translate.c), so that what is right natively is never rewritten; and what must reach the
 * monitor reaches it once for many: a list of MSRs, of port accesses, a flush that takes two writes of CR4.
 *
 * The page is the guest's, and trusted with nothing: profile adaptive is right for any code, and a call
 * checks its caller (CPL 0, 64-bit mode) and every argument. A list must be mapped and writable; one that
 * faults has been done in part. Leaves out: VMI's own numbers and its ROM (a page and an MSR do as well),
 * 32-bit callers, page-table calls (the guest's tables are walked as they are), timers. */
#include "cpu/vmi.h"

#include <string.h>

#include "core/vcpu.h"
#include "core/vm.h"
#include "cpu/cpu.h"
#include "cpu/msr.h"
#include "engine/engine.h"
#include "mem/ram.h"

#define ENABLED 1u
#define LIST_MAX 64u
#define CALL 0x564d4900u /* EAX of a call: this and its number */
#define CALL_MASK 0xffffff00u

enum call { CALL_FLUSH_TLB, CALL_WRITE_MSRS, CALL_PORTS, CALLS };

#define VMCALL(call) {0xb8, call, 0x49, 0x4d, 0x56, 0x0f, 0x01, 0xc1, 0xc3} /* mov eax; vmcall; ret */

static const uint8_t entries[VMI_ENTRIES][16] = {
    [VMI_IRQ_DISABLE] = {0xfa, 0xc3},                /* cli */
    [VMI_IRQ_ENABLE] = {0xfb, 0xc3},                 /* sti */
    [VMI_IRQ_SAVE] = {0x9c, 0x58, 0xfa, 0xc3},       /* pushf; pop rax; cli */
    [VMI_IRQ_RESTORE] = {0x57, 0x9d, 0xc3},          /* push rdi; popf */
    [VMI_HALT] = {0xfb, 0xf4, 0xc3},                 /* sti; hlt */
    [VMI_READ_CR0] = {0x0f, 0x20, 0xc0, 0xc3},       /* mov rax, cr0 */
    [VMI_READ_CR2] = {0x0f, 0x20, 0xd0, 0xc3},       /* mov rax, cr2 */
    [VMI_READ_CR3] = {0x0f, 0x20, 0xd8, 0xc3},       /* mov rax, cr3 */
    [VMI_WRITE_CR3] = {0x0f, 0x22, 0xdf, 0xc3},      /* mov cr3, rdi */
    [VMI_INVLPG] = {0x0f, 0x01, 0x3f, 0xc3},         /* invlpg [rdi] */
    [VMI_CLTS] = {0x0f, 0x06, 0xc3},                 /* clts */
    [VMI_SWAPGS] = {0x0f, 0x01, 0xf8, 0xc3},         /* swapgs */
    [VMI_FLUSH_CACHES] = {0xc3},                     /* they are always coherent */
    [VMI_FLUSH_TLB] = VMCALL(CALL_FLUSH_TLB),
    [VMI_WRITE_MSRS] = VMCALL(CALL_WRITE_MSRS),
    [VMI_PORTS] = VMCALL(CALL_PORTS),
    [VMI_IRET] = {0x48, 0xcf},                       /* iretq */
    [VMI_PAUSE] = {0xf3, 0x90, 0xc3},                /* pause */
};

static bool write_page(struct vcpu *v, uint64_t gpa, const uint8_t *page)
{
    vm_lock(v);
    int rc = ram_write(v->board, gpa, page, PAGE_SIZE);
    vm_unlock(v);
    return rc == VMK_OK;
}

bool vmi_set_page(struct vcpu *v, uint64_t value)
{
    uint8_t page[PAGE_SIZE];
    uint64_t gpa = value & ~(PAGE_SIZE - 1);
    if (value && (value & (PAGE_SIZE - 1)) != ENABLED)
        return false;
    memset(page, 0xcc, sizeof(page)); /* INT3 where there is no entry */
    for (unsigned i = 0; i < VMI_ENTRIES; i++)
        memcpy(page + i * VMI_ENTRY_BYTES, entries[i], sizeof(entries[i]));
    if (value && !write_page(v, gpa, page))
        return false;
    v->vmi_page = value;
    return true;
}

/* #GP for a list that is too long, or whose address wraps. */
static void check_list(struct vcpu *v, size_t item, uintptr_t ra)
{
    uint64_t at = v->guest->reg[RDI], n = v->guest->reg[RSI];
    if (n > LIST_MAX || at + n * item < at)
        engine_raise(v, EXC_GP, 0, ra);
}

static void flush_tlb(struct vcpu *v, uintptr_t ra)
{
    (void)ra;
    engine_flush_tlb(v);
}

static void write_msrs(struct vcpu *v, uintptr_t ra)
{
    struct { uint64_t index, value; } list[LIST_MAX];
    uint64_t at = v->guest->reg[RDI], n = v->guest->reg[RSI];
    check_list(v, sizeof(list[0]), ra);
    for (uint64_t i = 0; i < n; i++) {
        list[i].index = engine_load(v, at + i * sizeof(list[0]), 8, ra);
        list[i].value = engine_load(v, at + i * sizeof(list[0]) + 8, 8, ra);
    }
    for (uint64_t i = 0; i < n; i++)
        if (list[i].index >> 32 || !msr_write(v, (uint32_t)list[i].index, list[i].value))
            engine_raise(v, EXC_GP, 0, ra);
}

static void ports(struct vcpu *v, uintptr_t ra)
{
    uint64_t list[LIST_MAX], at = v->guest->reg[RDI], n = v->guest->reg[RSI];
    check_list(v, sizeof(list[0]), ra);
    for (uint64_t i = 0; i < n; i++)
        list[i] = engine_load(v, at + i * sizeof(list[0]), 8, ra);
    for (uint64_t i = 0; i < n; i++) {
        if (list[i] >> 16 & 0xffff)
            cpu_port_write(v, list[i] & 0xffff, 4, (uint32_t)(list[i] >> 32), ra);
        else
            engine_store(v, at + i * sizeof(list[0]) + 4, 4, cpu_port_read(v, list[i] & 0xffff, 4, ra), ra);
    }
}

static void (*const calls[CALLS])(struct vcpu *, uintptr_t) = {flush_tlb, write_msrs, ports};

bool vmi_call(struct vcpu *v, uintptr_t ra)
{
    uint32_t eax = (uint32_t)v->guest->reg[RAX];
    bool long_mode = v->guest->hflags & HF_CS64;
    if (!v->vmi_page || (eax & CALL_MASK) != CALL || (eax & 0xff) >= CALLS)
        return false;
    if (guest_cpl(v->guest) || !long_mode)
        return false;
    engine_sync(v, ra);
    v->stats.trap[SBE_CLASS_HYPERCALL]++;
    calls[eax & 0xff](v, ra);
    v->guest->reg[RAX] = 0;
    return true;
}
