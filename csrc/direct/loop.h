/* A loop of guest blocks, compiled to run on the host's own registers. See compile.c.
 *
 * This folder turns instructions into host code and knows nothing of the engine: who calls what is in
 * struct direct_host. engine/direct.c finds the loops, enters them and serves their slow paths. */
#ifndef VMK_DIRECT_LOOP_H
#define VMK_DIRECT_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "direct/insn.h"

#define DIRECT_BLOCKS 48
#define DIRECT_INSNS 640
#define DIRECT_SITES 24

struct guest;
struct direct_loop;

/* Where an access of this loop went last: within a stay in the loop, the same page needs no look at the TLB.
 * limit: offsets below it are in the page; 0: nothing is known. */
struct direct_site {
    uint64_t tag, limit, host;
};

/* What the code reads and writes beside the guest's state; in memory of its own, near the code. */
struct direct_data {
    uint64_t value[2], va; /* of an access on its way through the slow path */
    uint64_t flags;
    uint32_t credit;      /* entries until `judge` is asked */
    struct direct_site site[DIRECT_SITES];
};

/* One memory access: what its slow path has to know. */
struct direct_access {
    struct direct_loop *loop;
    uint64_t pc;
    uint32_t undone;      /* instructions of its block from this one on */
    uint8_t size, block;
    uint8_t first_half;   /* XMM register + 1 that takes the first 8 bytes before the others are loaded */
};

/* A block as the engine cuts them: from some address to the first jump. */
struct direct_block {
    uint64_t pc;
    uint32_t bytes;
    uint16_t first, n;    /* its instructions */
    int16_t to[2];        /* blocks that its jumps (find.h) lead to, or -1: not part of the loop */
    const void *origin;   /* the engine's block */
    const void *out[2];   /* for jumps out of the loop: the engine's, or NULL */
};

struct direct_loop {
    const void *entry;    /* runs block 0; jumped to as a block of the engine's is */
    uint64_t page;        /* guest-physical, that all blocks lie in */
    struct direct_data *data;
    unsigned sites, blocks, insns, accesses;
    struct direct_block block[DIRECT_BLOCKS];
    struct direct_access *access; /* direct_compile() allocates them; the loop's owner frees them */
    uint32_t samples;     /* that found this loop running, since it was last judged */
    bool dropped;         /* its code is not the guest's any more */
    uint8_t *patched;     /* the engine's code that jumps here, and what was there */
    uint8_t original[8];
};

/* What the host's processor leaves where the architecture says undefined. */
struct direct_quirks {
    bool logic_keeps_af, shift_keeps_af; /* AF is not 0 afterwards */
};

/* What compiled code calls, and where it finds the engine's TLB of its MMU mode. */
struct direct_host {
    struct direct_quirks quirks;
    int32_t tlb_table;    /* displacement from the guest's state of the pointer to the entries */
    uint32_t tlb_entries;
    uint8_t tlb_shift, tlb_read, tlb_write, tlb_addend; /* log2 of an entry's size; offsets within it */
    const void *next_block;                             /* void *(struct guest *) */
    void (*flags)(struct guest *);
    void (*load)(struct guest *, uint64_t va, const struct direct_access *);
    void (*store)(struct guest *, const struct direct_access *);
    bool (*limit)(struct guest *, struct direct_loop *);
    /* Where to go on: into the loop, or as if there were none. */
    const void *(*judge)(struct guest *, struct direct_loop *);
};

/* Room for code. */
struct direct_room {
    uint8_t *write, *end;
};

/* Compiles a loop whose blocks are set; `insn` are their instructions. False: it does not fit. */
bool direct_compile(struct direct_loop *loop, const struct insn *insn, const struct direct_host *host,
                    struct direct_room *room);

struct direct_quirks direct_find_quirks(void);

#endif
