/* Runs the workloads on the processor this is compiled for: what the guest is to print. */
#include <inttypes.h>
#include <stdio.h>

#include "workloads.h"

int main(void)
{
    for (unsigned i = 0; i < workload_count; i++)
        printf("%s\n0x%" PRIx64 "\n", workloads[i].name, workloads[i].run(workloads[i].rounds));
    return 0;
}
