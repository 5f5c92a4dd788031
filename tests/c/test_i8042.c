/* Proves that the keyboard controller passes the probes of Linux and SeaBIOS and delivers typed keys in
 * either scan code set. */
#include "check.h"
#include "rig.h"

static void command(uint8_t value) { out8(0x64, value); }
static void data(uint8_t value) { out8(0x60, value); }
static bool full(void) { return in8(0x64) & 1; }

static void type(const char *set1, unsigned len)
{
    rig_event("i8042", 0, INBOX_KEY, set1, len);
}

/* The next byte, waiting as a driver does. 0x100 if none comes within 10 ms. */
static unsigned next_byte(void)
{
    for (unsigned i = 0; i < 100 && !full(); i++)
        rig_advance(100000);
    return full() ? in8(0x60) : 0x100;
}

static void linux_probe_finds_a_controller(void)
{
    rig_begin();
    CHECK(!full());
    command(0x20);
    uint8_t ctr = in8(0x60);
    command(0x20);
    CHECK_EQ(in8(0x60), ctr);
    CHECK_EQ(ctr & 0x40, 0x40);
    command(0xaa);
    CHECK_EQ(next_byte(), 0x55);
    rig_end();
}

static void aux_loop_comes_back_as_aux(void)
{
    rig_begin();
    command(0xd3), data(0x5a);
    CHECK_EQ(in8(0x64) & 0x21, 0x21);
    CHECK_EQ(in8(0x60), 0x5a);
    rig_end();
}

static void aux_loop_raises_irq_12(void)
{
    rig_begin();
    command(0x60), data(0x47);
    command(0xd3), data(0xa5);
    CHECK(rig_line(12) && !rig_line(1));
    in8(0x60);
    CHECK(!rig_line(12));
    rig_end();
}

static void aux_disable_shows_in_the_command_byte(void)
{
    rig_begin();
    command(0xa8), command(0x20);
    CHECK_EQ(in8(0x60) & 0x20, 0);
    command(0xa7), command(0x20);
    CHECK_EQ(in8(0x60) & 0x20, 0x20);
    rig_end();
}

static void absent_mouse_times_out_at_once(void)
{
    rig_begin();
    command(0xd4), data(0xff);
    CHECK_EQ(in8(0x64) & 0x61, 0x61);
    CHECK_EQ(in8(0x60), 0xfe);
    rig_end();
}

static void seabios_initialises_the_keyboard(void)
{
    rig_begin();
    command(0xad), command(0xa7);
    command(0xaa);
    CHECK_EQ(next_byte(), 0x55);
    command(0xab);
    CHECK_EQ(next_byte(), 0x00);
    data(0xff);
    CHECK_EQ(next_byte(), 0xfa);
    CHECK_EQ(next_byte(), 0xaa);
    data(0xf5);
    CHECK_EQ(next_byte(), 0xfa);
    data(0xf0);
    CHECK_EQ(next_byte(), 0xfa);
    data(0x02);
    CHECK_EQ(next_byte(), 0xfa);
    command(0x60), data(0x61);
    data(0xf4);
    CHECK_EQ(next_byte(), 0xfa);
    CHECK(!full());
    rig_end();
}

static void translated_keys_arrive_in_set_1(void)
{
    rig_begin();
    type("\x1e\x9e\xe0\x48\xe0\xc8", 6);
    const uint8_t want[] = {0x1e, 0x9e, 0xe0, 0x48, 0xe0, 0xc8};
    for (unsigned i = 0; i < sizeof(want); i++)
        CHECK_EQ(next_byte(), want[i]);
    CHECK_EQ(next_byte(), 0x100);
    rig_end();
}

static void every_key_survives_the_translation(void)
{
    rig_begin();
    for (unsigned code = 1; code < 0x80; code++) {
        if (code == 0x60 || code == 0x61)
            continue; /* their release codes are the prefixes E0 and E1: no key has them */
        char key[2] = {(char)code, (char)(code | 0x80)};
        type(key, 2);
        CHECK_EQ(next_byte(), code);
        CHECK_EQ(next_byte(), code | 0x80);
    }
    rig_end();
}

static void raw_keys_arrive_in_set_2(void)
{
    rig_begin();
    command(0x60), data(0x05);
    type("\x1e\x9e\xe0\x48\xe0\xc8", 6);
    const uint8_t want[] = {0x1c, 0xf0, 0x1c, 0xe0, 0x75, 0xe0, 0xf0, 0x75};
    for (unsigned i = 0; i < sizeof(want); i++)
        CHECK_EQ(next_byte(), want[i]);
    rig_end();
}

static void pause_key_in_set_2(void)
{
    rig_begin();
    command(0x60), data(0x05);
    type("\xe1\x1d\x45\xe1\x9d\xc5", 6);
    const uint8_t want[] = {0xe1, 0x14, 0x77, 0xe1, 0xf0, 0x14, 0xf0, 0x77};
    for (unsigned i = 0; i < sizeof(want); i++)
        CHECK_EQ(next_byte(), want[i]);
    rig_end();
}

static void set_1_keyboard_without_translation(void)
{
    rig_begin();
    command(0x60), data(0x05);
    data(0xf0);
    CHECK_EQ(next_byte(), 0xfa);
    data(0x01);
    CHECK_EQ(next_byte(), 0xfa);
    type("\x1e\x9e", 2);
    CHECK_EQ(next_byte(), 0x1e);
    CHECK_EQ(next_byte(), 0x9e);
    rig_end();
}

static void scan_code_set_3_is_refused(void)
{
    rig_begin();
    data(0xf0);
    CHECK_EQ(next_byte(), 0xfa);
    data(0x03);
    CHECK_EQ(next_byte(), 0xfe);
    rig_end();
}

static void asked_for_its_set_the_keyboard_answers_translated(void)
{
    rig_begin();
    data(0xf0);
    next_byte();
    data(0x00);
    CHECK_EQ(next_byte(), 0xfa);
    CHECK_EQ(next_byte(), 0x41);
    rig_end();
}

static void identity_is_translated_too(void)
{
    rig_begin();
    data(0xf2);
    CHECK_EQ(next_byte(), 0xfa);
    CHECK_EQ(next_byte(), 0xab);
    CHECK_EQ(next_byte(), 0x41);
    rig_end();
}

static void unknown_keyboard_command_asks_for_resend(void)
{
    rig_begin();
    data(0xe0);
    CHECK_EQ(next_byte(), 0xfe);
    data(0xed);
    CHECK_EQ(next_byte(), 0xfa);
    data(0x07);
    CHECK_EQ(next_byte(), 0xfa);
    rig_end();
}

static void each_byte_is_its_own_interrupt(void)
{
    rig_begin();
    rig_init_pic(1 << 1);
    type("\x1e\x9e", 2);
    CHECK(rig_line(1));
    CHECK_EQ(irq_ack(rig, 0), 0x21);
    CHECK_EQ(in8(0x60), 0x1e);
    CHECK_EQ(in8(0x60), 0x1e); /* read twice: still the same byte */
    CHECK(!rig_line(1));
    out8(0x20, 0x20);
    rig_advance(MS);
    CHECK_EQ(irq_ack(rig, 0), 0x21);
    CHECK_EQ(in8(0x60), 0x9e);
    rig_end();
}

static void disabled_keyboard_holds_its_keys(void)
{
    rig_begin();
    command(0xad);
    type("\x1e", 1);
    CHECK_EQ(next_byte(), 0x100);
    CHECK_EQ(rig->deadline, DEV_NEVER);
    command(0xae);
    CHECK_EQ(next_byte(), 0x1e);
    rig_end();
}

static void keyboard_that_does_not_scan_drops_keys(void)
{
    rig_begin();
    data(0xf5);
    next_byte();
    type("\x1e", 1);
    CHECK_EQ(next_byte(), 0x100);
    rig_end();
}

static void overfull_keyboard_drops_whole_keys(void)
{
    rig_begin();
    for (unsigned i = 0; i < 1000; i++)
        type("\xe0\x48\xe0\xc8", 4);
    unsigned bytes = 0, last = 0, byte;
    while ((byte = next_byte()) != 0x100) {
        last = byte;
        bytes++;
    }
    CHECK_EQ(bytes % 4, 0);
    CHECK(bytes >= 800);
    CHECK_EQ(last, 0xc8);
    rig_end();
}

static void replies_nobody_reads_are_bounded(void)
{
    rig_begin();
    for (unsigned i = 0; i < 1000; i++)
        command(0xd2), data((uint8_t)i);
    unsigned bytes = 0;
    while (full() && bytes < 1000) {
        in8(0x60);
        bytes++;
    }
    CHECK_EQ(bytes, 17);
    rig_end();
}

static void a20_follows_the_output_port(void)
{
    rig_begin();
    command(0xdd);
    CHECK(!rig->ram.a20);
    command(0xdf);
    CHECK(rig->ram.a20);
    command(0xd1), data(0xdd);
    CHECK(!rig->ram.a20);
    command(0xd0);
    CHECK_EQ(in8(0x60) & 0x03, 0x01);
    CHECK_EQ(in8(0x92) & 0x02, 0x00); /* both ports show the one gate */
    rig_end();
}

static void pulse_of_bit_0_resets(void)
{
    rig_begin();
    command(0xff);
    CHECK_EQ(rig->request, VMK_REQ_NONE);
    command(0xfe);
    CHECK_EQ(rig->request, VMK_REQ_RESET);
    rig_end();
}

static void output_port_bit_0_resets(void)
{
    rig_begin();
    command(0xd1), data(0xfe);
    CHECK_EQ(rig->request, VMK_REQ_RESET);
    rig_end();
}

int main(void)
{
    RUN(linux_probe_finds_a_controller);
    RUN(aux_loop_comes_back_as_aux);
    RUN(aux_loop_raises_irq_12);
    RUN(aux_disable_shows_in_the_command_byte);
    RUN(absent_mouse_times_out_at_once);
    RUN(seabios_initialises_the_keyboard);
    RUN(translated_keys_arrive_in_set_1);
    RUN(every_key_survives_the_translation);
    RUN(raw_keys_arrive_in_set_2);
    RUN(pause_key_in_set_2);
    RUN(set_1_keyboard_without_translation);
    RUN(scan_code_set_3_is_refused);
    RUN(asked_for_its_set_the_keyboard_answers_translated);
    RUN(identity_is_translated_too);
    RUN(unknown_keyboard_command_asks_for_resend);
    RUN(each_byte_is_its_own_interrupt);
    RUN(disabled_keyboard_holds_its_keys);
    RUN(keyboard_that_does_not_scan_drops_keys);
    RUN(overfull_keyboard_drops_whole_keys);
    RUN(replies_nobody_reads_are_bounded);
    RUN(a20_follows_the_output_port);
    RUN(pulse_of_bit_0_resets);
    RUN(output_port_bit_0_resets);
    return check_done();
}
