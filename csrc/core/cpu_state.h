/* What of a vCPU is state. See cpu_state.c. */
#ifndef VMK_CORE_CPU_STATE_H
#define VMK_CORE_CPU_STATE_H

#include <stddef.h>
#include <stdint.h>

struct vcpu;

/* Bytes of one vCPU's saved state, and the state itself. Between runs only: flags and rip are current then. */
size_t cpu_state_size(void);
void cpu_state_save(const struct vcpu *v, uint8_t *out);

#endif
