/* Guest accesses to what is not plain memory. See mmio.c. */
#ifndef VMK_ENGINE_MMIO_H
#define VMK_ENGINE_MMIO_H

#include <stdint.h>

#include "engine/private.h"

/* The callbacks of the engine's one MMIO region; `user` is the vCPU. */
uint64_t mmio_read(uc_engine *uc, uint64_t gpa, unsigned size, void *user);
void mmio_write(uc_engine *uc, uint64_t gpa, unsigned size, uint64_t value, void *user);

#endif
