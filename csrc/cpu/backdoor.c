/* The VMware backdoor: a 32-bit IN from port 0x5658 with a magic EAX is a call to the hypervisor, at any CPL.
 *
 * Commands built: GETVERSION, GETRAMSIZE, GETHZ, GETVCPU_INFO, as Linux's vmware platform code uses them.
 * Unknown ones leave EBX alone, which its callers take as "not there". */
#include "cpu/backdoor.h"

#include "core/vcpu.h"
#include "engine/engine.h"

#define MAGIC 0x564D5868u
enum command { GETVERSION = 0x0a, GETRAMSIZE = 0x14, GETHZ = 0x2d, GETVCPU_INFO = 0x44 };

bool backdoor_call(struct vcpu *v, unsigned size, uintptr_t ra)
{
    uint64_t *reg = v->guest->reg;
    engine_sync(v, ra);
    if (size != 4 || (uint32_t)reg[RAX] != MAGIC)
        return false;
    v->stats.trap[SBE_CLASS_HYPERCALL]++;
    switch ((uint32_t)reg[RCX] & 0xffff) {
    case GETVERSION:
        reg[RAX] = 6;
        reg[RBX] = MAGIC;
        reg[RCX] = 4; /* a GSX/ESX-class product */
        break;
    case GETRAMSIZE:
        reg[RAX] = (uint32_t)v->board->cfg.memory;
        reg[RBX] = 0x1177;
        break;
    case GETHZ:
        reg[RAX] = (uint32_t)TSC_HZ;
        reg[RBX] = (uint32_t)(TSC_HZ >> 32);
        reg[RCX] = 1000000000u; /* the local APIC's bus clock */
        break;
    case GETVCPU_INFO:
        reg[RAX] = 0;
        break;
    default:
        reg[RAX] = UINT32_MAX;
    }
    return true;
}
