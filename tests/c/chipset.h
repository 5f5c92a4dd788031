/* The rig with CPUs that only count what they are told, and short names for what they would do: for the
 * chips around the CPU. */
#ifndef VMK_TESTS_CHIPSET_H
#define VMK_TESTS_CHIPSET_H

#include "rig.h"

#include "dev/lapic.h"

#define IOAPIC_BASE 0xfec00000ull

static struct cpu_log {
    unsigned kicks[BOARD_MAX_CPUS], nmis[BOARD_MAX_CPUS], inits[BOARD_MAX_CPUS], sipis[BOARD_MAX_CPUS];
    uint8_t sipi_vector[BOARD_MAX_CPUS];
    unsigned memory_changes;
} cpu_log;

static void log_kick(void *ctx, unsigned cpu) { ((struct cpu_log *)ctx)->kicks[cpu]++; }
static void log_nmi(void *ctx, unsigned cpu) { ((struct cpu_log *)ctx)->nmis[cpu]++; }
static void log_init(void *ctx, unsigned cpu) { ((struct cpu_log *)ctx)->inits[cpu]++; }
static void log_memory(void *ctx) { ((struct cpu_log *)ctx)->memory_changes++; }
static void log_nothing(void *ctx) { (void)ctx; }
static void log_page(void *ctx, uint64_t page) { (void)ctx, (void)page; }

static void log_sipi(void *ctx, unsigned cpu, uint8_t vector)
{
    struct cpu_log *log = ctx;
    log->sipis[cpu]++;
    log->sipi_vector[cpu] = vector;
}

static const struct board_cpu_ops logging_cpus = {
    .kick = log_kick, .nmi = log_nmi, .init = log_init, .sipi = log_sipi, .deadline = log_nothing,
    .request = log_nothing, .wake = log_nothing, .memory_changed = log_memory, .page_written = log_page,
    .page_changed = log_page,
};

static inline void chipset_begin(unsigned cpus)
{
    rig = rig_create(16 << 20, cpus, 0);
    memset(&cpu_log, 0, sizeof(cpu_log));
    rig->cpu = &logging_cpus;
    rig->cpu_ctx = &cpu_log;
}

/* The same state in a fresh board of the same kind. */
static inline void chipset_reborn(void)
{
    struct board *old = rig;
    size_t size = board_state_size(old);
    uint8_t *bytes = malloc(size);
    board_state_save(old, bytes);
    chipset_begin(old->cfg.cpus);
    if (!bytes || board_state_load(rig, bytes, size)) {
        fprintf(stderr, "board_state_load: %s\n", rig->error);
        exit(1);
    }
    free(bytes);
    board_destroy(old);
}

/* One test on a board of its own. */
#define RUN_ON(cpus, test)    \
    do {                      \
        chipset_begin(cpus);  \
        RUN(test);            \
        rig_end();            \
    } while (0)

static inline struct dev *apic(unsigned cpu) { return rig->irq.lapic[cpu]; }
static inline uint32_t apic_read(unsigned cpu, uint32_t off) { return lapic_mmio_read(apic(cpu), off, 4); }
static inline int apic_wrmsr(unsigned cpu, uint32_t msr, uint64_t v)
{
    return lapic_msr_write(apic(cpu), msr, v);
}

static inline void apic_write(unsigned cpu, uint32_t off, uint32_t value)
{
    lapic_mmio_write(apic(cpu), off, 4, value);
}

/* The MSR's value, or all ones for a #GP. */
static inline uint64_t apic_rdmsr(unsigned cpu, uint32_t msr)
{
    uint64_t value = UINT64_MAX;
    return lapic_msr_read(apic(cpu), msr, &value) ? UINT64_MAX : value;
}

/* Spurious vector 0xff, enabled, everything acceptable. */
static inline void apic_enable(unsigned cpu) { apic_write(cpu, 0xf0, 0x1ff); }

static inline void apic_x2(unsigned cpu)
{
    apic_wrmsr(cpu, MSR_APIC_BASE, apic_rdmsr(cpu, MSR_APIC_BASE) | 1 << 10);
    apic_wrmsr(cpu, 0x80f, 0x1ff);
}

static inline void ioapic_write(unsigned reg, uint32_t value)
{
    bus_mmio_write(rig, IOAPIC_BASE, 4, reg);
    bus_mmio_write(rig, IOAPIC_BASE + 0x10, 4, value);
}

static inline uint32_t ioapic_read(unsigned reg)
{
    bus_mmio_write(rig, IOAPIC_BASE, 4, reg);
    return (uint32_t)bus_mmio_read(rig, IOAPIC_BASE + 0x10, 4);
}

/* An entry to APIC ID `cpu`; low as in the register. */
static inline void ioapic_pin(unsigned pin, unsigned cpu, uint32_t low)
{
    ioapic_write(0x11 + 2 * pin, cpu << 24);
    ioapic_write(0x10 + 2 * pin, low);
}

static inline uint32_t pci_read(unsigned devfn, unsigned reg, unsigned size)
{
    bus_port_write(rig, 0xcf8, 4, 0x80000000u | devfn << 8 | (reg & 0xfc));
    return bus_port_read(rig, (uint16_t)(0xcfc + (reg & 3)), size);
}

static inline void pci_write(unsigned devfn, unsigned reg, unsigned size, uint32_t value)
{
    bus_port_write(rig, 0xcf8, 4, 0x80000000u | devfn << 8 | (reg & 0xfc));
    bus_port_write(rig, (uint16_t)(0xcfc + (reg & 3)), size, value);
}

#endif
