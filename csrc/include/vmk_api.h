/* The face Python sees: enums, structs and prototypes only. cffi reads this same file, so it holds no macros
 * with values, no conditionals beyond the guard, and no inline functions.
 *
 * Reading order of the monitor: core/vm.h (life of a VM) - core/board.h (chips) - engine/engine.h (the guest
 * CPU) - sbe/sbe.h (scan before execution) - cpu/ (what a trap does) - mem/ (who owns a page). */
#ifndef VMK_API_H
#define VMK_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Host failures; guest faults are injected and never appear here. The text is vmk_error(vm). */
enum vmk_error_code {
    VMK_OK = 0,
    VMK_EINVAL = -1,    /* a caller's argument is out of range */
    VMK_ENOMEM = -2,
    VMK_ERANGE = -3,    /* an address outside guest memory */
    VMK_EBUSY = -4,     /* a range is claimed, an inbox is full */
    VMK_EENGINE = -5,   /* the engine refused or does not match the pinned version */
    VMK_ESTATE = -6,    /* a saved state does not fit this VM */
    VMK_EBUG = -7,      /* our own defect: the VM is stopped */
};

enum vmk_channel { VMK_COM1 = 0, VMK_COM2 = 1, VMK_DEBUGCON = 2, VMK_CHANNELS = 3 };

enum vmk_request { VMK_REQ_NONE = 0, VMK_REQ_RESET = 1, VMK_REQ_POWEROFF = 2, VMK_REQ_DEBUG_EXIT = 3 };

enum vmk_time { VMK_TIME_VIRTUAL = 0, VMK_TIME_REAL = 1, VMK_TIME_MANUAL = 2 };

/* Direct execution of hot loops. Eager: at the first sight of each, for tests. */
enum vmk_direct { VMK_DIRECT_ON = 0, VMK_DIRECT_OFF = 1, VMK_DIRECT_EAGER = 2 };

/* Several CPUs: by turns on one host thread, or a thread each (real time only). */
enum vmk_smp { VMK_SMP_TURNS = 0, VMK_SMP_THREADS = 1 };

enum vmk_trace_kind {
    VMK_TRACE_TRAP = 0,       /* a: rip, b: site, c: class */
    VMK_TRACE_EXCEPTION = 1,  /* a: rip, b: vector, c: error code */
    VMK_TRACE_INTERRUPT = 2,  /* a: rip, b: vector */
    VMK_TRACE_PORT_READ = 3,  /* a: port, b: value, c: size */
    VMK_TRACE_PORT_WRITE = 4,
    VMK_TRACE_MMIO_READ = 5,  /* a: address, b: value, c: size */
    VMK_TRACE_MMIO_WRITE = 6,
    VMK_TRACE_UNCLAIMED = 7,  /* a: address, b: value, c: size | 0x100 write | 0x200 MMIO */
    VMK_TRACE_MSR = 8,        /* a: index, b: value, c: 0 read 1 write 2 refused read 3 refused write */
    VMK_TRACE_SYSCALL = 9,
    VMK_TRACE_IPI = 10,       /* a: destination, b: vector, c: mode */
    VMK_TRACE_RESET = 11,
    VMK_TRACE_KINDS = 12,
};

struct vmk_trace_event {
    uint64_t time, a, b, c;
    uint16_t kind, cpu;
    uint32_t reserved;
};

enum vmk_nic_model { VMK_NIC_E82545EM = 0, VMK_NIC_E82540EM = 1 };
enum vmk_scsi_model { VMK_SCSI_LSI53C1030 = 0, VMK_SCSI_SAS1068 = 1 };

struct vmk_nic_config {
    uint32_t model;           /* enum vmk_nic_model */
    uint8_t mac[6], reserved[2];
};

struct vmk_config {
    uint64_t memory;          /* bytes of guest RAM, a multiple of 4096 */
    uint64_t rtc_epoch;       /* seconds since 1970 the RTC shows at power-on */
    uint32_t cpus;            /* 1 to 64; a board without CPUs (tests) still has this many local APICs */
    uint32_t time_mode;       /* enum vmk_time */
    uint32_t sbe_profile;     /* enum sbe_profile: full, adaptive, off */
    uint32_t cpu_model;       /* row of cpu/cpuid.c */
    uint32_t quantum;         /* instructions per turn, 0 = 50 000 */
    uint32_t direct;          /* enum vmk_direct */
    uint32_t msr_ignore;      /* unknown MSRs read as zero instead of #GP */
    uint32_t debug_exit_port; /* 0 = none */
    uint32_t trace_mask;      /* bit per enum vmk_trace_kind */
    uint32_t smp;             /* enum vmk_smp */
    uint32_t nics;            /* 0 to 8 */
    struct vmk_nic_config nic[8];
    uint32_t scsi_adapters;   /* 0 to 4 */
    uint32_t scsi_model[4];   /* enum vmk_scsi_model */
};

/* A disk on a SCSI adapter. Empty texts mean the usual ones; they are ASCII. */
enum vmk_disk_kind { VMK_DISK_DISK = 0, VMK_DISK_CDROM = 1 };

struct vmk_disk_config {
    uint32_t kind;            /* enum vmk_disk_kind */
    uint32_t reserved;
    char serial[40];          /* at most 36 characters */
    char product[24];         /* at most 16 */
};

struct vmk_disk_stats {
    uint64_t reads, writes, flushes, discards, read_bytes, written_bytes, errors;
    char last_error[160];     /* the backend's text for its last failed request */
};

/* What a page of a VM's memory is for. */
enum vmk_srat_purpose {
    VMK_SRAT_FREE = 0,
    VMK_SRAT_GUEST_RAM = 1,
    VMK_SRAT_ROM = 2,
    VMK_SRAT_SHARED = 3,
    VMK_SRAT_BALLOON = 4,
    VMK_SRAT_PURPOSES = 5
};

struct vmk_srat_summary {
    uint64_t page_size, dirty, code, pinned;
    uint64_t pages[5]; /* by purpose */
    uint32_t owner, reserved;
};

enum vmk_cpu_mode { VMK_MODE_RESET = 0, VMK_MODE_REAL = 1, VMK_MODE_PROTECTED = 2, VMK_MODE_LONG = 3 };

/* The boot CPU's state when it starts. */
struct vmk_boot {
    uint64_t entry;        /* RIP */
    uint64_t reg[16];      /* rax rcx rdx rbx rsp rbp rsi rdi r8 .. r15 */
    uint64_t cr3;          /* long mode: root of the page tables */
    uint64_t gdt_base;
    uint32_t gdt_limit;
    uint32_t mode;         /* enum vmk_cpu_mode */
    uint16_t cs, ds;       /* selectors; in real mode CS:IP's segment */
    uint16_t reserved[2];
};

enum vmk_exit_reason {
    VMK_EXIT_OUTPUT = 1,       /* a watched channel has a whole line, or went quiet with part of one */
    VMK_EXIT_REQUEST = 2,      /* power-off, reset or debug exit: see request and value */
    VMK_EXIT_TIME = 3,         /* the time in vmk_run was reached */
    VMK_EXIT_INSTRUCTIONS = 4,
    VMK_EXIT_TRIPLE_FAULT = 5,
    VMK_EXIT_HALTED = 6,       /* every CPU that runs has halted with interrupts off and no NMI can come */
    VMK_EXIT_IDLE = 7,         /* all CPUs wait and no timer is armed: only input can wake the VM */
    VMK_EXIT_STOPPED = 8,      /* vmk_stop() */
    VMK_EXIT_ERROR = 9,        /* a host failure: vmk_error() */
    VMK_EXIT_FRAME = 10,       /* a watched NIC has sent a frame: vmk_net_take() */
};

struct vmk_run {
    uint64_t until_time;          /* ns of VM time, or UINT64_MAX */
    uint64_t until_instructions;  /* of all CPUs, or UINT64_MAX */
    uint32_t watch_output;        /* bit per channel whose lines end the run */
    uint32_t watch_frames;        /* bit per NIC whose frames end the run */
    uint32_t wait_for_input;      /* real time: wait in idle instead of returning VMK_EXIT_IDLE */
};

struct vmk_exit {
    uint32_t reason;    /* enum vmk_exit_reason */
    uint32_t request;   /* enum vmk_request */
    uint32_t value;     /* of a debug exit */
    uint32_t cpu;
};

/* Counters since power-on. Arrays are indexed as named. */
struct vmk_stats {
    uint64_t instructions, vm_ns;
    uint64_t traps[64];          /* by class: vmk_sbe_class_name() */
    uint64_t exceptions[32];     /* by vector */
    uint64_t interrupts[256];    /* by vector */
    uint64_t monitor_entries;    /* traps, calls by native instructions, exceptions, interrupts, MMIO */
    uint64_t nmis, engine_entries, safe_points, tlb_fills, tlb_flushes, blocks, code_invalidations, mmio;
    uint64_t direct_loops;
    uint64_t unclaimed_reads, unclaimed_writes;
    uint64_t sbe_blocks, sbe_clean, sbe_instructions, sbe_candidates, sbe_sites;
    double sbe_seconds;
};

struct vmk_site {
    uint64_t pc, hits;
    uint32_t cls, insn;      /* vmk_sbe_class_name(), vmk_sbe_insn() */
    uint8_t mode, cpl, policy, shape, len, reserved[3];
    uint8_t bytes[16], replacement[16];
};

struct vmk_segment {
    uint64_t base;
    uint32_t limit, flags;
    uint32_t selector, reserved;
};

/* One CPU between runs. */
struct vmk_registers {
    uint64_t reg[16];
    uint64_t rip, rflags, cr0, cr2, cr3, cr4, cr8, efer;
    uint64_t dr[8];
    uint64_t icount;
    struct vmk_segment seg[6];   /* es cs ss ds fs gs */
    struct vmk_segment ldt, tr, gdt, idt;
    uint32_t cpl, state;         /* state: 0 running, 1 halted, 2 waiting for SIPI */
};

struct vmk_net_counters {
    uint64_t tx_frames, tx_bytes, tx_dropped, rx_frames, rx_bytes, rx_dropped;
};

/* What the VGA shows. columns and rows are 0 in a graphics mode, which is not rendered. */
struct vmk_screen {
    uint32_t columns, rows, cell_width, cell_height;
    int32_t cursor;                     /* row * columns + column, or -1 */
    uint32_t cursor_first, cursor_last; /* its lines within the cell */
    uint32_t font[2]; /* where in plane 2 the glyphs start, 32 bytes each: attribute bit 3 clear, set */
    uint8_t on, blinks, repeats_line_graphics, blink_shown, cursor_shown;
    uint8_t palette[16][3];
};

/* The VM. Every call but vmk_stop and vmk_post_* belongs to one thread at a time. Calls return 0 or a
 * negative vmk_error_code; the text is vmk_error(vm). */
struct vm;
struct vm *vmk_create(const struct vmk_config *config, char *error, size_t error_size);
void vmk_destroy(struct vm *vm);
const char *vmk_error(struct vm *vm);

/* Guest-physical memory through the checked accessors. */
int vmk_ram_read(struct vm *vm, uint64_t gpa, void *buffer, size_t length);
int vmk_ram_write(struct vm *vm, uint64_t gpa, const void *buffer, size_t length);
/* Guest-linear memory of a CPU, as much as is mapped: bytes read. */
size_t vmk_linear_read(struct vm *vm, uint32_t cpu, uint64_t address, void *buffer, size_t length);
int vmk_set_rom(struct vm *vm, const void *bytes, size_t length);
int vmk_fwcfg_add(struct vm *vm, uint32_t key, const void *bytes, size_t length);

/* Disks. A backend is a file format's or memory's side of a disk, made by a vmk_backend_* call and then
 * attached to one place, which takes it over; one that was not attached is given back to
 * vmk_backend_close(). Attaching and detaching a disk of a VM that has run is hot-plugging. Targets are 0
 * to 15 (7 is the LSI53C1030's own), LUNs 0 to 7. */
struct blk_backend;
/* A disk in the caller's memory, which outlives it, or (bytes NULL) in zeroed memory of its own. */
struct blk_backend *vmk_backend_ram(void *bytes, uint64_t size, bool readonly, char *error,
                                    size_t error_size);
uint64_t vmk_backend_size(const struct blk_backend *backend);
void vmk_backend_close(struct blk_backend *backend);
/* The backend is taken over if this returns 0. NULL: a CD drive without a medium. */
int vmk_disk_attach(struct vm *vm, uint32_t adapter, uint32_t target, uint32_t lun,
                    struct blk_backend *backend, const struct vmk_disk_config *config);
int vmk_disk_detach(struct vm *vm, uint32_t adapter, uint32_t target, uint32_t lun);
/* Another medium for a CD drive, or none (NULL). */
int vmk_disk_insert(struct vm *vm, uint32_t adapter, uint32_t target, uint32_t lun,
                    struct blk_backend *backend);
/* Waits until the host has done what was handed in: what is on the backends then is what a state saved now
 * belongs to. */
void vmk_disks_quiesce(struct vm *vm);
int vmk_disk_stats(struct vm *vm, uint32_t adapter, uint32_t target, uint32_t lun,
                   struct vmk_disk_stats *out);

int vmk_boot(struct vm *vm, const struct vmk_boot *boot);
int vmk_run(struct vm *vm, const struct vmk_run *run, struct vmk_exit *exit);
void vmk_stop(struct vm *vm);
uint64_t vmk_now(struct vm *vm);
/* VM time before which the VM does nothing by itself: now while a CPU runs, UINT64_MAX for never. Between
 * runs. */
uint64_t vmk_next_event(struct vm *vm);

/* Guest output: copies up to `size` bytes out and removes them; the number copied. */
size_t vmk_output(struct vm *vm, uint32_t channel, void *buffer, size_t size);
/* Input, from any thread, delivered at VM time `when` (0: at once). VMK_EBUSY: the inbox is full, try again
 * later. */
int vmk_post_serial(struct vm *vm, uint32_t channel, const void *bytes, size_t length, uint64_t when);
int vmk_post_keys(struct vm *vm, const void *scancodes, size_t length, uint64_t when);
int vmk_post_nmi(struct vm *vm, uint64_t cpu_mask, uint64_t when);
int vmk_post_power_button(struct vm *vm, uint64_t when);

/* A NIC whose cable leads to the caller. vmk_net_open: plug it in so, in place of what was there.
 * vmk_net_take: the oldest frame the guest sent and when, its length, 0 if there is none. vmk_net_give, from
 * any thread: a frame for the guest at VM time `when` (0: at once); VMK_EBUSY: the port's queue is full and
 * the frame is dropped. */
int vmk_net_open(struct vm *vm, uint32_t nic);
int vmk_net_unplug(struct vm *vm, uint32_t nic);
size_t vmk_net_take(struct vm *vm, uint32_t nic, void *buffer, size_t size, uint64_t *when);
int vmk_net_give(struct vm *vm, uint32_t nic, const void *frame, size_t length, uint64_t when);
/* Pulls the cable of any NIC, or plugs it in again. */
int vmk_net_link(struct vm *vm, uint32_t nic, bool up);
int vmk_net_counters(struct vm *vm, uint32_t nic, struct vmk_net_counters *out);

/* Text screen. cells has room for 16384: character | attribute << 8, columns * rows of them are set. */
int vmk_screen(struct vm *vm, struct vmk_screen *screen, uint16_t *cells);
/* VGA plane 2, 65536 bytes: the fonts. */
int vmk_screen_font(struct vm *vm, uint8_t *plane);

int vmk_registers(struct vm *vm, uint32_t cpu, struct vmk_registers *out);
void vmk_stats(struct vm *vm, struct vmk_stats *out);
/* Policy of one row of the instruction table (0 native, 1 trap, 2 inline) and the bytes of its inline form in
 * one CPU mode (0: 16-bit, 1: 32-bit, 2: 64-bit). Before the first vmk_run. VMK_EINVAL: the row does not
 * allow it; the text says why. */
int vmk_sbe_set_policy(struct vm *vm, uint32_t insn, uint32_t policy);
int vmk_sbe_set_inline(struct vm *vm, uint32_t insn, uint32_t mode, const void *bytes, size_t length);

uint32_t vmk_site_count(struct vm *vm);
int vmk_site(struct vm *vm, uint32_t index, struct vmk_site *out);
void vmk_srat(struct vm *vm, struct vmk_srat_summary *out);
/* Newest events last: up to `max` of those recorded; the number copied. `fresh`: only those not copied
 * before. */
size_t vmk_trace(struct vm *vm, struct vmk_trace_event *events, size_t max, bool fresh);

/* All state but RAM (CPUs, chips, clock) as bytes; and RAM pages ever written, for hashing. */
size_t vmk_state_size(struct vm *vm);
int vmk_state_save(struct vm *vm, void *buffer, size_t size);
size_t vmk_written_pages(struct vm *vm, uint64_t *pages, size_t max);

/* CPU models by row; NULL past the last. */
const char *vmk_cpu_model(uint32_t row);
const char *vmk_cpu_model_text(uint32_t row);
const char *vmk_engine_version(void);
/* The host's time stamp counter, or 0 where it has none: for measurements, never for a guest. */
uint64_t vmk_host_cycles(void);

#endif
