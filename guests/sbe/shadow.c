/*
 * The interrupt shadow: with an interrupt pending, the instruction after STI and after MOV SS still runs
 * first (Intel SDM vol. 2, STI and MOV; vol. 3, 6.8.3), while POPF and IRET open the window at once.
 */
#include "../lib/gdt.h"
#include "../lib/io.h"
#include "../lib/pic.h"
#include "../lib/report.h"
#include "../lib/trap.h"

enum { MASTER = 0x20, OCW3_READ_IRR = 0x0a, TICKS = 100, POLLS = 10000000, WANTED = 2000 };

static uint64_t interrupted_at, rax_then;
static unsigned interrupts, in_shadow;
extern const uint8_t after_mov_ss[], sti_end[], sti_cli_end[], popf_end[], iret_end[], hlt_end[],
    sti_sti_end[];

static bool on_timer(struct frame *frame)
{
    interrupted_at = frame->rip;
    rax_then = frame->rax;
    in_shadow += frame->rip == (uint64_t)after_mov_ss;
    interrupts++;
    pic_eoi();
    return true;
}

/* Leave one timer interrupt requested at the PIC while IF is 0. */
static void make_pending(void)
{
    interrupts = 0;
    interrupted_at = 0;
    pit_one_shot(TICKS);
    outb(MASTER, OCW3_READ_IRR);
    for (unsigned i = 0; i < POLLS && !(inb(MASTER) & 1); i++)
        ;
}

static void check(const char *name, void (*code)(void), const uint8_t *want_rip, uint64_t want_rax)
{
    make_pending();
    code();
    asm volatile("cli");
    expect2(name, "is interrupted once", interrupts, 1);
    expect2(name, "at the right instruction", interrupted_at, (uint64_t)want_rip);
    expect2(name, "with the right RAX", rax_then, want_rax);
}

void sti_inc(void), sti_cli(void), popf_inc(void), iret_inc(void), sti_hlt(void), sti_sti(void);
asm(".text\n"
    "sti_inc: xorl %eax, %eax; sti; incl %eax; sti_end: incl %eax; ret\n"
    "popf_inc: xorl %eax, %eax; pushq $0x202; popfq; popf_end: incl %eax; ret\n"
    "sti_hlt: xorl %eax, %eax; sti; hlt; hlt_end: incl %eax; ret\n"
    "sti_sti: xorl %eax, %eax; sti; sti; sti_sti_end: incl %eax; ret\n"
    "sti_cli: xorl %eax, %eax; sti; cli; sti_cli_end: incl %eax; ret\n"
    "iret_inc: movq %rsp, %rdx; xorl %eax, %eax; movl %ss, %ecx; pushq %rcx; pushq %rdx; pushq $0x202;\n"
    "    movl %cs, %ecx; pushq %rcx; pushq $iret_end; iretq; iret_end: incl %eax; ret\n");

/* STI then CLI: the window never opens. */
static void closed_window(void)
{
    make_pending();
    sti_cli();
    expect("sti; cli is not interrupted", interrupts, 0);
    asm volatile("sti; nop; nop; cli");
    expect("the interrupt is still there afterwards", interrupts, 1);
}

/* A fast timer over a loop of MOV SS: interrupts land everywhere but between it and the next instruction. */
static void mov_ss_loop(void)
{
    uint64_t rounds = 0, limit = 2000000000;

    interrupts = in_shadow = 0;
    pit_periodic(TICKS);
    asm volatile("sti\n"
                 "1:  movl %[ds], %%ss\n"
                 "after_mov_ss:\n"
                 "    incq %[rounds]\n"
                 "    cmpl %[wanted], %[interrupts]\n"
                 "    jae 2f\n"
                 "    cmpq %[limit], %[rounds]\n"
                 "    jb 1b\n"
                 "2:  cli\n"
                 : [rounds] "+r"(rounds), [interrupts] "+m"(interrupts)
                 : [ds] "r"(KERNEL_DS), [wanted] "i"(WANTED), [limit] "r"(limit)
                 : "memory", "cc");
    expect("mov ss loop is interrupted 2000 times", interrupts >= WANTED, 1);
    expect("mov ss loop: interrupts between it and the next instruction", in_shadow, 0);
}

void main(void)
{
    trap_set_hook(IRQ_BASE + IRQ_TIMER, on_timer);
    pic_unmask(IRQ_TIMER);
    check("sti; inc", sti_inc, sti_end, 1);
    check("popfq; inc", popf_inc, popf_end, 0);
    check("iretq; inc", iret_inc, iret_end, 0);
    check("sti; hlt", sti_hlt, hlt_end, 0);
    check("sti; sti", sti_sti, sti_sti_end, 0);
    closed_window();
    mov_ss_loop();
}
