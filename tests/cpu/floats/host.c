/* Runs the workloads on the processor this is compiled for: what the guest is to print. */
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <ucontext.h>

#include "workloads.h"

static sigjmp_buf back;
static volatile uint32_t mxcsr;

static void on_sigfpe(int signal, siginfo_t *info, void *context)
{
    const ucontext_t *interrupted = context;
    (void)signal;
    (void)info;
    mxcsr = interrupted->uc_mcontext.fpregs->mxcsr;
    siglongjmp(back, 1);
}

void attempt(struct attempt *a)
{
    if (sigsetjmp(back, 1)) {
        a->mxcsr = mxcsr;
        a->raised = true;
    } else {
        attempt_under_mxcsr(a);
    }
    _mm_setcsr(MXCSR_DEFAULT);
}

static void tell(const char *name, uint64_t result)
{
    printf("%s\n0x%" PRIx64 "\n", name, result);
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = on_sigfpe, .sa_flags = SA_SIGINFO};
    sigaction(SIGFPE, &action, NULL);
    for (unsigned i = 0; i < workload_count; i++)
        tell(workloads[i].name, workloads[i].run(workloads[i].rounds));
    try_instructions(TRIALS, tell);
    return 0;
}
