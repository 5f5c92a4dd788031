/* The VMware backdoor port. See backdoor.c. */
#ifndef VMK_CPU_BACKDOOR_H
#define VMK_CPU_BACKDOOR_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

#define BACKDOOR_PORT 0x5658u

/* IN EAX,DX at the port: true when it was a call (the registers hold the answer), false when it is an
 * ordinary port read. */
bool backdoor_call(struct vcpu *v, unsigned size, uintptr_t ra);

#endif
