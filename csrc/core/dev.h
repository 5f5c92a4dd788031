/* The one shape every emulated chip has: a state struct described by a field table, and a handful of slots.
 *
 * A chip's state holds only guest-visible, fixed-width fields and no pointers. The field table names each of
 * them once; saving, restoring, comparing, fuzzing and migrating all walk that table (core/state.c), and its
 * sizes must add up to the struct's size, so a field that was forgotten is found when the board is built.
 * After each access the chip derives its interrupt pins from its registers in one function: nobody can forget
 * an edge. */
#ifndef VMK_CORE_DEV_H
#define VMK_CORE_DEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct board;
struct dev;
struct inbox_msg;

#define DEV_NEVER UINT64_MAX

struct state_field {
    const char *name;
    uint32_t offset;
    uint16_t size;  /* of one element: 1, 2, 4 or 8 */
    uint32_t count; /* elements; 1 for a plain field */
};

/* FIELD(struct pit, latch) for a scalar or a one- or more-dimensional array of `type` elements. */
#define FIELD(strct, member, type) \
    {#member, offsetof(strct, member), sizeof(type), sizeof(((strct *)0)->member) / (sizeof(type))}

struct dev_class {
    const char *name;   /* unique, lower case: "pit", "uart" */
    uint32_t version;   /* of the state's layout; a saved state of another version is refused */
    uint32_t size;      /* of the state struct */
    const struct state_field *fields;
    uint32_t nfields;

    /* Once, while the board is built: claim ports and MMIO ranges. 0 or a negative vmk_error. */
    int (*init)(struct dev *d);
    /* Power-on and every system reset; the state struct is NOT cleared beforehand. */
    void (*reset)(struct dev *d);
    /* Register access. `region` is what the chip passed to bus_claim_*; `off` is relative to the claimed
     * base; size is 1, 2, 4 or 8 for MMIO and 1, 2 or 4 for ports; an access never crosses the end of the
     * claimed range. Runs on the vCPU thread. */
    uint64_t (*read)(struct dev *d, unsigned region, uint64_t off, unsigned size);
    void (*write)(struct dev *d, unsigned region, uint64_t off, unsigned size, uint64_t value);
    /* A message from outside (core/inbox.h), at a safe point on the vCPU thread. */
    void (*event)(struct dev *d, const struct inbox_msg *msg);
    /* Next time in ns of VM time at which tick() must run, or DEV_NEVER. Asked again after every access,
     * event and tick; must be a function of the state alone. */
    uint64_t (*deadline)(struct dev *d);
    /* VM time has reached the deadline. Must move the deadline on. */
    void (*tick)(struct dev *d, uint64_t now);
    /* The state was replaced by a restore: drive the pins again. */
    void (*restored)(struct dev *d);
    /* The board goes away: free what `host` points to. */
    void (*destroy)(struct dev *d);
};

struct dev {
    const struct dev_class *cls;
    struct board *board;
    void *state;        /* cls->size bytes */
    uint32_t instance;  /* 0, 1, … among devices of one class */
    uint32_t index;     /* in the board's table */
    uint64_t deadline;  /* cached cls->deadline() */
    void *host; /* not guest state: what the shell keeps on the host's side (a ROM's bytes, a backend); owned
                   by the class */
};

/* Call after changing a chip's state from anywhere but its own slots (which the board follows by itself). */
void dev_rearm(struct dev *d);

#endif
