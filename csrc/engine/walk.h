/* The guest's page tables. */
#ifndef VMK_ENGINE_WALK_H
#define VMK_ENGINE_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/private.h"

struct vcpu;

struct walk {
    uint64_t gpa;        /* of the byte asked for */
    uint64_t page_size;  /* of the leaf */
    int prot;            /* enum page_prot */
    bool dirty;          /* the leaf's D bit is set (or paging is off) */
    bool global;         /* the translation outlives a write to CR3 */
    int vector, error;   /* on failure: the guest fault */
};

/* Translates `va` for an access of `type` in MMU mode `mode`, setting A and D bits as the processor does.
 * False = *w has the fault. */
bool walk_pages(struct vcpu *v, uint64_t va, int type, int mode, struct walk *w);

/* The same without side effects and rights: for debuggers and the diagnostic screen. */
bool walk_peek(struct vcpu *v, uint64_t va, uint64_t *gpa);

#endif
