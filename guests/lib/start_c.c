/* From start.S in 64-bit mode: tables first, then the guest; a guest that returns from main() is done. */
#include "cmdline.h"
#include "gdt.h"
#include "pic.h"
#include "report.h"
#include "trap.h"

void main(void);
_Noreturn void start_c(void);

void start_c(void)
{
    cmdline_init();
    pic_init();
    trap_init();
    tss_init();
    main();
    done();
}
