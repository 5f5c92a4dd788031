/* The board lock and stopping the world: see core/world.h.
 *
 * Entering and parking are one atomic operation each while nobody stops the world; the flag is set before the
 * count is read and the count is raised before the flag is read, so one of the two sides always sees the
 * other. A stop takes as long as the others need to their next block start, some microseconds: both sides
 * spin that long before they sleep. */
#include "core/world.h"

#include "core/vm.h"
#include "cpu/cpu.h"

#define SPINS 500 /* of PAUSE: 5 to 25 us */

void world_init(struct world *w)
{
    pthread_mutex_init(&w->board, NULL);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->quiet, NULL);
    pthread_cond_init(&w->go, NULL);
}

void world_destroy(struct world *w)
{
    pthread_cond_destroy(&w->go);
    pthread_cond_destroy(&w->quiet);
    pthread_mutex_destroy(&w->lock);
    pthread_mutex_destroy(&w->board);
}

/* Where vCPUs share host CPUs, whoever is waited for may need this one. */
static unsigned spins(const struct vm *vm)
{
    return vm->crowded ? 0 : SPINS;
}

static void spin_while_stopped(struct vm *vm)
{
    for (unsigned i = spins(vm); i && atomic_load(&vm->world.stopped); i--)
        __builtin_ia32_pause();
}

static void spin_while_running(struct vm *vm)
{
    for (unsigned i = spins(vm); i && atomic_load(&vm->world.running); i--)
        __builtin_ia32_pause();
}

static void park(struct world *w)
{
    atomic_fetch_sub(&w->running, 1);
    if (!atomic_load(&w->stopped))
        return;
    pthread_mutex_lock(&w->lock);
    pthread_cond_broadcast(&w->quiet);
    pthread_mutex_unlock(&w->lock);
}

void world_leave(struct vcpu *v)
{
    struct world *w = &v->vm->world;
    v->sections_seen = atomic_load(&w->sections);
    park(w);
}

void world_enter(struct vcpu *v)
{
    struct world *w = &v->vm->world;
    for (;;) {
        atomic_fetch_add(&w->running, 1);
        if (!atomic_load(&w->stopped))
            break;
        park(w);
        spin_while_stopped(v->vm);
        pthread_mutex_lock(&w->lock);
        while (atomic_load(&w->stopped))
            pthread_cond_wait(&w->go, &w->lock);
        pthread_mutex_unlock(&w->lock);
    }
    if (atomic_load(&w->sections) != v->sections_seen)
        v->parks++;
}

void world_stop(struct vm *vm, struct vcpu *self)
{
    struct world *w = &vm->world;
    const void *owner = self ? (const void *)self : (const void *)vm;
    if (!vm->parallel)
        return;
    if (atomic_load(&w->stopped) && atomic_load(&w->owner) == owner) {
        w->depth++;
        return;
    }
    if (self)
        world_leave(self);
    pthread_mutex_lock(&w->lock);
    while (atomic_load(&w->stopped))
        pthread_cond_wait(&w->go, &w->lock);
    atomic_store(&w->stopped, true);
    if (self && atomic_load(&w->sections) != self->sections_seen)
        self->parks++;
    atomic_fetch_add(&w->sections, 1);
    atomic_store(&w->owner, owner);
    w->depth = 1;
    pthread_mutex_unlock(&w->lock);
    spin_while_running(vm);
    pthread_mutex_lock(&w->lock);
    while (atomic_load(&w->running))
        pthread_cond_wait(&w->quiet, &w->lock);
    pthread_mutex_unlock(&w->lock);
}

void world_start(struct vm *vm, struct vcpu *self)
{
    struct world *w = &vm->world;
    if (!vm->parallel || --w->depth)
        return;
    pthread_mutex_lock(&w->lock);
    atomic_store(&w->owner, NULL);
    if (self)
        atomic_fetch_add(&w->running, 1);
    atomic_store(&w->stopped, false);
    pthread_cond_broadcast(&w->go);
    pthread_mutex_unlock(&w->lock);
}

/* Not while an instruction runs alone: its vCPU has the lock then. */
void world_lock_board(struct vcpu *v)
{
    struct world *w = &v->vm->world;
    if (v->alone)
        return;
    if (pthread_mutex_trylock(&w->board)) {
        world_leave(v);
        pthread_mutex_lock(&w->board);
        world_enter(v);
    }
    w->holder = v;
}

void world_unlock_board(struct vcpu *v)
{
    struct world *w = &v->vm->world;
    if (v->alone)
        return;
    w->holder = NULL;
    pthread_mutex_unlock(&w->board);
    cpu_poll(v);
}
