/* Direct execution: hot loops of ordinary instructions run on the host's processor itself. See direct.c. */
#ifndef VMK_ENGINE_DIRECT_H
#define VMK_ENGINE_DIRECT_H

#include <stdbool.h>
#include <stdint.h>

struct tb;
struct vcpu;

int direct_create(struct vcpu *v);
void direct_destroy(struct vcpu *v);

/* Block `tb` begins, at or past `limit`. True: only because a sample was due; the safe point is not. */
bool direct_sample(struct vcpu *v, struct tb *tb);

/* Blocks of a page are void: so are its loops. */
void direct_page_changed(struct vcpu *v, uint64_t page);

/* The engine has thrown all its code away. */
void direct_forget_all(struct vcpu *v);

/* A fault was raised: what of its block's count did not run, if a loop's access raised it. */
unsigned direct_undone(struct vcpu *v);

#endif
