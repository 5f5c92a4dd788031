/*
 * CPL 3: privileged instructions raise #GP, sensitive ones do what the manual says, IN and OUT obey IOPL and
 * the TSS bitmap, gates their DPL, and SYSCALL, SYSRET, SYSENTER, SYSEXIT go both ways (Intel SDM vol. 3,
 * 5.9; vol. 1, 19.5).
 */
#include "../lib/gdt.h"
#include "../lib/msr.h"
#include "../lib/report.h"
#include "../lib/run.h"
#include "../lib/trap.h"

enum { IF = 0x200, IOPL_3 = 0x3000 };

static uint8_t code[8192] __attribute__((aligned(4096)));
static uint8_t *next = code;
static uint8_t memory[16] __attribute__((aligned(16)));

struct row {
    const char *name;
    uint8_t bytes[10];
    uint8_t length;
    uint16_t flags; /* RFLAGS at entry: IOPL and IF */
    int vector;
};

#define GP_ROW(name, length, ...) { name, { __VA_ARGS__ }, length, 0, GP }
#define OK_ROW(name, length, ...) { name, { __VA_ARGS__ }, length, 0, USER_EXIT }

/* RSI points to memory; what RAX, RCX and RDX hold does not matter to any row. */
static const struct row privileged[] = {
    GP_ROW("cli", 1, 0xfa),
    GP_ROW("sti", 1, 0xfb),
    GP_ROW("hlt", 1, 0xf4),
    GP_ROW("data16 cli", 2, 0x66, 0xfa),
    GP_ROW("rdmsr", 2, 0x0f, 0x32),
    GP_ROW("wrmsr", 2, 0x0f, 0x30),
    GP_ROW("mov rax, cr0", 3, 0x0f, 0x20, 0xc0),
    GP_ROW("mov rax, cr2", 3, 0x0f, 0x20, 0xd0),
    GP_ROW("mov rax, cr3", 3, 0x0f, 0x20, 0xd8),
    GP_ROW("mov rax, cr4", 3, 0x0f, 0x20, 0xe0),
    GP_ROW("mov rax, cr8", 4, 0x44, 0x0f, 0x20, 0xc0),
    GP_ROW("mov cr0, rax", 3, 0x0f, 0x22, 0xc0),
    GP_ROW("mov cr3, rax", 3, 0x0f, 0x22, 0xd8),
    GP_ROW("mov cr4, rax", 3, 0x0f, 0x22, 0xe0),
    GP_ROW("mov cr8, rax", 4, 0x44, 0x0f, 0x22, 0xc0),
    GP_ROW("mov rax, dr0", 3, 0x0f, 0x21, 0xc0),
    GP_ROW("mov dr7, rax", 3, 0x0f, 0x23, 0xf8),
    GP_ROW("clts", 2, 0x0f, 0x06),
    GP_ROW("lmsw ax", 3, 0x0f, 0x01, 0xf0),
    GP_ROW("invd", 2, 0x0f, 0x08),
    GP_ROW("wbinvd", 2, 0x0f, 0x09),
    GP_ROW("invlpg [rsi]", 3, 0x0f, 0x01, 0x3e),
    GP_ROW("lgdt [rsi]", 3, 0x0f, 0x01, 0x16),
    GP_ROW("lidt [rsi]", 3, 0x0f, 0x01, 0x1e),
    GP_ROW("lldt ax", 3, 0x0f, 0x00, 0xd0),
    GP_ROW("ltr ax", 3, 0x0f, 0x00, 0xd8),
    GP_ROW("swapgs", 3, 0x0f, 0x01, 0xf8),
    GP_ROW("sysret", 2, 0x0f, 0x07),
    GP_ROW("sysretq", 3, 0x48, 0x0f, 0x07),
    GP_ROW("in al, 0x80", 2, 0xe4, 0x80),
    GP_ROW("in al, dx", 1, 0xec),
    GP_ROW("out 0x80, eax", 2, 0xe7, 0x80),
    GP_ROW("insb", 1, 0x6c),
    GP_ROW("outsb", 1, 0x6e),
    GP_ROW("rep outsd", 2, 0xf3, 0x6f),
    GP_ROW("int 0x71, DPL 0", 2, 0xcd, 0x71),
    OK_ROW("cpuid", 5, 0x53, 0x0f, 0xa2, 0x5b, 0x90),
    OK_ROW("rdtsc", 2, 0x0f, 0x31),
    OK_ROW("smsw eax", 3, 0x0f, 0x01, 0xe0),
    OK_ROW("sgdt [rsi]", 3, 0x0f, 0x01, 0x06),
    OK_ROW("sidt [rsi]", 3, 0x0f, 0x01, 0x0e),
    OK_ROW("sldt eax", 3, 0x0f, 0x00, 0xc0),
    OK_ROW("str eax", 3, 0x0f, 0x00, 0xc8),
    OK_ROW("pause", 2, 0xf3, 0x90),
    OK_ROW("int 0x80, DPL 3", 2, 0xcd, 0x80),
    { "cli with IOPL 3", { 0xfa }, 1, IOPL_3, USER_EXIT },
    { "sti with IOPL 3", { 0xfb }, 1, IOPL_3, USER_EXIT },
    { "in al, 0x80 with IOPL 3", { 0xe4, 0x80 }, 2, IOPL_3, USER_EXIT },
    { "out 0x80, al with IOPL 3", { 0xe6, 0x80 }, 2, IOPL_3, USER_EXIT },
    { "hlt with IOPL 3", { 0xf4 }, 1, IOPL_3, GP },
    { "mov rax, cr0 with IOPL 3", { 0x0f, 0x20, 0xc0 }, 3, IOPL_3, GP },
};

static int run_user(const uint8_t *bytes, unsigned length, uint64_t flags)
{
    static const uint8_t load_rsi[] = { 0x48, 0xc7, 0xc6 };
    uint32_t address = (uint32_t)(uint64_t)memory;
    uint8_t *at = next;

    copy_bytes(at, load_rsi, 3);
    copy_bytes(at + 3, &address, 4);
    put_code(at + 7, bytes, length);
    next = next + 32 < code + sizeof(code) ? next + 32 : code;
    return user_guarded((void (*)(void))at, flags);
}

static void instructions(void)
{
    for (unsigned i = 0; i < sizeof(privileged) / sizeof(privileged[0]); i++) {
        const struct row *row = &privileged[i];
        expect2("CPL 3:", row->name, (uint64_t)run_user(row->bytes, row->length, row->flags),
                (uint64_t)row->vector);
    }
}

static bool has_umip(void)
{
    uint32_t a = 7, b, c = 0, d;

    asm volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return c >> 2 & 1;
}

static void control_register_bits(void)
{
    static const uint8_t rdtsc[] = { 0x0f, 0x31 }, sgdt[] = { 0x0f, 0x01, 0x06 },
                         smsw[] = { 0x0f, 0x01, 0xe0 };

    write_cr4(read_cr4() | CR4_TSD);
    expect("CPL 3: rdtsc with CR4.TSD", (uint64_t)run_user(rdtsc, 2, 0), GP);
    write_cr4(read_cr4() & ~(uint64_t)CR4_TSD);
    if (!has_umip())
        return;
    write_cr4(read_cr4() | CR4_UMIP);
    expect("CPL 3: sgdt with CR4.UMIP", (uint64_t)run_user(sgdt, 3, 0), GP);
    expect("CPL 3: smsw with CR4.UMIP", (uint64_t)run_user(smsw, 3, 0), GP);
    write_cr4(read_cr4() & ~(uint64_t)CR4_UMIP);
}

/* Port 0x80 and 0x81 open, 0x82 closed: what each width may touch. */
static void io_bitmap(void)
{
    static const struct row rows[] = {
        OK_ROW("in al, 0x80", 2, 0xe4, 0x80),   OK_ROW("in ax, 0x80", 3, 0x66, 0xe5, 0x80),
        GP_ROW("in eax, 0x80", 2, 0xe5, 0x80),  OK_ROW("out 0x81, al", 2, 0xe6, 0x81),
        GP_ROW("out 0x81, ax", 3, 0x66, 0xe7, 0x81), GP_ROW("out 0x82, al", 2, 0xe6, 0x82),
        GP_ROW("in al, 0x7f", 2, 0xe4, 0x7f),
    };
    uint16_t offset = tss.bitmap_offset;

    tss.bitmap[0x80 / 8] &= (uint8_t)~3;
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        expect2("bitmap opens 0x80, 0x81:", rows[i].name,
                (uint64_t)run_user(rows[i].bytes, rows[i].length, 0), (uint64_t)rows[i].vector);
    tss.bitmap_offset = sizeof(tss);
    expect("bitmap beyond the TSS limit closes all", (uint64_t)run_user(rows[0].bytes, 2, 0), GP);
    tss.bitmap_offset = offset;
    tss.bitmap[0x80 / 8] = 0xff;
    expect("bitmap closed again", (uint64_t)run_user(rows[0].bytes, 2, 0), GP);
}

/* POPF at CPL 3: IOPL never changes, IF only when CPL ≤ IOPL. PUSHF shows the result in RAX. */
static void popf_flags(void)
{
    static const uint8_t set_all[] = { 0x68, 0xd7, 0x3e, 0x00, 0x00, 0x9d, 0x9c, 0x58 }; /* push 0x3ed7 */
    static const uint8_t clear_all[] = { 0x6a, 0x02, 0x9d, 0x9c, 0x58 };

    run_user(set_all, 8, 0);
    expect("popf with IOPL 0 sets neither IF nor IOPL", last_trap.frame.rax & (IF | IOPL_3), 0);
    run_user(set_all, 8, IOPL_3);
    expect("popf with IOPL 3 sets IF", last_trap.frame.rax & (IF | IOPL_3), IF | IOPL_3);
    run_user(clear_all, 5, IOPL_3 | IF);
    expect("popf with IOPL 3 clears IF, not IOPL", last_trap.frame.rax & (IF | IOPL_3), IOPL_3);
    run_user(clear_all, 5, IF);
    expect("popf with IOPL 0 leaves IF set", last_trap.frame.rax & (IF | IOPL_3), IF);
}

struct {
    uint64_t rcx, r11, rsp, flags, cs, ss;
} seen;

void syscall_user(void), syscall_entry(void), sysenter_entry(void), sysenter_user(void);
extern const uint8_t syscall_return[], sysenter_return[];
uint8_t kernel_entry_stack[4096] __attribute__((aligned(16)));

/* The entries record what the CPU handed them; SYSCALL switches no stack, so RSP is still the user's. */
asm(".text\n"
    ".macro record; movq %rcx, seen; movq %r11, seen+8; movq %rsp, seen+16;\n"
    "    movl %cs, %eax; movq %rax, seen+32; movl %ss, %eax; movq %rax, seen+40;\n"
    "    leaq kernel_entry_stack+4096(%rip), %rsp; pushfq; popq seen+24; .endm\n"
    "syscall_user: syscall; syscall_return: pushfq; popq %rax; movl %cs, %edx; movl %ss, %ecx; ret\n"
    "syscall_entry: record; movq seen+16, %rsp; movq seen, %rcx; movq seen+8, %r11; sysretq\n"
    "sysenter_user: movq %rsp, %rcx; leaq sysenter_return(%rip), %rdx; sysenter;\n"
    "sysenter_return: movl %cs, %edx; movl %ss, %ecx; ret\n"
    "sysenter_entry: record; movq seen, %rcx; rex.w sysexit\n");

static void syscall_path(void)
{
    write_msr(MSR_STAR, (uint64_t)KERNEL_CS << 32 | (uint64_t)(USER_CS32 | 3) << 48);
    write_msr(MSR_LSTAR, (uint64_t)syscall_entry);
    write_msr(MSR_FMASK, IF | 0x40);
    expect("syscall comes back", (uint64_t)user_guarded(syscall_user, IF | IOPL_3 | 0x40), USER_EXIT);
    expect("syscall: RCX is the next instruction", seen.rcx, (uint64_t)syscall_return);
    expect("syscall: R11 is RFLAGS", seen.r11, IF | IOPL_3 | 0x40 | 2);
    expect("syscall: FMASK clears IF and ZF", seen.flags & (IF | 0x40), 0);
    expect("syscall: CS", seen.cs, KERNEL_CS);
    expect("syscall: SS", seen.ss, KERNEL_DS);
    expect("sysret: RFLAGS are back", last_trap.frame.rax, IF | IOPL_3 | 0x40 | 2);
    expect("sysret: CS", last_trap.frame.rdx, USER_CS | 3);
    expect("sysret: SS", last_trap.frame.rcx, USER_DS | 3);
    write_msr(MSR_EFER, read_msr(MSR_EFER) & ~(uint64_t)EFER_SCE);
    expect("syscall with EFER.SCE = 0", (uint64_t)user_guarded(syscall_user, 0), UD);
    write_msr(MSR_EFER, read_msr(MSR_EFER) | EFER_SCE);
}

/* SYSRETL goes to compatibility mode: 40 is INC EAX there, a REX prefix in 64-bit mode. */
static void sysret_to_32_bits(void)
{
    static const uint8_t text[] = { 0x31, 0xc0, 0x40, 0x90, 0xcd, 0x80 }; /* xor eax, eax; inc eax; nop; int
                                                                             0x80 */
    static const uint8_t sysretl[] = { 0x0f, 0x07 };
    struct regs regs = { .rcx = (uint64_t)code };

    copy_bytes(code, text, sizeof(text));
    expect("sysretl comes back", (uint64_t)run_code(put_code(code + 64, sysretl, 2), &regs), USER_EXIT);
    expect("sysretl: runs 32-bit code", last_trap.frame.rax & 0xffffffff, 1);
    expect("sysretl: CS", last_trap.frame.cs, USER_CS32 | 3);
}

static bool is_intel(void)
{
    uint32_t a = 0, b, c, d;

    asm volatile("cpuid" : "+a"(a), "=b"(b), "=c"(c), "=d"(d));
    return b == 0x756e6547; /* "Genu": AMD has no SYSENTER in long mode */
}

/* What must not be returned to is #GP at CPL 0, before anything has changed: RCX (and RDX) not canonical. */
static void bad_returns(void)
{
    static const uint8_t sysretq[] = { 0x48, 0x0f, 0x07 }, sysexitq[] = { 0x48, 0x0f, 0x35 };
    const uint64_t bad = 0x800000000000;
    struct regs regs = { .rcx = bad };

    /* TCG faults at the target, at CPL 3. */
    if (quirks_accepted() || !is_intel())
        return;
    expect("sysretq to a non-canonical RCX", (uint64_t)run_code(put_code(code, sysretq, 3), &regs), GP);
    expect("sysretq to a non-canonical RCX: CS", last_trap.frame.cs, KERNEL_CS);
    write_msr(MSR_SYSENTER_CS, KERNEL_CS);
    regs = (struct regs){ .rcx = bad, .rdx = (uint64_t)code };
    expect("sysexitq with a non-canonical RCX", (uint64_t)run_code(put_code(code, sysexitq, 3), &regs), GP);
    regs = (struct regs){ .rcx = (uint64_t)code, .rdx = bad };
    expect("sysexitq to a non-canonical RDX", (uint64_t)run_code(put_code(code, sysexitq, 3), &regs), GP);
    expect("sysexitq to a non-canonical RDX: CS", last_trap.frame.cs, KERNEL_CS);
    write_msr(MSR_SYSENTER_CS, 3);
    regs = (struct regs){ .rcx = (uint64_t)code, .rdx = (uint64_t)code };
    expect("sysexit with a null SYSENTER_CS", (uint64_t)run_code(put_code(code, sysexitq, 3), &regs), GP);
}

static void sysenter_path(void)
{
    write_msr(MSR_SYSENTER_CS, KERNEL_CS);
    write_msr(MSR_SYSENTER_ESP, (uint64_t)(kernel_entry_stack + 4096));
    write_msr(MSR_SYSENTER_EIP, (uint64_t)sysenter_entry);
    if (!is_intel()) {
        expect("sysenter on AMD in 64-bit mode", (uint64_t)user_guarded(sysenter_user, 0), UD);
        return;
    }
    expect("sysenter comes back", (uint64_t)user_guarded(sysenter_user, IF), USER_EXIT);
    expect("sysenter: RSP", seen.rsp, (uint64_t)(kernel_entry_stack + 4096));
    expect("sysenter: IF is off", seen.flags & IF, 0);
    expect("sysenter: CS", seen.cs, KERNEL_CS);
    expect("sysenter: SS", seen.ss, KERNEL_DS);
    expect("sysexit: CS", last_trap.frame.rdx, USER_CS | 3);
    expect("sysexit: SS", last_trap.frame.rcx, USER_DS2 | 3);
    write_msr(MSR_SYSENTER_CS, 0);
    expect("sysenter with SYSENTER_CS = 0", (uint64_t)user_guarded(sysenter_user, 0), GP);
}

void main(void)
{
    instructions();
    control_register_bits();
    io_bitmap();
    popf_flags();
    syscall_path();
    sysret_to_32_bits();
    bad_returns();
    sysenter_path();
}
