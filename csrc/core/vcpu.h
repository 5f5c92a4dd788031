/* One virtual CPU. Its guest state is touched only on its own turn or thread; others set a request.
 *
 * Everything found from a helper's argument hangs on this struct, never on a file-scope variable. The two
 * words that count its instructions, left and limit, are in the register file itself
 * (engine/guest.h). */
#ifndef VMK_CORE_VCPU_H
#define VMK_CORE_VCPU_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/board.h"
#include "engine/count.h"
#include "engine/guest.h"
#include "vmk_sbe.h"

struct vm;
struct engine_tlb;
struct tb;
struct jump_table;
struct direct;

enum vcpu_state { VCPU_RUNNING, VCPU_HALTED, VCPU_WAIT_SIPI };

/* Requests from other vCPUs, devices and threads; served at the next block start on the vCPU's turn. */
enum vcpu_request {
    REQ_INTERRUPT = 1,  /* look whether an external interrupt can be taken */
    REQ_NMI = 2,
    REQ_INIT = 4,
    REQ_SIPI = 8,
    REQ_TURN = 16,      /* give up the turn */
    REQ_STOP = 32,      /* leave the engine: the VM's run ends */
};

/* What is on its way through the guest's IDT: a fault on that way knows by it whether the event came from
 * outside the program. */
enum delivery { DELIVERING_NOTHING, DELIVERING_EVENT, DELIVERING_INT };

struct vcpu_stats {
    uint64_t
        trap[SBE_CLASS_COUNT]; /* by class of instruction, rewritten or reached through a wrapped helper */
    uint64_t exception[32];
    uint64_t interrupt[256];
    uint64_t monitor_entries; /* traps, calls by native instructions, exceptions, interrupts, MMIO */
    uint64_t nmi, entries, safe_points, tlb_fills, tlb_flushes, blocks, code_invalidations, mmio;
    uint64_t direct_loops;
};

/* One instruction with the world stopped (engine/alone.c). */
enum alone { NOT_ALONE, ALONE_NEXT, ALONE_NOW };

struct vcpu {
    atomic_uint request;        /* bits of enum vcpu_request */
    unsigned id;
    struct vm *vm;
    struct board *board;
    struct guest *guest;
    void *uc, *cpu, *tcg;       /* the engine, its CPU and its translator */
    void *memory_region, *mmio_region;
    struct engine_tlb *tlb;
    struct jump_table *jumps;
    struct direct *direct;      /* NULL: off */
    struct trace *trace;        /* where its events go: the board's by turns, its own with a thread */
    enum vcpu_state state;
    uint8_t sipi_vector;
    uint64_t due;               /* the limit, were it not for samples (engine/direct.c) */
    uint64_t turn_end;          /* icount at which this turn ends */
    bool turn_kept;             /* the last run was cut in the middle of this turn */
    bool nmi_pending;
    bool triple_fault;

    /* With a thread of its own (core/threads.c, core/world.h). */
    bool parallel;
    bool asleep;                /* under the board lock: waits for `wake` */
    uint8_t alone;              /* enum alone */
    unsigned pauses;            /* PAUSE instructions executed */
    unsigned parks;             /* how often others may have changed this engine's tables under it */
    unsigned sections_seen;     /* world.sections when it parked */
    unsigned block_parks;       /* `parks` when the translation under way began */
    _Atomic uint64_t retired;   /* instructions, for others to read: as of its last safe point */
    uint64_t round;             /* the run it took part in last */
    pthread_t thread;
    pthread_cond_t wake;

    /* Where a fault was raised, so that the instructions of its block that did not run are taken back from
     * icount. */
    bool fault_restored, fault_at_fetch;
    bool stepped;               /* the #DB being raised is a trap: its instruction retired */
    uint8_t delivering;         /* enum delivery: set while the guest's IDT, TSS and stack are accessed */
    uint8_t int_length;         /* of the INT n, INT3 or INTO being raised */
    uintptr_t smc_caller, native_ra;

    /* The block being translated: what the scan found and where its bytes are. */
    struct sbe_scan scan;
    const struct sbe_patch *patch;    /* the site whose instruction is being translated, or NULL */
    uint64_t code_page[2];      /* linear page addresses whose bytes `code_host` maps */
    const uint8_t *code_host[2];
    unsigned next_patch;        /* the first patch the translator has not passed */
    const struct tb *block;
    struct count_code count;    /* its start */
    bool translating;

    /* MSRs and timers the engine does not keep. */
    uint32_t cpuid[6];          /* feature words of the model, enum cpuid_word */
    int64_t tsc_offset;
    uint64_t feature_control, debugctl, spec_ctrl, microcode;
    uint64_t mtrr_def, mtrr_fixed[11], mtrr_var[16];
    uint64_t random;
    uint64_t vmi_page;          /* what VMI_MSR holds: cpu/vmi.h */

    struct vcpu_stats stats;
};

#endif
