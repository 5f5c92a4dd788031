/* What csrc/cpu and io/irq.c call on a local APIC. `d` is irq.lapic[cpu], the APIC of the accessing CPU.
 *
 * The xAPIC page is not on the bus, because every CPU finds its own APIC at the same address: csrc/cpu
 * compares an address with lapic_base() and calls lapic_mmio_read/write. All functions run on the vCPU
 * thread, keep the board's deadline right by themselves, and tell a CPU through board->cpu when something
 * became pending for it. */
#ifndef VMK_DEV_LAPIC_H
#define VMK_DEV_LAPIC_H

#include <stdbool.h>
#include <stdint.h>

struct apic_msg;
struct dev;

#define MSR_APIC_BASE 0x1bu
#define MSR_TSC_DEADLINE 0x6e0u
#define MSR_X2APIC_FIRST 0x800u
#define MSR_X2APIC_LAST 0x8ffu /* the architecture reserves all of it: indices without a register are #GP */

/* The 4 KiB register page while the APIC is in xAPIC mode. Only aligned 32-bit accesses reach a register;
 * others read 0 and are ignored. Outside xAPIC mode the page reads all ones (csrc/cpu should then treat
 * the address as ordinary). */
uint32_t lapic_mmio_read(struct dev *d, uint32_t off, unsigned size);
void lapic_mmio_write(struct dev *d, uint32_t off, unsigned size, uint32_t value);

/* MSRs 0x1B, 0x6E0 and 0x800..0x8FF. 0, or -1 when the access is a #GP. Never touches *value on -1. */
int lapic_msr_read(struct dev *d, uint32_t msr, uint64_t *value);
int lapic_msr_write(struct dev *d, uint32_t msr, uint64_t value);

uint64_t lapic_base(struct dev *d);    /* physical address of the register page */
bool lapic_enabled(struct dev *d);     /* globally (MSR 0x1B bit 11); CPUID.1:EDX.9 reads 0 while it is not */
bool lapic_x2apic(struct dev *d);      /* in x2APIC mode: no MMIO page */
uint32_t lapic_id(struct dev *d);      /* the initial APIC ID: the CPU's number */

/* CR8: the task priority class, 0..15. */
unsigned lapic_get_tpr(struct dev *d);
void lapic_set_tpr(struct dev *d, unsigned cr8);

/* The guest's TSC is VM ns plus this; it shifts an armed TSC deadline along. */
void lapic_set_tsc_offset(struct dev *d, int64_t offset);

/* Is a vector ready whose priority class is above the processor's (IF not considered)? */
bool lapic_pending(struct dev *d);
/* Takes the highest ready vector into service. The spurious vector if priorities no longer allow any. */
int lapic_ack(struct dev *d);

/* ExtINT, the path of the 8259 pair: through LINT0, or latched by an IOAPIC entry in ExtINT mode. */
bool lapic_takes_extint(struct dev *d);
void lapic_extint_taken(struct dev *d);

/* A level change on a local pin: 0 = LINT0 (the PIC pair's output on the BSP), 1 = LINT1 (the board's NMI
 * button). */
void lapic_lint(struct dev *d, unsigned pin, bool level);

/* Does the destination of `msg` name this APIC? Never true while it is globally disabled. */
bool lapic_matches(struct dev *d, const struct apic_msg *msg);
/* Would a fixed interrupt be taken now (enabled globally and by the spurious register)? */
bool lapic_accepting(struct dev *d);
/* The message has arrived here: fixed vectors into IRR, NMI, INIT and SIPI on to the CPU. */
void lapic_accept(struct dev *d, const struct apic_msg *msg);

/* INIT: everything but the ID, the base register and the TSC offset returns to its power-on value. Called
 * by lapic_accept for an INIT IPI; csrc/cpu calls it when a CPU is reset by other means. */
void lapic_init(struct dev *d);

#endif
