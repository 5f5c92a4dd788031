/* The face Python sees, one thin function per call of vmk_api.h: arguments are checked here, the work is
 * elsewhere. */
#include <stdio.h>
#include <string.h>

#include "core/cpu_state.h"
#include "core/state.h"
#include "core/vm.h"
#include "cpu/cpu.h"
#include "cpu/cpuid.h"
#include "dev/fw_cfg.h"
#include "dev/lapic.h"
#include "dev/vga.h"
#include "engine/engine.h"
#include "net/port.h"
#include "net/queue_peer.h"

struct vm *vmk_create(const struct vmk_config *config, char *error, size_t error_size)
{
    return vm_create(config, error, error_size);
}

void vmk_destroy(struct vm *vm)
{
    vm_destroy(vm);
}

const char *vmk_error(struct vm *vm)
{
    return vm->error[0] ? vm->error : vm->board->error;
}

static int fail(struct vm *vm, int code, const char *text)
{
    snprintf(vm->error, sizeof(vm->error), "%s", text);
    return code;
}

int vmk_ram_read(struct vm *vm, uint64_t gpa, void *buffer, size_t length)
{
    int rc = ram_read(vm->board, gpa, buffer, length);
    if (rc)
        snprintf(vm->error, sizeof(vm->error), "guest-physical 0x%llx+0x%zx is not all memory",
                 (unsigned long long)gpa, length);
    return rc;
}

int vmk_ram_write(struct vm *vm, uint64_t gpa, const void *buffer, size_t length)
{
    int rc = ram_write(vm->board, gpa, buffer, length);
    if (rc)
        snprintf(vm->error, sizeof(vm->error), "guest-physical 0x%llx+0x%zx is not all writable memory",
                 (unsigned long long)gpa, length);
    return rc;
}

size_t vmk_linear_read(struct vm *vm, uint32_t cpu, uint64_t address, void *buffer, size_t length)
{
    size_t done = 0;
    while (cpu < vm->cpus && done < length) {
        uint64_t gpa;
        size_t n = PAGE_SIZE - ((address + done) & (PAGE_SIZE - 1));
        n = n < length - done ? n : length - done;
        if (!engine_peek(vm->vcpu[cpu], address + done, &gpa) ||
            ram_read(vm->board, gpa, (uint8_t *)buffer + done, n))
            break;
        done += n;
    }
    return done;
}

int vmk_set_rom(struct vm *vm, const void *bytes, size_t length)
{
    vm->error[0] = 0;
    int rc = ram_set_rom(vm->board, bytes, length);
    if (!rc)
        memset(vm->srat.purpose + vm->board->ram.size / PAGE_SIZE, VMK_SRAT_ROM, length / PAGE_SIZE);
    return rc;
}

int vmk_fwcfg_add(struct vm *vm, uint32_t key, const void *bytes, size_t length)
{
    if (key > 0xffff)
        return fail(vm, VMK_EINVAL, "a fw_cfg key has 16 bits");
    vm->error[0] = 0;
    return fw_cfg_add(board_find(vm->board, "fw_cfg", 0), (uint16_t)key, bytes, length);
}

int vmk_boot(struct vm *vm, const struct vmk_boot *boot)
{
    return vm_boot(vm, boot);
}

int vmk_run(struct vm *vm, const struct vmk_run *run, struct vmk_exit *exit)
{
    vm->error[0] = 0;
    return vm_run(vm, run, exit);
}

void vmk_stop(struct vm *vm)
{
    vm_stop(vm);
}

uint64_t vmk_next_event(struct vm *vm)
{
    return vm_next_event(vm);
}

uint64_t vmk_now(struct vm *vm)
{
    return board_now(vm->board);
}

size_t vmk_output(struct vm *vm, uint32_t channel, void *buffer, size_t size)
{
    if (channel >= VMK_CHANNELS)
        return 0;
    struct output *o = &vm->board->out[channel];
    size_t n = o->len < size ? o->len : size;
    memcpy(buffer, o->bytes, n);
    memmove(o->bytes, o->bytes + n, o->len - n);
    o->len -= n;
    o->line = false;
    return n;
}

static int post(struct vm *vm, const char *device, unsigned instance, enum inbox_kind kind,
                const uint8_t *bytes, size_t length, uint64_t when, uint64_t arg)
{
    struct dev *d = device ? board_find(vm->board, device, instance) : NULL;
    struct inbox_msg msg = {.kind = kind, .dev = d ? (int32_t)d->index : -1, .when = when, .arg = arg};
    size_t done = 0;
    do {
        msg.len = (uint32_t)(length - done < INBOX_BYTES ? length - done : INBOX_BYTES);
        if (msg.len)
            memcpy(msg.data, bytes + done, msg.len);
        if (inbox_post(&vm->board->inbox, &msg))
            return VMK_EBUSY;
        done += msg.len;
    } while (done < length);
    vm->board->cpu->wake(vm->board->cpu_ctx);
    return VMK_OK;
}

int vmk_post_serial(struct vm *vm, uint32_t channel, const void *bytes, size_t length, uint64_t when)
{
    return channel <= VMK_COM2 ? post(vm, "uart", channel, INBOX_BYTES_IN, bytes, length, when, 0)
                               : VMK_EINVAL;
}

int vmk_post_keys(struct vm *vm, const void *scancodes, size_t length, uint64_t when)
{
    return post(vm, "i8042", 0, INBOX_KEY, scancodes, length, when, 0);
}

int vmk_post_nmi(struct vm *vm, uint64_t cpu_mask, uint64_t when)
{
    return post(vm, NULL, 0, INBOX_NMI, NULL, 0, when, cpu_mask);
}

int vmk_post_power_button(struct vm *vm, uint64_t when)
{
    return post(vm, "acpi_pm", 0, INBOX_POWER_BUTTON, NULL, 0, when, 0);
}

static struct net_port *port_of(struct vm *vm, uint32_t nic)
{
    struct net_port *port = net_port_of(vm->board, nic);
    if (!port)
        (void)fail(vm, VMK_EINVAL, "this VM has no such NIC");
    return port;
}

int vmk_net_open(struct vm *vm, uint32_t nic)
{
    vm->error[0] = 0;
    return queue_peer_plug(vm->board, nic);
}

int vmk_net_unplug(struct vm *vm, uint32_t nic)
{
    struct net_port *port = port_of(vm, nic);
    if (!port)
        return VMK_EINVAL;
    net_plug(port, NULL);
    return VMK_OK;
}

size_t vmk_net_take(struct vm *vm, uint32_t nic, void *buffer, size_t size, uint64_t *when)
{
    return queue_peer_take(vm->board, nic, buffer, size, when);
}

int vmk_net_give(struct vm *vm, uint32_t nic, const void *frame, size_t length, uint64_t when)
{
    struct net_port *port = net_port_of(vm->board, nic);
    return port ? net_deliver(port, frame, length, when) : VMK_EINVAL;
}

int vmk_net_link(struct vm *vm, uint32_t nic, bool up)
{
    struct net_port *port = port_of(vm, nic);
    if (!port)
        return VMK_EINVAL;
    net_set_link(port, up);
    return VMK_OK;
}

int vmk_net_counters(struct vm *vm, uint32_t nic, struct vmk_net_counters *out)
{
    struct net_port *port = port_of(vm, nic);
    if (!port)
        return VMK_EINVAL;
    net_counters(port, out);
    return VMK_OK;
}

int vmk_screen(struct vm *vm, struct vmk_screen *screen, uint16_t *cells)
{
    struct vga_screen s;
    vga_read_screen(board_find(vm->board, "vga", 0), &s, cells);
    *screen = (struct vmk_screen){
        .columns = s.cols,
        .rows = s.rows,
        .cell_width = s.cell_width,
        .cell_height = s.cell_height,
        .cursor = s.cursor,
        .cursor_first = s.cursor_first,
        .cursor_last = s.cursor_last,
        .font = {s.font[0], s.font[1]},
        .on = s.on,
        .blinks = s.blinks,
        .repeats_line_graphics = s.repeats_line_graphics,
        .blink_shown = s.blink_shown,
        .cursor_shown = s.cursor_shown,
    };
    memcpy(screen->palette, s.palette, sizeof(screen->palette));
    return VMK_OK;
}

int vmk_screen_font(struct vm *vm, uint8_t *plane)
{
    memcpy(plane, vga_plane(board_find(vm->board, "vga", 0), 2), VGA_PLANE_BYTES);
    return VMK_OK;
}

static struct vmk_segment segment(const struct segment *s)
{
    return (struct vmk_segment){
        .base = s->base, .limit = s->limit, .flags = s->flags, .selector = s->selector};
}

int vmk_registers(struct vm *vm, uint32_t cpu, struct vmk_registers *out)
{
    if (cpu >= vm->cpus)
        return fail(vm, VMK_EINVAL, "there is no such CPU");
    struct vcpu *v = vm->vcpu[cpu];
    const struct guest *g = v->guest;
    memset(out, 0, sizeof(*out));
    memcpy(out->reg, g->reg, sizeof(out->reg));
    memcpy(out->dr, g->dr, sizeof(out->dr));
    out->rip = g->rip;
    out->rflags = g->rflags;
    out->cr0 = g->cr[0];
    out->cr2 = g->cr[2];
    out->cr3 = g->cr[3];
    out->cr4 = g->cr[4];
    out->cr8 = lapic_get_tpr(vm->board->irq.lapic[cpu]);
    out->efer = g->efer;
    out->icount = guest_icount(v->guest);
    for (unsigned i = 0; i < 6; i++)
        out->seg[i] = segment(&g->seg[i]);
    out->ldt = segment(&g->ldt);
    out->tr = segment(&g->tr);
    out->gdt = segment(&g->gdt);
    out->idt = segment(&g->idt);
    out->cpl = guest_cpl(g);
    out->state = v->state;
    return VMK_OK;
}

static void add_stats(struct vmk_stats *out, const struct vcpu_stats *s)
{
    for (unsigned i = 0; i < SBE_CLASS_COUNT; i++)
        out->traps[i] += s->trap[i];
    for (unsigned i = 0; i < 32; i++)
        out->exceptions[i] += s->exception[i];
    for (unsigned i = 0; i < 256; i++)
        out->interrupts[i] += s->interrupt[i];
    out->monitor_entries += s->monitor_entries;
    out->nmis += s->nmi;
    out->engine_entries += s->entries;
    out->safe_points += s->safe_points;
    out->tlb_fills += s->tlb_fills;
    out->tlb_flushes += s->tlb_flushes;
    out->blocks += s->blocks;
    out->code_invalidations += s->code_invalidations;
    out->direct_loops += s->direct_loops;
    out->mmio += s->mmio;
}

void vmk_stats(struct vm *vm, struct vmk_stats *out)
{
    struct sbe_stats sbe;
    _Static_assert(SBE_CLASS_COUNT <= sizeof(out->traps) / sizeof(out->traps[0]), "classes");
    memset(out, 0, sizeof(*out));
    for (unsigned i = 0; i < vm->cpus; i++)
        add_stats(out, &vm->vcpu[i]->stats);
    sbe_stats(vm->sbe, &sbe);
    out->instructions = vm_instructions(vm);
    out->vm_ns = board_now(vm->board);
    out->unclaimed_reads = vm->board->bus.unclaimed_reads;
    out->unclaimed_writes = vm->board->bus.unclaimed_writes;
    out->sbe_blocks = sbe.blocks;
    out->sbe_clean = sbe.clean;
    out->sbe_instructions = sbe.instructions;
    out->sbe_candidates = sbe.candidates;
    out->sbe_sites = sbe.sites;
    out->sbe_seconds = sbe.seconds;
}

int vmk_sbe_set_policy(struct vm *vm, uint32_t insn, uint32_t policy)
{
    if (insn >= SBE_INSN_COUNT || policy >= SBE_POLICY_COUNT)
        return fail(vm, VMK_EINVAL, "there is no such instruction row or policy");
    if (sbe_set_policy(vm->sbe, (enum sbe_insn)insn, (enum sbe_policy)policy))
        return fail(vm, VMK_EINVAL, sbe_error(vm->sbe));
    return VMK_OK;
}

int vmk_sbe_set_inline(struct vm *vm, uint32_t insn, uint32_t mode, const void *bytes, size_t length)
{
    if (insn >= SBE_INSN_COUNT || mode >= SBE_MODE_COUNT)
        return fail(vm, VMK_EINVAL, "there is no such instruction row or CPU mode");
    if (sbe_set_inline(vm->sbe, (enum sbe_insn)insn, (enum sbe_mode)mode, bytes, length))
        return fail(vm, VMK_EINVAL, sbe_error(vm->sbe));
    return VMK_OK;
}

uint32_t vmk_site_count(struct vm *vm)
{
    return sbe_site_count(vm->sbe);
}

int vmk_site(struct vm *vm, uint32_t index, struct vmk_site *out)
{
    const struct sbe_site *s = sbe_site(vm->sbe, index);
    if (!s)
        return fail(vm, VMK_EINVAL, "there is no such site");
    *out = (struct vmk_site){.pc = s->pc,
                             .hits = s->hits,
                             .cls = s->cls,
                             .insn = s->insn,
                             .mode = s->mode,
                             .cpl = s->cpl,
                             .policy = s->policy,
                             .shape = s->shape,
                             .len = s->len};
    memcpy(out->bytes, s->bytes, sizeof(s->bytes));
    memcpy(out->replacement, s->replacement, sizeof(s->replacement));
    return VMK_OK;
}

void vmk_srat(struct vm *vm, struct vmk_srat_summary *out)
{
    srat_summary(&vm->srat, out);
}

size_t vmk_trace(struct vm *vm, struct vmk_trace_event *events, size_t max, bool fresh)
{
    struct trace *t = vm_trace(vm);
    uint64_t oldest = t->written > TRACE_RING ? t->written - TRACE_RING : 0;
    uint64_t from = fresh && t->read > oldest ? t->read : oldest;
    if (!fresh && t->written - from > max)
        from = t->written - max;
    size_t n = 0;
    while (from < t->written && n < max)
        events[n++] = t->ring[from++ % TRACE_RING];
    if (fresh)
        t->read = from;
    return n;
}

size_t vmk_state_size(struct vm *vm)
{
    return board_state_size(vm->board) + vm->cpus * cpu_state_size();
}

int vmk_state_save(struct vm *vm, void *buffer, size_t size)
{
    uint8_t *out = buffer;
    if (size != vmk_state_size(vm))
        return fail(vm, VMK_EINVAL, "the buffer is not of the state's size");
    for (unsigned i = 0; i < vm->cpus; i++, out += cpu_state_size())
        cpu_state_save(vm->vcpu[i], out);
    board_state_save(vm->board, out);
    return VMK_OK;
}

size_t vmk_written_pages(struct vm *vm, uint64_t *pages, size_t max)
{
    size_t n = 0;
    for (uint64_t i = 0; i < vm->srat.pages; i++)
        if (vm->srat.flags[i] & SRAT_DIRTY && n++ < max)
            pages[n - 1] = i;
    return n;
}

const char *vmk_cpu_model(uint32_t row)
{
    return cpuid_model_name(row);
}

const char *vmk_cpu_model_text(uint32_t row)
{
    return cpuid_model_text(row);
}

uint64_t vmk_host_cycles(void)
{
#ifdef __x86_64__
    return __builtin_ia32_rdtsc();
#else
    return 0;
#endif
}

const char *vmk_engine_version(void)
{
    return "Unicorn 2.1.4";
}
