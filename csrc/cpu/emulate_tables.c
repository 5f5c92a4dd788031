/* LGDT, LIDT, SGDT, SIDT, LLDT, SLDT, LTR, STR: descriptor tables and the task register. */
#include "cpu/cpu.h"
#include "cpu/trap.h"

static void check_protected(struct trap *t)
{
    if (!(t->g->hflags & HF_PE) || t->g->rflags & FLAG_VM)
        trap_ud(t);
}

/* UMIP: with CR4.UMIP, storing a table's address above CPL 0 is #GP. */
static void check_umip(struct trap *t)
{
    if (t->g->cr[4] & CR4_UMIP && guest_cpl(t->g))
        trap_gp(t);
}

static void load_table(struct trap *t, struct segment *table)
{
    bool long_mode = t->site->mode == SBE_MODE_64;
    uint64_t at = trap_address(t);
    uint32_t limit = (uint32_t)engine_load(t->v, at, 2, t->ra);
    uint64_t base = engine_load(t->v, at + 2, long_mode ? 8 : 4, t->ra);
    if (!long_mode && t->op->size == 2)
        base &= 0xffffff;
    if (long_mode && !cpu_canonical(base))
        trap_gp(t);
    table->limit = limit;
    table->base = base;
}

static void store_table(struct trap *t, const struct segment *table)
{
    bool long_mode = t->site->mode == SBE_MODE_64;
    uint64_t at = trap_address(t), base = table->base;
    check_umip(t);
    if (!long_mode && t->op->size == 2)
        base &= 0xffffff;
    engine_store(t->v, at, 2, table->limit, t->ra);
    engine_store(t->v, at + 2, long_mode ? 8 : 4, base, t->ra);
}

void trap_lgdt(struct trap *t) { load_table(t, &t->g->gdt); }
void trap_lidt(struct trap *t) { load_table(t, &t->g->idt); }
void trap_sgdt(struct trap *t) { store_table(t, &t->g->gdt); }
void trap_sidt(struct trap *t) { store_table(t, &t->g->idt); }

static void load_system_segment(struct trap *t, void (*load)(struct vcpu *, uint16_t))
{
    check_protected(t);
    uint16_t selector = (uint16_t)trap_read_rm(t, 2);
    if (load == engine_ltr)
        cpu_check_ltr(t->v, selector, t->ra);
    trap_enter_native(t);
    load(t->v, selector);
    trap_leave_native(t);
}

static void store_selector(struct trap *t, uint32_t selector)
{
    check_protected(t);
    check_umip(t);
    trap_write_rm(t, t->op->flags & SBE_OP_REG ? t->op->size : 2, selector);
}

void trap_lldt(struct trap *t) { load_system_segment(t, engine_lldt); }
void trap_ltr(struct trap *t) { load_system_segment(t, engine_ltr); }
void trap_sldt(struct trap *t) { store_selector(t, t->g->ldt.selector); }
void trap_str(struct trap *t) { store_selector(t, t->g->tr.selector); }
