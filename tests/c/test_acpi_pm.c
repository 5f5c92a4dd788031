/* Proves that the ACPI fixed hardware does what ACPICA and Linux ask of it: timer, SCI, enabling, power
 * button, S5. */
#include "check.h"
#include "rig.h"

#include "dev/ticks.h"

enum { STS = 0x600, EN = 0x602, CNT = 0x604, TMR = 0x608, GPE = 0xafe0, SMI_CMD = 0xb2 };

#define PM_HZ 3579545ull

static uint32_t in16(uint16_t port) { return bus_port_read(rig, port, 2); }
static void out16(uint16_t port, uint16_t value) { bus_port_write(rig, port, 2, value); }

static void timer_runs_at_its_frequency(void)
{
    rig_begin();
    CHECK_EQ(bus_port_read(rig, TMR, 4), 0);
    rig_advance(SECOND);
    CHECK_EQ(bus_port_read(rig, TMR, 4), PM_HZ);
    rig_end();
}

static void timer_wraps_at_32_bits(void)
{
    rig_begin();
    rig_advance(ns_of_tick(1ull << 32, PM_HZ));
    CHECK_EQ(bus_port_read(rig, TMR, 4), 0);
    CHECK_EQ(in16(STS) & 1, 1);
    rig_end();
}

static void timer_carry_interrupts_when_enabled(void)
{
    rig_begin();
    out8(SMI_CMD, 0xf1);
    out16(EN, 0x0001);
    CHECK_EQ(rig->deadline, ns_of_tick(1ull << 31, PM_HZ));
    rig_advance(rig->deadline);
    CHECK(rig_line(9));
    out16(STS, 0x0001);
    CHECK(!rig_line(9));
    CHECK_EQ(rig->deadline, ns_of_tick(1ull << 32, PM_HZ));
    rig_end();
}

static void smi_command_turns_acpi_on_and_off(void)
{
    rig_begin();
    CHECK_EQ(in16(CNT) & 1, 0);
    out8(SMI_CMD, 0xf1);
    CHECK_EQ(in16(CNT) & 1, 1);
    CHECK_EQ(in8(SMI_CMD), 0xf1);
    out8(SMI_CMD, 0xf0);
    CHECK_EQ(in16(CNT) & 1, 0);
    rig_end();
}

static void power_button_interrupts(void)
{
    rig_begin();
    out8(SMI_CMD, 0xf1);
    out16(EN, 0x0100);
    rig_event("acpi_pm", 0, INBOX_POWER_BUTTON, "", 0);
    CHECK(rig_line(9));
    out16(STS, 0x0020); /* another bit: stays */
    CHECK(rig_line(9));
    out8(STS + 1, 0x01);
    CHECK(!rig_line(9));
    rig_end();
}

static void no_sci_before_acpi_is_enabled(void)
{
    rig_begin();
    out16(EN, 0x0100);
    rig_event("acpi_pm", 0, INBOX_POWER_BUTTON, "", 0);
    CHECK(!rig_line(9));
    out8(SMI_CMD, 0xf1);
    CHECK(rig_line(9));
    rig_end();
}

static void s5_powers_off(void)
{
    rig_begin();
    out16(CNT, 5 << 10 | 0x2000);
    CHECK_EQ(rig->request, VMK_REQ_POWEROFF);
    CHECK_EQ(in16(CNT), 5 << 10); /* SLP_EN reads 0 */
    rig_end();
}

static void other_sleep_types_and_half_a_command_do_nothing(void)
{
    rig_begin();
    for (uint16_t type = 0; type < 8; type++) {
        if (type != 5)
            out16(CNT, (uint16_t)(type << 10 | 0x2000));
    }
    out16(CNT, 5 << 10);
    CHECK_EQ(rig->request, VMK_REQ_NONE);
    out8(CNT + 1, 0x34);
    CHECK_EQ(rig->request, VMK_REQ_POWEROFF);
    rig_end();
}

static void enable_bits_latch_and_dword_reaches_both(void)
{
    rig_begin();
    bus_port_write(rig, STS, 4, 0x0721ffff);
    CHECK_EQ(bus_port_read(rig, STS, 4), 0x07210000);
    rig_end();
}

static void gpe_enable_latches_and_status_stays_clear(void)
{
    rig_begin();
    bus_port_write(rig, GPE, 4, 0x5aa5ffff);
    CHECK_EQ(bus_port_read(rig, GPE, 4), 0x5aa50000);
    CHECK(!rig_line(9));
    rig_end();
}

int main(void)
{
    RUN(timer_runs_at_its_frequency);
    RUN(timer_wraps_at_32_bits);
    RUN(timer_carry_interrupts_when_enabled);
    RUN(smi_command_turns_acpi_on_and_off);
    RUN(power_button_interrupts);
    RUN(no_sci_before_acpi_is_enabled);
    RUN(s5_powers_off);
    RUN(other_sleep_types_and_half_a_command_do_nothing);
    RUN(enable_bits_latch_and_dword_reaches_both);
    RUN(gpe_enable_latches_and_status_stays_clear);
    return check_done();
}
