/*
 * See run.h. Leaves out R8 to R15 and the vector registers, which no privileged instruction reads
 * implicitly.
 */
#include "run.h"

#include "trap.h"

struct call {
    const void *code;
    struct regs *regs;
};

static void call_code(void *arg)
{
    struct call *call = arg;
    struct regs r = *call->regs;

    asm volatile("callq *%[code]"
                 : "+a"(r.rax), "+b"(r.rbx), "+c"(r.rcx), "+d"(r.rdx), "+S"(r.rsi), "+D"(r.rdi)
                 : [code] "r"(call->code)
                 : "r8", "r9", "r10", "r11", "r12", "memory", "cc");
    *call->regs = r;
}

int run_code(const void *code, struct regs *regs)
{
    struct call call = { code, regs };

    return guarded(call_code, &call);
}

void copy_bytes(void *to, const void *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        ((volatile uint8_t *)to)[i] = ((const volatile uint8_t *)from)[i];
}

void *put_code(void *to, const void *bytes, size_t n)
{
    copy_bytes(to, bytes, n);
    ((volatile uint8_t *)to)[n] = 0xc3;
    return to;
}
