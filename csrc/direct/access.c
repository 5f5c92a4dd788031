/* Guest memory from compiled code: nothing is touched that the guest's own TLB does not say.
 *
 * An access computes its linear address and asks its site, where accesses through the same register went
 * last; the answer is good for one stay in the loop. If it is another page, the engine's TLB is looked up as
 * the engine's own code does, and if that has nothing (or says MMIO, code page, two pages) the state is
 * written back and C does the access, which may raise the guest's fault. A load leaves its value where the
 * instruction then finds its operand; a store runs the instruction on such a value first. */
#include "direct/compiler.h"

#define PAGE 4096

static unsigned log2_of(unsigned size)
{
    return size == 16 ? 4 : size == 8 ? 3 : size == 4 ? 2 : size == 2 ? 1 : 0;
}

/* Accesses through one register stay together; loads and stores need different rights. */
static struct direct_site *site_for(struct compiler *c, const struct insn *i)
{
    struct direct_loop *l = c->loop;
    uint8_t base = i->base != NO_REG ? i->base : i->index;
    uint8_t access = insn_access(i) == ACCESS_READ ? ACCESS_READ : ACCESS_WRITE;
    unsigned n = 0;
    while (n < l->sites && (c->site_key[n].base != base || c->site_key[n].access != access ||
                            c->site_key[n].size != i->rm_size))
        n++;
    if (n == DIRECT_SITES) {
        c->a.full = true;
        return &l->data->site[0];
    }
    c->site_key[n].base = base;
    c->site_key[n].access = access;
    c->site_key[n].size = i->rm_size;
    if (n == l->sites)
        l->sites++;
    return &l->data->site[n];
}

/* ADDRESS = the linear address. */
static void linear_address(struct compiler *c, const struct insn *i)
{
    struct assembler *a = &c->a;
    bool rip = i->scale == NO_REG && i->base == NO_REG;
    if (rip || (i->base == NO_REG && i->index == NO_REG)) {
        asm_constant(a, ADDRESS, i->disp);
    } else {
        uint8_t base = i->base == NO_REG ? NO_REG : rename_in(c, i->base, ADDRESS);
        uint8_t index = i->index == NO_REG ? NO_REG : rename_in(c, i->index, TEMP);
        asm_lea(a, 8, ADDRESS, base, index, i->scale, (int32_t)i->disp);
    }
    if (i->seg != NO_REG)
        asm_modrm(a, 0x03, 8, ADDRESS,
                  at(STATE, (int32_t)(offsetof(struct guest, seg) + i->seg * sizeof(struct segment) +
                                      offsetof(struct segment, base))));
}

void access_check(struct compiler *c, const struct insn *i, struct stub *s)
{
    struct assembler *a = &c->a;
    s->kind = STUB_ACCESS;
    s->insn = i;
    s->site = site_for(c, i);
    linear_address(c, i);
    asm_modrm(a, 0x2b, 8, ADDRESS, near(&s->site->tag)); /* sub */
    asm_modrm(a, 0x3b, 8, ADDRESS, near(&s->site->limit)); /* cmp */
    s->from = asm_jump_if(a, IF_AE);
    asm_modrm(a, 0x03, 8, ADDRESS, near(&s->site->host)); /* add */
    s->back = asm_here(a);
    c->flags.live = false;
    s->lazy = c->flags.lazy;
    s->flags = c->flags;
}

static void push_pop(struct compiler *c, uint8_t op) { asm_byte(&c->a, op); }

/* A routine: ADDRESS = linear, TEMP = the site; CF: the TLB does not have it. Else the site is set and
 * ADDRESS is the host's. */
static void find_routine(struct compiler *c, bool write, unsigned size)
{
    struct assembler *a = &c->a;
    const struct direct_host *h = c->host;
    const uint8_t done[] = {0x59, 0x58, 0xf8, 0xc3}, missed[] = {0x59, 0x58, 0xf9, 0xc3}; /* pops, clc/stc */
    c->find[write][log2_of(size)] = asm_here(a);
    push_pop(c, 0x50);
    push_pop(c, 0x51);
    asm_mov(a, 8, H_RAX, ADDRESS);
    asm_shift(a, 5, 8, H_RAX, (uint8_t)(12 - h->tlb_shift));
    asm_group1(a, 4, 4, in_reg(H_RAX), (int32_t)((h->tlb_entries - 1) << h->tlb_shift));
    asm_modrm(a, 0x03, 8, H_RAX, at(STATE, h->tlb_table));
    asm_modrm(a, OP_LEA, 8, H_RCX, at(ADDRESS, (int32_t)size - 1));
    asm_group1(a, 4, 8, in_reg(H_RCX), -PAGE);
    asm_modrm(a, 0x3b, 8, H_RCX, at(H_RAX, write ? h->tlb_write : h->tlb_read));
    uint8_t *miss = asm_jump_if(a, IF_NE);
    asm_store(a, 8, at(TEMP, offsetof(struct direct_site, tag)), H_RCX);
    asm_modrm(a, 0x03, 8, H_RCX, at(H_RAX, h->tlb_addend));
    asm_store(a, 8, at(TEMP, offsetof(struct direct_site, host)), H_RCX);
    asm_modrm(a, 0x03, 8, ADDRESS, at(H_RAX, h->tlb_addend));
    asm_constant(a, H_RCX, PAGE + 1 - size);
    asm_store(a, 8, at(TEMP, offsetof(struct direct_site, limit)), H_RCX);
    asm_bytes(a, done, sizeof(done));
    asm_patch_here(a, miss);
    asm_bytes(a, missed, sizeof(missed));
}

void access_find_routines(struct compiler *c)
{
    for (unsigned n = 0; n < c->stubs; n++) {
        const struct insn *i = c->stub[n].insn;
        if (c->stub[n].kind != STUB_ACCESS)
            continue;
        bool write = insn_access(i) != ACCESS_READ;
        if (!c->find[write][log2_of(i->rm_size)])
            find_routine(c, write, i->rm_size);
    }
}

void access_forget_sites(struct compiler *c)
{
    if (!c->loop->sites)
        return;
    asm_constant(&c->a, ADDRESS, 0);
    for (unsigned n = 0; n < c->loop->sites; n++)
        asm_store(&c->a, 8, near(&c->loop->data->site[n].limit), ADDRESS);
}

static void call_load(struct compiler *c, const struct stub *s)
{
    struct assembler *a = &c->a;
    call_routine(c, c->spill[s->lazy]);
    asm_mov(a, 8, H_RDI, STATE);
    asm_mov(a, 8, H_RSI, ADDRESS);
    asm_constant(a, H_RDX, (uintptr_t)s->access);
    asm_call(a, (const void *)c->host->load);
    call_routine(c, c->reload[s->lazy]);
    asm_modrm(a, OP_LEA, 8, ADDRESS, near(&c->loop->data->value));
}

static void call_store(struct compiler *c, const struct stub *s)
{
    struct assembler *a = &c->a;
    asm_mov(a, 8, H_RDI, STATE);
    asm_constant(a, H_RSI, (uintptr_t)s->access);
    asm_call(a, (const void *)c->host->store);
    call_routine(c, c->reload[s->lazy]);
}

static void store_slowly(struct compiler *c, const struct stub *s)
{
    struct assembler *a = &c->a;
    asm_store(a, 8, near(&c->loop->data->va), ADDRESS);
    asm_modrm(a, OP_LEA, 8, ADDRESS, near(&c->loop->data->value));
    if (insn_reads_flags(s->insn))
        flags_restore(c);
    rename_insn(c, s->insn);
    call_routine(c, c->spill[s->lazy]);
    call_store(c, s);
}

/* The flags that the instruction leaves come into force behind the store: that may fault. */
static void update_slowly(struct compiler *c, const struct stub *s)
{
    struct assembler *a = &c->a;
    const uint8_t save[] = {0x9f, 0x0f, 0x90, 0xc0}; /* lahf; seto al */
    bool flags = s->insn->effect;
    call_load(c, s);
    if (insn_reads_flags(s->insn) || insn_writes_some_flags(s->insn))
        flags_restore(c);
    rename_insn(c, s->insn);
    if (flags) {
        asm_bytes(a, save, sizeof(save));
        asm_store(a, 8, near(&c->loop->data->flags), FLAGS);
    }
    call_store(c, s);
    if (flags) {
        asm_load(a, 8, FLAGS, near(&c->loop->data->flags));
        flags_restore(c);
    }
}

void access_stub(struct compiler *c, const struct stub *s)
{
    struct assembler *a = &c->a;
    enum access access = insn_access(s->insn);
    asm_patch_here(a, s->from);
    asm_modrm(a, 0x03, 8, ADDRESS, near(&s->site->tag));
    asm_modrm(a, OP_LEA, 8, TEMP, near(s->site));
    call_routine(c, c->find[access != ACCESS_READ][log2_of(s->insn->rm_size)]);
    asm_patch(a, asm_jump_if(a, IF_AE), s->back);
    c->flags = s->flags;
    flags_save(c);
    if (access == ACCESS_READ)
        call_load(c, s);
    else if (access == ACCESS_WRITE)
        store_slowly(c, s);
    else
        update_slowly(c, s);
    asm_patch(a, asm_jump(a), access == ACCESS_READ ? s->back : s->behind);
}
