/* One instruction with the world stopped. See alone.c. */
#ifndef VMK_ENGINE_ALONE_H
#define VMK_ENGINE_ALONE_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

/* The instruction at `ra` starts again, and alone. */
void alone_begin(struct vcpu *v, uintptr_t ra) __attribute__((noreturn));

/* At a block start, and where an instruction ends otherwise. alone_block_starts: is this block the
 * instruction? alone_end: the world goes on, if this CPU has stopped it. */
bool alone_block_starts(struct vcpu *v);
void alone_end(struct vcpu *v);

#endif
