/* What a vCPU's registers hold after power-on that the engine does not set itself. */
#include <string.h>

#include "core/vcpu.h"
#include "cpu/cpu.h"
#include "cpu/cpuid.h"

#define MTRR_ON_WRITE_BACK 0xc06u
#define PAT_RESET 0x0007040600070406ull
#define MICROCODE 0x100000000ull

void cpu_power_on(struct vcpu *v)
{
    cpuid_apply(v);
    v->tsc_offset = 0;
    v->spec_ctrl = 0;
    v->vmi_page = 0;
    v->microcode = MICROCODE;
    memset(v->mtrr_fixed, 0, sizeof(v->mtrr_fixed));
    memset(v->mtrr_var, 0, sizeof(v->mtrr_var));
    /* Firmware sets memory types up; a kernel that is loaded without any expects write-back. */
    v->mtrr_def = v->board->ram.rom_present ? 0 : MTRR_ON_WRITE_BACK;
    v->guest->pat = PAT_RESET;
    v->guest->misc_enable = 1; /* fast strings */
    v->guest->fpuc = 0x37f;
    v->guest->mxcsr = 0x1f80;
    v->guest->xcr0 = 1;
}
