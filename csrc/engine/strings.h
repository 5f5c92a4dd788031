/* REP MOVS and REP STOS, a page at a time. See strings.c. */
#ifndef VMK_ENGINE_STRINGS_H
#define VMK_ENGINE_STRINGS_H

#include <stdint.h>

struct tb;

/* At the start of a block whose code is at `code`, `room` bytes of it on its page: emits the call that runs
 * ahead, if the block is the loop of a REP MOVS or REP STOS. */
void strings_emit(void *ctx, const struct tb *tb, const uint8_t *code, uint64_t room);

#endif
