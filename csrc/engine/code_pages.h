/* Which physical pages hold translated code, in which engines. See code_pages.c. */
#ifndef VMK_ENGINE_CODE_PAGES_H
#define VMK_ENGINE_CODE_PAGES_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

/* Engine `v` now has a block of this page. */
void code_mark(struct vcpu *v, uint64_t page);

/* The guest stores to a page that some engine holds code of. `ra` is where in which block. True: stores must
 * go on trapping, because the storing block itself lies in the page. */
bool code_written(struct vcpu *v, uint64_t page, uintptr_t ra);

/* The same where other vCPUs run meanwhile. False: the page holds no code, and who translates from it stops
 * the world before reading it. */
bool code_written_parallel(struct vcpu *v, uint64_t page, uintptr_t ra);

/* A host-side write is about to change the page. */
void code_forget(struct vcpu *v, uint64_t page);

#endif
