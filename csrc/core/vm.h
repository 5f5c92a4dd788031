/* A virtual machine: a board, its vCPUs, and the loop that gives them turns.
 *
 * Life: vm_create, load (ram_write, ram_set_rom), vm_boot, then vm_run until it returns what Python should
 * look at. All vCPUs run by turns on the caller's thread, each for a quantum of retired instructions: a LOCK
 * prefix is atomic because one runs at a time, and two runs of one image interleave the same way. */
#ifndef VMK_CORE_VM_H
#define VMK_CORE_VM_H

#include <stdatomic.h>

#include "core/board.h"
#include "core/vcpu.h"
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

/* For the safe point: does this run end here? Sets *vm->exit. */
bool vm_should_stop(struct vm *vm);

/* When part of a line on a watched channel has been quiet long enough to be shown; UINT64_MAX if there is
 * none. */
uint64_t vm_quiet_deadline(const struct vm *vm);

/* Retired instructions of all vCPUs. */
uint64_t vm_instructions(const struct vm *vm);

#endif
