/* A virtual machine: a board, its vCPUs, and the loop that gives them turns.
 *
 * Life: vm_create, load (ram_write, ram_set_rom), vm_boot, then vm_run until it returns what Python should
 * look at. By turns, all vCPUs run on the caller's thread, each for a quantum of retired instructions: a LOCK
 * prefix is atomic because one runs at a time, and two runs of one image interleave the same way. With
 * threads (real time only), each has its own, and the caller's serves timers and input. Either way nothing
 * runs between two calls of vm_run. */
#ifndef VMK_CORE_VM_H
#define VMK_CORE_VM_H

#include <stdatomic.h>

#include "core/board.h"
#include "core/vcpu.h"
#include "core/world.h"
#include "mem/srat.h"
#include "vmk_api.h"

struct vm {
    struct board *board;
    struct srat srat;
    struct sbe *sbe;
    struct sbe_site *const *sites; /* its, for trap entry */
    struct vcpu *vcpu[BOARD_MAX_CPUS];
    struct vcpu *current;        /* whose turn it is, or NULL */
    unsigned cpus, next;         /* next: where the round robin looks first */
    uint32_t quantum;
    uint32_t direct;             /* enum vmk_direct */
    bool sbe_failed, count_failed;

    /* With threads (core/threads.c); all but `world` under the board lock. */
    bool parallel;
    bool crowded;                /* more vCPUs than host CPUs */
    struct world world;
    struct vm_threads {
        bool dying;
        unsigned made;           /* threads */
        bool ending;             /* the present run */
        uint64_t round;          /* number of the present run */
        unsigned active, asleep; /* threads that take part in it, and those of them that wait */
        uint64_t wake_time;      /* until when the caller sleeps; 0: it does not */
        pthread_cond_t start, done;
        pthread_mutex_t alert_lock; /* a leaf: taken under any other, or none */
        pthread_cond_t alert;
        bool alerted;
    } threads;
    pthread_mutex_t scan_lock;   /* of the scanner */
    struct trace *merged;        /* the events of all CPUs in order of time */

    /* What ends the current vm_run. */
    struct vmk_run run;
    atomic_bool stop;            /* vm_stop from another thread */
    struct vmk_exit *exit;
    char error[256];
};

struct vm *vm_create(const struct vmk_config *cfg, char *err, size_t errlen);
void vm_destroy(struct vm *vm);

/* The boot CPU's state at the hand-off from a loader. */
int vm_boot(struct vm *vm, const struct vmk_boot *boot);

/* A startup IPI: real mode at the vector's page. */
void boot_startup_ipi(struct vcpu *v);

/* Runs until something in `run` is met or the VM ends. 0, or a negative vmk_error with vm->error set. */
int vm_run(struct vm *vm, const struct vmk_run *run, struct vmk_exit *out);

/* VM time before which no CPU runs and nothing happens, unless it comes from outside. Between runs. */
uint64_t vm_next_event(struct vm *vm);

/* From any thread: vm_run returns at the next safe point. */
void vm_stop(struct vm *vm);

/* System reset: board and CPUs as at power-on, RAM kept. */
void vm_reset(struct vm *vm);

/* With threads (core/threads.c): the body of a run; its end, from any thread under the board lock; something
 * the caller's thread should look at, from any thread. */
int threads_run(struct vm *vm);
void threads_end_run(struct vm *vm);
void threads_alert(struct vm *vm);
void threads_init(struct vm *vm);
void threads_destroy(struct vm *vm);

/* For the safe point: does this run end here? Sets *vm->exit. */
bool vm_should_stop(struct vm *vm);

/* Ends the run for a reason that is the CPU's. */
void vm_end_run(struct vm *vm, enum vmk_exit_reason reason);

/* INIT, SIPI and NMI are taken in; is it running now? On the vCPU's turn or thread. */
bool vm_runnable(struct vcpu *v);

/* Every CPU has halted with interrupts off. */
bool vm_all_dead(const struct vm *vm);

/* Is there output to hand over: a whole line, a part that nothing followed, or (`idle`) any? */
bool vm_output_ready(struct vm *vm, bool idle);

/* When part of a line on a watched channel has been quiet long enough to be shown; UINT64_MAX if there is
 * none. */
uint64_t vm_quiet_deadline(const struct vm *vm);

/* The board lock around what a vCPU does to the board; by turns there is none. */
static inline void vm_lock(struct vcpu *v)
{
    if (__builtin_expect(v->parallel, 0))
        world_lock_board(v);
}
static inline void vm_unlock(struct vcpu *v)
{
    if (__builtin_expect(v->parallel, 0))
        world_unlock_board(v);
}

/* The vCPU that runs the caller's code, or NULL. */
struct vcpu *vm_caller(struct vm *vm);

/* The trace of all CPUs, between runs. */
struct trace *vm_trace(struct vm *vm);

/* Retired instructions of all vCPUs. */
uint64_t vm_instructions(const struct vm *vm);

#endif
