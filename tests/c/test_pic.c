/* Proves that the 8259 pair behaves as firmware, Linux and iPXE drive it: initialisation, priorities, EOI
 * forms, spurious vectors. */
#include "check.h"
#include "rig.h"

#include "dev/pic.h"

static struct dev *pic(void) { return board_find(rig, "pic", 0); }

static void line(unsigned irq, bool level) { pic_line(pic(), irq, level); }

static void pulse(unsigned irq)
{
    line(irq, false);
    line(irq, true);
}

static void init_vectors(uint16_t open)
{
    rig_begin();
    rig_init_pic(open);
}

static void linux_probe_reads_back_the_mask(void)
{
    rig_begin();
    out8(0xa1, 0xff);
    out8(0x21, 0xfb);
    CHECK_EQ(in8(0x21), 0xfb);
    rig_end();
}

static void nothing_is_raised_before_initialisation(void)
{
    rig_begin();
    out8(0x21, 0x00);
    pulse(1);
    CHECK(!pic_output(pic()));
    rig_end();
}

static void edge_gives_its_vector_once(void)
{
    init_vectors(0xffff);
    pulse(1);
    CHECK(pic_output(pic()));
    CHECK_EQ(pic_ack(pic()), 0x21);
    CHECK(!pic_output(pic()));
    out8(0x20, 0x20);
    CHECK(!pic_output(pic())); /* the line is still up, but there was no new edge */
    rig_end();
}

static void slave_interrupt_needs_both_eois(void)
{
    init_vectors(0xffff);
    pulse(8);
    CHECK_EQ(pic_ack(pic()), 0x28);
    pulse(9);
    out8(0xa0, 0x20);
    CHECK(!pic_output(pic())); /* the master still serves its IR2 */
    out8(0x20, 0x20);
    CHECK_EQ(pic_ack(pic()), 0x29);
    rig_end();
}

static void masked_cascade_blocks_the_slave(void)
{
    init_vectors(0xfffb);
    pulse(14);
    CHECK(!pic_output(pic()));
    out8(0x21, 0x00);
    CHECK(pic_output(pic()));
    rig_end();
}

static void higher_priority_nests_lower_waits(void)
{
    init_vectors(0xffff);
    pulse(4);
    CHECK_EQ(pic_ack(pic()), 0x24);
    pulse(5);
    CHECK(!pic_output(pic()));
    pulse(1);
    CHECK_EQ(pic_ack(pic()), 0x21);
    out8(0x20, 0x20);
    CHECK(!pic_output(pic())); /* 5 waits for 4 */
    out8(0x20, 0x20);
    CHECK_EQ(pic_ack(pic()), 0x25);
    rig_end();
}

static void edge_that_drops_before_the_acknowledge_is_spurious(void)
{
    init_vectors(0xffff);
    pulse(3);
    line(3, false);
    CHECK(!pic_output(pic()));
    CHECK_EQ(pic_ack(pic()), 0x27);
    out8(0x20, 0x0b);
    CHECK_EQ(in8(0x20), 0x00); /* ISR untouched: how Linux tells */
    rig_end();
}

static void mask_takes_a_level_request_back(void)
{
    init_vectors(0xffff);
    out8(0x4d1, 0x02); /* IRQ9 by level, which asks again when unmasked */
    line(9, true);
    out8(0xa1, 0xff);
    CHECK(!pic_output(pic()));
    out8(0xa1, 0x00);
    CHECK_EQ(pic_ack(pic()), 0x29);
    rig_end();
}

static void level_line_asks_again_after_eoi(void)
{
    init_vectors(0xffff);
    out8(0x4d1, 0x0c); /* IRQ10, 11 as SeaBIOS sets them */
    line(10, true);
    CHECK_EQ(pic_ack(pic()), 0x2a);
    CHECK(!pic_output(pic()));
    out8(0xa0, 0x20), out8(0x20, 0x20);
    CHECK(pic_output(pic()));
    line(10, false);
    CHECK(!pic_output(pic()));
    rig_end();
}

static void elcr_keeps_system_lines_on_edge(void)
{
    rig_begin();
    bus_port_write(rig, 0x4d0, 2, 0xffff);
    CHECK_EQ(bus_port_read(rig, 0x4d0, 2), 0xdef8);
    rig_end();
}

static void automatic_eoi_leaves_isr_empty(void)
{
    rig_begin();
    out8(0x20, 0x11), out8(0x21, 0x20), out8(0x21, 0x04), out8(0x21, 0x03);
    out8(0xa0, 0x11), out8(0xa1, 0x28), out8(0xa1, 0x02), out8(0xa1, 0x03);
    pulse(8);
    pulse(9);
    CHECK_EQ(pic_ack(pic()), 0x28);
    CHECK_EQ(pic_ack(pic()), 0x29); /* the slave's second request is a new edge for the master */
    out8(0x20, 0x0b);
    CHECK_EQ(in8(0x20), 0);
    rig_end();
}

static void specific_eoi_clears_only_its_own(void)
{
    init_vectors(0xffff);
    pulse(5);
    pic_ack(pic());
    pulse(1);
    pic_ack(pic());
    out8(0x20, 0x65);
    out8(0x20, 0x0b);
    CHECK_EQ(in8(0x20), 0x02);
    rig_end();
}

static void rotation_makes_the_served_line_lowest(void)
{
    init_vectors(0xffff);
    pulse(3);
    pic_ack(pic());
    out8(0x20, 0xa0); /* rotate on non-specific EOI */
    pulse(3);
    pulse(7);
    CHECK_EQ(pic_ack(pic()), 0x27); /* 4..7 now come before 0..3 */
    rig_end();
}

static void set_priority_command_moves_the_lowest(void)
{
    init_vectors(0xffff);
    out8(0x20, 0xc4); /* 4 lowest, 5 highest */
    pulse(1);
    pulse(5);
    CHECK_EQ(pic_ack(pic()), 0x25);
    rig_end();
}

static void special_mask_mode_opens_lower_lines(void)
{
    init_vectors(0xffff);
    pulse(1);
    pic_ack(pic());
    pulse(6);
    CHECK(!pic_output(pic()));
    out8(0x21, 0x02);
    out8(0x20, 0x68);
    CHECK_EQ(pic_ack(pic()), 0x26);
    rig_end();
}

static void poll_acknowledges_by_reading(void)
{
    init_vectors(0xffff);
    pulse(6);
    out8(0x20, 0x0c);
    CHECK_EQ(in8(0x20), 0x86);
    out8(0x20, 0x0b);
    CHECK_EQ(in8(0x20), 0x40);
    out8(0x20, 0x0c);
    CHECK_EQ(in8(0x20), 0x00);
    rig_end();
}

static void initialising_with_a_line_held_high_forgets_its_edge(void)
{
    init_vectors(0xffff);
    pulse(5);
    rig_init_pic(0xffff);
    CHECK(!pic_output(pic()));
    pulse(5);
    CHECK(pic_output(pic()));
    rig_end();
}

static void single_mode_without_icw4_takes_two_words(void)
{
    rig_begin();
    out8(0x20, 0x12), out8(0x21, 0x40);
    out8(0x21, 0xfe); /* already a mask */
    CHECK_EQ(in8(0x21), 0xfe);
    pulse(0);
    CHECK_EQ(pic_ack(pic()), 0x40);
    rig_end();
}

static void cascade_input_has_no_line(void)
{
    init_vectors(0xffff);
    pulse(2);
    pulse(16);
    CHECK(!pic_output(pic()));
    rig_end();
}

int main(void)
{
    RUN(linux_probe_reads_back_the_mask);
    RUN(nothing_is_raised_before_initialisation);
    RUN(edge_gives_its_vector_once);
    RUN(slave_interrupt_needs_both_eois);
    RUN(masked_cascade_blocks_the_slave);
    RUN(higher_priority_nests_lower_waits);
    RUN(edge_that_drops_before_the_acknowledge_is_spurious);
    RUN(mask_takes_a_level_request_back);
    RUN(level_line_asks_again_after_eoi);
    RUN(elcr_keeps_system_lines_on_edge);
    RUN(automatic_eoi_leaves_isr_empty);
    RUN(specific_eoi_clears_only_its_own);
    RUN(rotation_makes_the_served_line_lowest);
    RUN(set_priority_command_moves_the_lowest);
    RUN(special_mask_mode_opens_lower_lines);
    RUN(poll_acknowledges_by_reading);
    RUN(initialising_with_a_line_held_high_forgets_its_edge);
    RUN(single_mode_without_icw4_takes_two_words);
    RUN(cascade_input_has_no_line);
    return check_done();
}
