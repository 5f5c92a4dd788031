/* Model-specific registers. See msr.c. */
#ifndef VMK_CPU_MSR_H
#define VMK_CPU_MSR_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

/* False: this read or write is a #GP. */
bool msr_read(struct vcpu *v, uint32_t index, uint64_t *value);
bool msr_write(struct vcpu *v, uint32_t index, uint64_t value);

#endif
