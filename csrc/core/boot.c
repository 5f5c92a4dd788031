/* The hand-off from a loader: the boot CPU's registers, and the interrupt controllers as a PC BIOS leaves them.
 *
 * Follows the entry states of the Linux boot protocol, PVH and Multiboot (which the loader in Python turns into struct vmk_boot). */
#include <stdio.h>
#include <string.h>

#include "core/vm.h"
#include "dev/lapic.h"
#include "engine/engine.h"

#define CODE16 0x9b00u
#define DATA16 0x9300u
#define CODE32_FLAGS 0x00cf9b00u
#define CODE64_FLAGS 0x00af9b00u
#define DATA_FLAGS 0x00cf9300u

static void load_segment(struct guest *g, enum seg seg, uint16_t selector, uint64_t base, uint32_t limit, uint32_t flags)
{
    g->seg[seg] = (struct segment){.selector = selector, .base = base, .limit = limit, .flags = flags};
}

static void load_data_segments(struct guest *g, uint16_t selector, uint64_t base, uint32_t limit, uint32_t flags)
{
    for (enum seg s = SEG_ES; s <= SEG_GS; s++)
        if (s != SEG_CS)
            load_segment(g, s, selector, base, limit, flags);
}

static void boot_real(struct guest *g, const struct vmk_boot *b)
{
    load_segment(g, SEG_CS, b->cs, (uint64_t)b->cs << 4, 0xffff, CODE16);
    load_data_segments(g, b->ds, (uint64_t)b->ds << 4, 0xffff, DATA16);
}

static void boot_protected(struct vcpu *v, const struct vmk_boot *b)
{
    struct guest *g = v->guest;
    engine_set_cr0(v, CR0_PE | CR0_ET);
    load_segment(g, SEG_CS, b->cs, 0, UINT32_MAX, CODE32_FLAGS);
    load_data_segments(g, b->ds, 0, UINT32_MAX, DATA_FLAGS);
    g->tr = (struct segment){.limit = 0x67, .flags = TSS32_IN_USE};
    g->hflags = (g->hflags & ~(uint32_t)HF_ADDSEG) | HF_CS32 | HF_SS32;
}

static void boot_long(struct vcpu *v, const struct vmk_boot *b)
{
    struct guest *g = v->guest;
    g->efer = EFER_LME | EFER_NXE | EFER_SCE;
    engine_set_cr4(v, CR4_PAE);
    engine_set_cr3(v, b->cr3);
    engine_set_cr0(v, CR0_PE | CR0_ET | CR0_NE | CR0_WP | (uint64_t)CR0_PG);
    load_segment(g, SEG_CS, b->cs, 0, UINT32_MAX, CODE64_FLAGS);
    load_data_segments(g, b->ds, 0, UINT32_MAX, DATA_FLAGS);
    g->hflags = (g->hflags & ~(uint32_t)HF_ADDSEG) | HF_CS32 | HF_SS32 | HF_CS64;
}

/* A kernel that is loaded without firmware finds the interrupt controllers as a PC BIOS leaves them: the PIC pair reaches the boot CPU
 * through LINT0, and PCI's lines are level-triggered. */
static void boot_interrupts(struct vm *vm)
{
    struct dev *apic = vm->board->irq.lapic[0];
    lapic_mmio_write(apic, 0xf0, 4, 0x1ff);
    lapic_mmio_write(apic, 0x350, 4, 0x700);
    lapic_mmio_write(apic, 0x360, 4, 0x400);
    bus_port_write(vm->board, 0x4d1, 1, 0x0e);
}

void boot_startup_ipi(struct vcpu *v)
{
    uint16_t selector = (uint16_t)(v->sipi_vector << 8);
    load_segment(v->guest, SEG_CS, selector, (uint64_t)v->sipi_vector << 12, 0xffff, CODE16);
    v->guest->rip = 0;
}

int vm_boot(struct vm *vm, const struct vmk_boot *b)
{
    struct vcpu *v = vm->vcpu[0];
    struct guest *g = v->guest;
    vm_reset(vm);
    if (b->mode == VMK_MODE_RESET)
        return VMK_OK;
    boot_interrupts(vm);
    memcpy(g->reg, b->reg, sizeof(g->reg));
    g->gdt.base = b->gdt_base;
    g->gdt.limit = b->gdt_limit;
    switch (b->mode) {
    case VMK_MODE_REAL: boot_real(g, b); break;
    case VMK_MODE_PROTECTED: boot_protected(v, b); break;
    case VMK_MODE_LONG: boot_long(v, b); break;
    default:
        snprintf(vm->error, sizeof(vm->error), "there is no boot mode %u", b->mode);
        return VMK_EINVAL;
    }
    g->rip = b->entry;
    return VMK_OK;
}
