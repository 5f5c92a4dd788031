/* With a host thread per vCPU: the board lock, and stopping the world.
 *
 * The board (chips, buses, interrupt routing, deadlines, output) is touched under one lock. RAM, guest code,
 * TLBs and page walks are not: whoever must change what another vCPU's engine holds stops the world first. A
 * vCPU can be stopped where it parks: at a block start, while it waits for the board lock, while it stops the
 * world itself, and between turns. What spans a park has to look again: vcpu.parks tells.
 *
 * Order: board lock, then world. Nobody takes the board lock while he has the world stopped. By turns (and
 * between runs) nothing runs and all of this costs a test of one flag. */
#ifndef VMK_CORE_WORLD_H
#define VMK_CORE_WORLD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct vcpu;
struct vm;

struct world {
    pthread_mutex_t board;
    struct vcpu *holder;    /* of the board lock; NULL: nobody, or no vCPU */
    pthread_mutex_t lock;
    pthread_cond_t quiet;   /* nobody runs any more */
    pthread_cond_t go;      /* the world goes on */
    atomic_uint running;    /* vCPU threads between world_enter and world_leave that have not parked */
    atomic_uint sections;   /* how often the world was stopped */
    atomic_bool stopped;
    _Atomic(const void *) owner; /* who stopped it: a vCPU or the VM */
    unsigned depth;
};

void world_init(struct world *w);
void world_destroy(struct world *w);

/* A vCPU thread is about to run guest code; it waits while the world is stopped. world_leave parks it. */
void world_enter(struct vcpu *v);
void world_leave(struct vcpu *v);

/* Returns when every other vCPU is parked. `self` is the caller's vCPU, or NULL for another thread. Nests. */
void world_stop(struct vm *vm, struct vcpu *self);
void world_start(struct vm *vm, struct vcpu *self);

/* The board lock, on a vCPU thread that runs. */
void world_lock_board(struct vcpu *v);
void world_unlock_board(struct vcpu *v);

#endif
