/* The guest's page walk: 4-level, PAE, 32-bit and no paging, with A and D bits, NX, WP, SMEP and SMAP.
 *
 * Follows the Intel SDM volume 3, chapter 4. Guest page tables are read through the board's map of guest-physical pages, so a table
 * that lies in ROM or nowhere reads as not present. Entries are changed with a host compare-and-swap: another vCPU (or a device) may
 * be changing the same entry. Leaves out: LA57, protection keys and PCID, which are not offered in CPUID. */
#include "engine/walk.h"

#include "core/vm.h"
#include "cpu/cpu.h"
#include "mem/srat.h"

enum pte { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_A = 32, PTE_D = 64, PTE_PS = 128, PTE_G = 256 };
#define PTE_NX (1ull << 63)
#define PTE_ADDR 0x000ffffffffff000ull
#define PTE_RESERVED 0x000fff0000000000ull /* physical bits 40 to 51: the CPUID model has 40 */

enum pf_error { PF_P = 1, PF_W = 2, PF_U = 4, PF_RSVD = 8, PF_I = 16 };

struct level {
    unsigned shift;
    bool leaf_ok; /* PS may be set here */
    unsigned width; /* bytes per entry */
    uint64_t reserved;
};

struct walker {
    struct vcpu *v;
    uint64_t va;
    int type, mode;
    bool nxe;
    struct walk *w;
};

static bool fault(struct walker *k, int bits)
{
    const struct guest *g = k->v->guest;
    bool ifetch = k->type == ACCESS_FETCH && (k->nxe || g->cr[4] & CR4_SMEP);
    k->w->vector = EXC_PF;
    k->w->error = bits | (k->type == ACCESS_STORE ? PF_W : 0) | (k->mode == MMU_USER ? PF_U : 0) | (ifetch ? PF_I : 0);
    return false;
}

static void *entry_at(struct walker *k, uint64_t gpa)
{
    uint64_t offset = ram_read_offset(k->v->board, gpa);
    return offset == RAM_NOT_MEMORY ? NULL : k->v->board->ram.host + offset;
}

/* Sets bits in a table entry unless someone changed it meanwhile: then the walk starts over. */
static bool mark_entry(struct walker *k, uint64_t gpa, unsigned width, uint64_t old, uint64_t set)
{
    void *p = entry_at(k, gpa);
    uint32_t old32 = (uint32_t)old;
    srat_touch(&k->v->vm->srat, (uint64_t)((uint8_t *)p - k->v->board->ram.host) >> PAGE_SHIFT);
    if (width == 8)
        return __atomic_compare_exchange_n((uint64_t *)p, &old, old | set, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return __atomic_compare_exchange_n((uint32_t *)p, &old32, old32 | (uint32_t)set, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

static int leaf_prot(const struct walker *k, uint64_t rights)
{
    const struct guest *g = k->v->guest;
    bool user = k->mode == MMU_USER;
    int prot = 0;
    if (user && !(rights & PTE_U))
        return 0;
    if (k->mode != MMU_KERNEL_SMAP || !(rights & PTE_U)) {
        prot |= PROT_R;
        if (rights & PTE_W || (!user && !(g->cr[0] & CR0_WP)))
            prot |= PROT_W;
    }
    if (!(rights & PTE_NX) && (user || !(g->cr[4] & CR4_SMEP && rights & PTE_U)))
        prot |= PROT_X;
    return prot;
}

enum step { STEP_DONE, STEP_FAULT, STEP_AGAIN };

static enum step finish(struct walker *k, uint64_t entry_gpa, const struct level *l, uint64_t entry, uint64_t rights)
{
    uint64_t set = PTE_A | (k->type == ACCESS_STORE ? PTE_D : 0);
    uint64_t mask = (1ull << l->shift) - 1;
    k->w->prot = leaf_prot(k, rights);
    if (!(k->w->prot & (1 << k->type)))
        return fault(k, PF_P), STEP_FAULT;
    if ((entry & set) != set && !mark_entry(k, entry_gpa, l->width, entry, set))
        return STEP_AGAIN;
    k->w->dirty = (entry | set) & PTE_D;
    k->w->global = entry & PTE_G && k->v->guest->cr[4] & CR4_PGE;
    k->w->page_size = mask + 1;
    k->w->gpa = (entry & PTE_ADDR & ~mask) | (k->va & mask);
    if (l->width == 4) /* 32-bit tables: PSE-36 is not offered */
        k->w->gpa &= 0xffffffff;
    return STEP_DONE;
}

static enum step walk_levels(struct walker *k, uint64_t table, const struct level *levels, unsigned n)
{
    uint64_t rights = PTE_W | PTE_U;
    for (unsigned i = 0; i < n; i++) {
        const struct level *l = &levels[i];
        unsigned index_bits = l->width == 4 ? 10 : 9;
        uint64_t gpa = table + ((k->va >> l->shift) & ((1u << index_bits) - 1)) * l->width;
        void *p = entry_at(k, gpa);
        uint64_t entry = !p ? 0 : l->width == 8 ? *(volatile uint64_t *)p : *(volatile uint32_t *)p;
        bool large = entry & PTE_PS && l->leaf_ok;
        if (!(entry & PTE_P))
            return fault(k, 0), STEP_FAULT;
        if (entry & l->reserved || (l->width == 8 && entry & PTE_NX && !k->nxe) ||
            (!l->leaf_ok && l->shift > 12 && entry & PTE_PS && l->width == 8) ||
            (large && l->width == 8 && entry & ((1ull << l->shift) - 1) & 0xffffe000))
            return fault(k, PF_P | PF_RSVD), STEP_FAULT;
        rights = (rights & entry) | (rights & PTE_NX) | (l->width == 8 ? entry & PTE_NX : 0);
        if (large || l->shift == 12)
            return finish(k, gpa, l, entry, rights);
        if (!(entry & PTE_A) && !mark_entry(k, gpa, l->width, entry, PTE_A))
            return STEP_AGAIN;
        table = entry & PTE_ADDR;
    }
    return STEP_FAULT;
}

static const struct level long_mode[] = {
    {39, false, 8, PTE_RESERVED}, {30, true, 8, PTE_RESERVED}, {21, true, 8, PTE_RESERVED}, {12, false, 8, PTE_RESERVED}};
static const struct level legacy[] = {{22, true, 4, 0}, {12, false, 4, 0}};
static const struct level legacy_no_pse[] = {{22, false, 4, 0}, {12, false, 4, 0}};

static enum step walk_pae(struct walker *k)
{
    uint64_t gpa = (k->v->guest->cr[3] & 0xffffffe0) + ((k->va >> 30) & 3) * 8;
    uint64_t *p = entry_at(k, gpa);
    uint64_t entry = p ? *(volatile uint64_t *)p : 0;
    if (!(entry & PTE_P))
        return fault(k, 0), STEP_FAULT;
    if (entry & (PTE_RESERVED | PTE_NX | 0x1e6))
        return fault(k, PF_P | PF_RSVD), STEP_FAULT;
    return walk_levels(k, entry & PTE_ADDR, &long_mode[2], 2);
}

static bool no_paging(struct walker *k)
{
    *k->w = (struct walk){.gpa = k->va, .page_size = PAGE_SIZE, .prot = PROT_R | PROT_W | PROT_X, .dirty = true};
    if (!(k->v->guest->hflags & HF_LMA))
        k->w->gpa &= 0xffffffff;
    return true;
}

static enum step walk_once(struct walker *k)
{
    const struct guest *g = k->v->guest;
    if (g->hflags & HF_LMA)
        return walk_levels(k, g->cr[3] & PTE_ADDR, long_mode, 4);
    k->va &= 0xffffffff;
    if (g->cr[4] & CR4_PAE)
        return walk_pae(k);
    return walk_levels(k, g->cr[3] & 0xfffff000, g->cr[4] & CR4_PSE ? legacy : legacy_no_pse, 2);
}

bool walk_pages(struct vcpu *v, uint64_t va, int type, int mode, struct walk *w)
{
    struct walker k = {.v = v, .va = va, .type = type, .mode = mode, .nxe = v->guest->efer & EFER_NXE, .w = w};
    enum step s;
    if (!(v->guest->cr[0] & CR0_PG))
        return no_paging(&k);
    if (v->guest->hflags & HF_LMA && !cpu_canonical(va)) {
        w->vector = EXC_GP;
        w->error = 0;
        return false;
    }
    do
        s = walk_once(&k);
    while (s == STEP_AGAIN);
    return s == STEP_DONE;
}

bool walk_peek(struct vcpu *v, uint64_t va, uint64_t *gpa)
{
    const struct guest *g = v->guest;
    const struct level *levels = long_mode;
    unsigned n = 4;
    uint64_t table = g->cr[3] & PTE_ADDR;
    *gpa = va;
    if (!(g->cr[0] & CR0_PG))
        return true;
    if (!(g->hflags & HF_LMA)) {
        va &= 0xffffffff;
        levels = legacy;
        n = 2;
        table = g->cr[3] & 0xfffff000;
        if (g->cr[4] & CR4_PAE) {
            uint64_t off = ram_read_offset(v->board, (g->cr[3] & 0xffffffe0) + ((va >> 30) & 3) * 8);
            if (off == RAM_NOT_MEMORY)
                return false;
            table = *(uint64_t *)(v->board->ram.host + off) & PTE_ADDR;
            levels = &long_mode[2];
        }
    }
    for (unsigned i = 0; i < n; i++) {
        const struct level *l = &levels[i];
        uint64_t at = table + ((va >> l->shift) & (l->width == 4 ? 1023 : 511)) * l->width;
        uint64_t off = ram_read_offset(v->board, at), entry, mask = (1ull << l->shift) - 1;
        if (off == RAM_NOT_MEMORY)
            return false;
        entry = l->width == 8 ? *(uint64_t *)(v->board->ram.host + off) : *(uint32_t *)(v->board->ram.host + off);
        if (!(entry & PTE_P))
            return false;
        table = entry & PTE_ADDR;
        *gpa = (table & ~mask) | (va & mask);
        if (entry & PTE_PS && l->leaf_ok)
            return true;
    }
    return true;
}
