/* The engine's instruction helpers that call the monitor instead. See helpers.c. */
#ifndef VMK_ENGINE_HELPERS_H
#define VMK_ENGINE_HELPERS_H

#include <stdint.h>

#include "engine/guest.h"

/* In the constant argument of a rewritten instruction's helper: the rest is the site's number. A guest's port
 * is 16 bits and an instruction's length 4, so the tag cannot be theirs. */
#define TRAP_TAG 0x80000000u

void __wrap_helper_check_exit_request_x86_64(void *p, uint32_t instructions);
void __wrap_helper_outb_x86_64(struct guest *env, uint32_t port, uint32_t data);
void __wrap_helper_syscall_x86_64(struct guest *env, uint32_t length);

void __wrap_helper_hlt_x86_64(struct guest *env, uint32_t length);
void __wrap_helper_iret_protected_x86_64(struct guest *env, uint32_t shift, int next_eip);
void __real_helper_iret_protected_x86_64(struct guest *env, uint32_t shift, int next_eip);

#endif
