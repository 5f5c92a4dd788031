/* The paravirtual interface: a page of calls that the monitor fills. See vmi.c. */
#ifndef VMK_CPU_VMI_H
#define VMK_CPU_VMI_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

#define VMI_LEAF 0x40000100u /* CPUID: EBX ECX EDX "vmm paravirt"; the next one says where the MSR is */
#define VMI_MSR 0x40000080u  /* physical address of the page | 1, or 0 for none */
#define VMI_ENTRY_BYTES 32u

enum vmi_entry {
    VMI_IRQ_DISABLE = 0,
    VMI_IRQ_ENABLE = 1,
    VMI_IRQ_SAVE = 2,    /* RAX: the flags; interrupts are off */
    VMI_IRQ_RESTORE = 3, /* RDI: the flags */
    VMI_HALT = 4,        /* with interrupts on */
    VMI_READ_CR0 = 5,    /* RAX */
    VMI_READ_CR2 = 6,
    VMI_READ_CR3 = 7,
    VMI_WRITE_CR3 = 8,   /* RDI */
    VMI_INVLPG = 9,      /* RDI: the address */
    VMI_CLTS = 10,
    VMI_SWAPGS = 11,
    VMI_FLUSH_CACHES = 12,
    VMI_FLUSH_TLB = 13,  /* global translations too */
    VMI_WRITE_MSRS = 14, /* RDI: { uint32 index, reserved; uint64 value }, RSI of them */
    VMI_PORTS = 15,      /* RDI: { uint16 port, out; uint32 value }, RSI of them, 32 bits each */
    VMI_IRET = 16,       /* to be jumped to */
    VMI_PAUSE = 17,
    VMI_ENTRIES = 18,
};

/* WRMSR to VMI_MSR: false is #GP. */
bool vmi_set_page(struct vcpu *v, uint64_t value);
/* VMCALL or VMMCALL: true when it was one of the page's calls. May raise #GP or #PF. */
bool vmi_call(struct vcpu *v, uintptr_t ra);

#endif
