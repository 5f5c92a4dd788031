/* Proves that the serial ports pass the probes of Linux and SeaBIOS, carry bytes both ways, and interrupt
 * for each of their reasons. */
#include "check.h"
#include "rig.h"

enum { COM1 = 0x3f8, COM2 = 0x2f8 };

static uint8_t reg_read(unsigned reg) { return in8((uint16_t)(COM1 + reg)); }
static void reg_write(unsigned reg, uint8_t value) { out8((uint16_t)(COM1 + reg), value); }
static void type(const char *text) { rig_event("uart", 0, INBOX_BYTES_IN, text, (uint32_t)strlen(text)); }

/* 8n1 at 115200, FIFO on with trigger level 8, interrupts joined to the bus. */
static void open_port(uint8_t ier)
{
    rig_begin();
    reg_write(3, 0x83), reg_write(0, 1), reg_write(1, 0), reg_write(3, 0x03);
    reg_write(2, 0x87);
    reg_write(4, 0x0b);
    reg_write(1, ier);
}

static void linux_autoconfig_finds_a_16550a(void)
{
    rig_begin();
    reg_write(1, 0x00);
    CHECK_EQ(reg_read(1), 0x00);
    reg_write(1, 0x0f);
    CHECK_EQ(reg_read(1), 0x0f);
    reg_write(1, 0xff);
    CHECK_EQ(reg_read(1), 0x0f);
    reg_write(4, 0x1a);
    CHECK_EQ(reg_read(6) & 0xf0, 0x90);
    reg_write(4, 0x00);
    reg_write(1, 0x00);
    reg_write(3, 0xbf);
    CHECK_EQ(reg_read(2), 0x01); /* not the EFR of a 16650 */
    reg_write(3, 0x00);
    reg_write(2, 0x01);
    CHECK_EQ(reg_read(2) >> 6, 3);
    reg_write(2, 0x21);
    CHECK_EQ(reg_read(2) & 0x20, 0); /* no 64-byte FIFO */
    rig_end();
}

static void divisor_reads_back(void)
{
    rig_begin();
    reg_write(3, 0x80);
    reg_write(0, 0x34), reg_write(1, 0x12);
    CHECK_EQ(reg_read(0) | reg_read(1) << 8, 0x1234);
    reg_write(3, 0x00);
    CHECK_EQ(reg_read(1), 0x00);
    rig_end();
}

static void seabios_probe_sees_the_transmitter_empty_at_once(void)
{
    rig_begin();
    reg_write(1, 0x02);
    CHECK_EQ(reg_read(1), 0x02);
    CHECK_EQ(reg_read(2) & 0x3f, 0x02);
    CHECK_EQ(reg_read(2) & 0x3f, 0x01); /* reading it cleared it */
    rig_end();
}

static void polled_output_reaches_the_channel(void)
{
    rig_begin();
    for (const char *p = "hello\n"; *p; p++) {
        CHECK_EQ(reg_read(5) & 0x60, 0x60);
        reg_write(0, (uint8_t)*p);
    }
    CHECK_EQ(rig->out[VMK_COM1].len, 6);
    CHECK(rig->out[VMK_COM1].bytes && !memcmp(rig->out[VMK_COM1].bytes, "hello\n", 6));
    CHECK_EQ(rig->out[VMK_COM2].len, 0);
    rig_end();
}

static void second_port_has_its_own_line_and_channel(void)
{
    rig_begin();
    out8(COM2 + 4, 0x08);
    out8(COM2 + 1, 0x02);
    CHECK(rig_line(3) && !rig_line(4));
    out8(COM2, 'x');
    CHECK_EQ(rig->out[VMK_COM2].len, 1);
    rig_end();
}

static void transmit_interrupt_returns_after_each_byte(void)
{
    open_port(0x02);
    CHECK(rig_line(4));
    reg_read(2);
    CHECK(!rig_line(4));
    reg_write(0, 'a');
    CHECK(rig_line(4));
    rig_end();
}

static void out2_joins_the_interrupt_to_the_bus(void)
{
    open_port(0x02);
    reg_write(4, 0x03);
    CHECK(!rig_line(4));
    rig_end();
}

static void received_bytes_interrupt_at_the_trigger_level(void)
{
    open_port(0x01);
    type("1234567");
    CHECK(!rig_line(4));
    type("8");
    CHECK(rig_line(4));
    CHECK_EQ(reg_read(2), 0xc4);
    for (char c = '1'; c <= '8'; c++)
        CHECK_EQ(reg_read(0), c);
    CHECK(!rig_line(4));
    CHECK_EQ(reg_read(5), 0x60);
    rig_end();
}

static void few_bytes_are_announced_after_four_character_times(void)
{
    open_port(0x01);
    type("ok");
    CHECK_EQ(rig->deadline, (4ull * 10 * 16 * SECOND + 1843200 - 1) / 1843200);
    rig_advance(rig->deadline);
    CHECK(rig_line(4));
    CHECK_EQ(reg_read(2), 0xcc);
    CHECK_EQ(reg_read(0), 'o');
    CHECK(!rig_line(4)); /* the next time-out starts with this read */
    rig_advance(rig->deadline - board_now(rig));
    CHECK_EQ(reg_read(2), 0xcc);
    CHECK_EQ(reg_read(0), 'k');
    CHECK_EQ(rig->deadline, DEV_NEVER);
    rig_end();
}

static void without_fifo_each_byte_interrupts(void)
{
    open_port(0x01);
    reg_write(2, 0x00);
    type("ab");
    CHECK_EQ(reg_read(2), 0x04);
    CHECK_EQ(reg_read(0), 'a');
    CHECK_EQ(reg_read(2), 0x04);
    CHECK_EQ(reg_read(0), 'b');
    CHECK_EQ(reg_read(2), 0x01);
    rig_end();
}

static void long_input_waits_and_keeps_its_order(void)
{
    open_port(0x01);
    char text[61] = "";
    for (int i = 0; i < 4; i++) {
        memset(text, 'a' + i, 60);
        type(text);
    }
    for (int i = 0; i < 240; i++)
        CHECK_EQ(reg_read(0), 'a' + i / 60);
    CHECK_EQ(reg_read(5), 0x60);
    rig_end();
}

static void input_beyond_the_queue_is_an_overrun(void)
{
    open_port(0x04);
    char text[65] = "";
    memset(text, 'x', 64);
    for (int i = 0; i < 65; i++)
        type(text); /* 4160 bytes; 4096 + 16 fit */
    CHECK_EQ(reg_read(2), 0xc6);
    CHECK_EQ(reg_read(5) & 0x03, 0x03);
    CHECK_EQ(reg_read(5) & 0x03, 0x01);
    unsigned received = 0;
    while (reg_read(5) & 1) {
        reg_read(0);
        received++;
    }
    CHECK_EQ(received, 4096 + 16);
    rig_end();
}

static void loopback_returns_bytes_and_keeps_the_line_quiet(void)
{
    open_port(0x03);
    reg_write(4, 0x1b);
    type("z");
    reg_write(0, 'q');
    CHECK_EQ(rig->out[VMK_COM1].len, 0);
    CHECK(!rig_line(4));
    CHECK_EQ(reg_read(0), 'q');
    CHECK_EQ(reg_read(5) & 1, 0);
    reg_write(4, 0x0b);
    CHECK_EQ(reg_read(0), 'z'); /* what came from outside has waited */
    rig_end();
}

static void loopback_overrun_is_reported(void)
{
    open_port(0x00);
    reg_write(4, 0x10);
    for (int i = 0; i < 17; i++)
        reg_write(0, 'q');
    CHECK_EQ(reg_read(5), 0x63);
    rig_end();
}

static void modem_changes_interrupt(void)
{
    open_port(0x08);
    CHECK_EQ(reg_read(6), 0xb0);
    reg_write(4, 0x1c); /* CTS and DSR drop, RI comes up, DCD stays with OUT2 */
    reg_write(4, 0x18); /* RI falls: its trailing edge */
    CHECK_EQ(reg_read(2), 0xc0);
    CHECK_EQ(reg_read(6), 0x87);
    CHECK_EQ(reg_read(6), 0x80);
    rig_end();
}

static void clearing_the_fifo_drops_what_it_held(void)
{
    open_port(0x01);
    type("abc");
    reg_write(2, 0x83);
    CHECK_EQ(reg_read(5) & 1, 0);
    CHECK_EQ(rig->deadline, DEV_NEVER);
    rig_end();
}

static void divisor_zero_is_harmless(void)
{
    open_port(0x01);
    reg_write(3, 0x83), reg_write(0, 0), reg_write(1, 0), reg_write(3, 0x03);
    type("a");
    CHECK(rig->deadline < MS);
    rig_end();
}

static void scratch_register_holds(void)
{
    rig_begin();
    reg_write(7, 0xa5);
    CHECK_EQ(reg_read(7), 0xa5);
    rig_end();
}

int main(void)
{
    RUN(linux_autoconfig_finds_a_16550a);
    RUN(divisor_reads_back);
    RUN(seabios_probe_sees_the_transmitter_empty_at_once);
    RUN(polled_output_reaches_the_channel);
    RUN(second_port_has_its_own_line_and_channel);
    RUN(transmit_interrupt_returns_after_each_byte);
    RUN(out2_joins_the_interrupt_to_the_bus);
    RUN(received_bytes_interrupt_at_the_trigger_level);
    RUN(few_bytes_are_announced_after_four_character_times);
    RUN(without_fifo_each_byte_interrupts);
    RUN(long_input_waits_and_keeps_its_order);
    RUN(input_beyond_the_queue_is_an_overrun);
    RUN(loopback_returns_bytes_and_keeps_the_line_quiet);
    RUN(loopback_overrun_is_reported);
    RUN(modem_changes_interrupt);
    RUN(clearing_the_fifo_drops_what_it_held);
    RUN(divisor_zero_is_harmless);
    RUN(scratch_register_holds);
    return check_done();
}
