/* Proves the small ports: debug consoles, debug exit, POST code, DMA latches, port 0x92 and the reset
 * register 0xCF9. */
#include "check.h"
#include "rig.h"

static void debug_consoles_share_a_channel_and_answer(void)
{
    rig_begin();
    CHECK_EQ(in8(0x402), 0xe9);
    CHECK_EQ(in8(0xe9), 0xe9);
    out8(0x402, 'a');
    out8(0xe9, 'b');
    CHECK_EQ(rig->out[VMK_DEBUGCON].len, 2);
    CHECK(rig->out[VMK_DEBUGCON].bytes && !memcmp(rig->out[VMK_DEBUGCON].bytes, "ab", 2));
    rig_end();
}

static void debug_exit_carries_its_value_whole(void)
{
    rig_begin();
    bus_port_write(rig, 0xf4, 4, 0x12345678);
    CHECK_EQ(rig->request, VMK_REQ_DEBUG_EXIT);
    CHECK_EQ(rig->request_value, 0x12345678);
    rig_end();
}

static void debug_exit_is_absent_unless_configured(void)
{
    rig = rig_create(1 << 20, 1, 0);
    out8(0xf4, 1);
    CHECK_EQ(rig->request, VMK_REQ_NONE);
    CHECK_EQ(in8(0xf4), 0xff);
    rig_end();
}

static void debug_exit_on_a_taken_port_is_refused(void)
{
    struct vmk_config cfg = {
        .memory = 1 << 20, .cpus = 1, .time_mode = VMK_TIME_MANUAL, .debug_exit_port = 0x3f8,
    };
    char err[256] = "";
    CHECK(!board_create(&cfg, err, sizeof(err)));
    CHECK(strstr(err, "0x3f8"));
}

static void post_code_and_dma_registers_read_back(void)
{
    static const uint16_t ports[] = {0x00, 0x0f, 0x80, 0x81, 0x8f, 0xc0, 0xdf};
    rig_begin();
    for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
        out8(ports[i], (uint8_t)(0x10 + i));
    for (unsigned i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
        CHECK_EQ(in8(ports[i]), 0x10 + i);
    rig_end();
}

static void fast_a20_opens_and_closes_the_gate(void)
{
    rig_begin();
    CHECK_EQ(in8(0x92) & 2, 2);
    out8(0x92, 0x00);
    CHECK(!rig->ram.a20);
    out8(0x92, 0x02);
    CHECK(rig->ram.a20);
    CHECK_EQ(rig->request, VMK_REQ_NONE);
    rig_end();
}

static void fast_reset_works_on_its_rising_edge(void)
{
    rig_begin();
    out8(0x92, 0x03);
    CHECK_EQ(rig->request, VMK_REQ_RESET);
    rig_end();
}

static void reset_opens_a20_again(void)
{
    rig_begin();
    out8(0x92, 0x00);
    board_reset(rig);
    CHECK(rig->ram.a20);
    CHECK_EQ(in8(0x92) & 2, 2);
    rig_end();
}

static void restored_board_has_the_saved_a20(void)
{
    rig_begin();
    size_t size = board_state_size(rig);
    uint8_t *saved = malloc(size);
    out8(0x92, 0x00);
    board_state_save(rig, saved);
    out8(0x92, 0x02);
    CHECK_EQ(board_state_load(rig, saved, size), VMK_OK);
    CHECK(!rig->ram.a20);
    free(saved);
    rig_end();
}

static void reset_register_resets_on_bit_2(void)
{
    rig_begin();
    out8(0xcf9, 0x02);
    CHECK_EQ(rig->request, VMK_REQ_NONE);
    CHECK_EQ(in8(0xcf9), 0x02);
    out8(0xcf9, 0x06);
    CHECK_EQ(rig->request, VMK_REQ_RESET);
    CHECK_EQ(in8(0xcf9), 0x02);
    rig_end();
}

int main(void)
{
    RUN(debug_consoles_share_a_channel_and_answer);
    RUN(debug_exit_carries_its_value_whole);
    RUN(debug_exit_is_absent_unless_configured);
    RUN(debug_exit_on_a_taken_port_is_refused);
    RUN(post_code_and_dma_registers_read_back);
    RUN(fast_a20_opens_and_closes_the_gate);
    RUN(fast_reset_works_on_its_rising_edge);
    RUN(reset_opens_a20_again);
    RUN(restored_board_has_the_saved_a20);
    RUN(reset_register_resets_on_bit_2);
    return check_done();
}
