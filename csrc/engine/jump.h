/* Where generated code goes next. See jump.c. */
#ifndef VMK_ENGINE_JUMP_H
#define VMK_ENGINE_JUMP_H

#include <stdint.h>

struct vcpu;

int jump_create(struct vcpu *v);
void jump_destroy(struct vcpu *v);

/* Translations of addresses changed: no target is known by its linear address any more. */
void jump_forget(struct vcpu *v);

/* Blocks were dropped: every remembered target is void. */
void jump_blocks_dropped(struct vcpu *v);

/* One page's translation changed. */
void jump_forget_page(struct vcpu *v, uint64_t va);

/* The address space changed: targets in global pages stay. */
void jump_forget_own(struct vcpu *v);

/* A block is about to be translated: the engine may have thrown all blocks away since the last one. */
void jump_note_translation(struct vcpu *v);

#endif
