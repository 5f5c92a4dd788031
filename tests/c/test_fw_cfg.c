/* Proves fw_cfg: selecting and streaming items, DMA as SeaBIOS and Linux use it, and every bad request a
 * guest can make. */
#include "check.h"
#include "chipset.h"

#include "dev/fw_cfg.h"

#define REQUEST 0x8000ull
#define BUFFER 0x9000ull

enum { ERROR = 1, READ = 2, SKIP = 4, SELECT = 8, WRITE = 16 };

static struct dev *fw(void)
{
    return board_find(rig, "fw_cfg", 0);
}

static void select_key(uint16_t key)
{
    bus_port_write(rig, 0x510, 2, key);
}

static void put_request(uint32_t control, uint32_t length, uint64_t address)
{
    uint8_t bytes[16];
    uint64_t fields[2] = {__builtin_bswap64((uint64_t)control << 32 | length), __builtin_bswap64(address)};
    memcpy(bytes, fields, sizeof(bytes));
    ram_write(rig, REQUEST, bytes, sizeof(bytes));
}

static uint32_t control_word(void)
{
    uint32_t control = 0;
    ram_read(rig, REQUEST, &control, sizeof(control));
    return __builtin_bswap32(control);
}

static void start(uint64_t request)
{
    bus_port_write(rig, 0x514, 4, __builtin_bswap32((uint32_t)(request >> 32)));
    bus_port_write(rig, 0x518, 4, __builtin_bswap32((uint32_t)request));
}

static void dma(uint32_t control, uint32_t length, uint64_t address)
{
    put_request(control, length, address);
    start(REQUEST);
}

static uint8_t ram_byte(uint64_t gpa)
{
    uint8_t byte = 0;
    ram_read(rig, gpa, &byte, 1);
    return byte;
}

static void items_stream_byte_by_byte_and_end_in_zeros(void)
{
    fw_cfg_add(fw(), 0, "QEMU", 4);
    select_key(0);
    CHECK_EQ(in8(0x511), 'Q');
    CHECK_EQ(in8(0x511), 'E');
    CHECK_EQ(in8(0x511), 'M');
    CHECK_EQ(in8(0x511), 'U');
    CHECK_EQ(in8(0x511), 0);
    select_key(0);
    CHECK_EQ(in8(0x511), 'Q');
}

static void unknown_keys_read_zero(void)
{
    select_key(0xffff);
    CHECK_EQ(in8(0x511), 0);
    select_key(0x4000);
    CHECK_EQ(in8(0x511), 0);
}

static void byte_write_to_the_selector_does_nothing(void)
{
    fw_cfg_add(fw(), 5, "x", 1);
    select_key(5);
    out8(0x510, 1);
    out8(0x511, 1);
    CHECK_EQ(in8(0x511), 'x');
}

static void later_item_replaces_the_earlier(void)
{
    fw_cfg_add(fw(), 5, "old", 3);
    CHECK_EQ(fw_cfg_add(fw(), 5, "n", 1), VMK_OK);
    select_key(5);
    CHECK_EQ(in8(0x511), 'n');
    CHECK_EQ(in8(0x511), 0);
}

static void too_many_items_are_refused(void)
{
    int rc = VMK_OK;
    for (unsigned key = 0; key < FW_CFG_ITEMS && rc == VMK_OK; key++)
        rc = fw_cfg_add(fw(), (uint16_t)key, "", 0);
    CHECK_EQ(rc, VMK_OK);
    CHECK_EQ(fw_cfg_add(fw(), 0x1000, "", 0), VMK_EINVAL);
    CHECK(strstr(rig->error, "0x1000") != NULL);
}

static void dma_port_shows_its_signature(void)
{
    CHECK_EQ(bus_port_read(rig, 0x514, 4), __builtin_bswap32(0x51454d55));
    CHECK_EQ(bus_port_read(rig, 0x518, 4), __builtin_bswap32(0x20434647));
}

static void dma_selects_and_reads_in_one_request(void)
{
    fw_cfg_add(fw(), 0x20, "0123456789", 10);
    dma(0x20u << 16 | SELECT | READ, 4, BUFFER);
    CHECK_EQ(control_word(), 0);
    CHECK_EQ(ram_byte(BUFFER), '0');
    CHECK_EQ(ram_byte(BUFFER + 3), '3');
    CHECK_EQ(ram_byte(BUFFER + 4), 0);
    dma(SKIP, 2, 0);
    dma(READ, 8, BUFFER);
    CHECK_EQ(ram_byte(BUFFER), '6');
    CHECK_EQ(ram_byte(BUFFER + 3), '9');
    CHECK_EQ(ram_byte(BUFFER + 4), 0);
}

static void dma_write_is_refused(void)
{
    dma(0x20u << 16 | SELECT | WRITE, 4, BUFFER);
    CHECK_EQ(control_word(), ERROR);
}

static void dma_to_what_is_no_memory_is_an_error(void)
{
    dma(READ, 4, 0xa0000);
    CHECK_EQ(control_word(), ERROR);
    dma(READ, 4, UINT64_MAX - 1);
    CHECK_EQ(control_word(), ERROR);
    dma(READ, 4, 0xfec00000);
    CHECK_EQ(control_word(), ERROR);
}

static void request_outside_memory_is_ignored(void)
{
    start(0xfffffffffffffff0);
    start(0xfee00000);
    CHECK_EQ(fw()->deadline, DEV_NEVER);
}

static void huge_length_is_worked_off_in_steps(void)
{
    static const uint8_t byte = 0xaa;
    ram_write(rig, (1 << 20) + (8 << 20) - 1, &byte, 1);
    ram_write(rig, (1 << 20) + (8 << 20), &byte, 1);
    dma(READ, 8 << 20, 1 << 20);
    CHECK_EQ(control_word(), READ);
    CHECK_EQ(ram_byte((1 << 20) + (8 << 20) - 1), 0xaa);
    start(BUFFER); /* a second request while one is under way changes nothing */
    rig_advance(1 * MS);
    CHECK_EQ(control_word(), 0);
    CHECK_EQ(ram_byte((1 << 20) + (8 << 20) - 1), 0);
    CHECK_EQ(ram_byte((1 << 20) + (8 << 20)), 0xaa);
}

static void length_of_4_gib_ends_in_an_error_at_the_end_of_memory(void)
{
    dma(READ, 0xffffffff, BUFFER);
    rig_advance(10 * MS);
    CHECK_EQ(control_word(), ERROR);
    CHECK_EQ(fw()->deadline, DEV_NEVER);
}

static void transfer_survives_a_restore(void)
{
    dma(READ, 3 << 20, 1 << 20);
    chipset_reborn();
    put_request(READ, 3 << 20, 1 << 20); /* RAM is not part of a board's state */
    rig_advance(1 * MS);
    CHECK_EQ(control_word(), 0);
}

int main(void)
{
    RUN_ON(1, items_stream_byte_by_byte_and_end_in_zeros);
    RUN_ON(1, unknown_keys_read_zero);
    RUN_ON(1, byte_write_to_the_selector_does_nothing);
    RUN_ON(1, later_item_replaces_the_earlier);
    RUN_ON(1, too_many_items_are_refused);
    RUN_ON(1, dma_port_shows_its_signature);
    RUN_ON(1, dma_selects_and_reads_in_one_request);
    RUN_ON(1, dma_write_is_refused);
    RUN_ON(1, dma_to_what_is_no_memory_is_an_error);
    RUN_ON(1, request_outside_memory_is_ignored);
    RUN_ON(1, huge_length_is_worked_off_in_steps);
    RUN_ON(1, length_of_4_gib_ends_in_an_error_at_the_end_of_memory);
    RUN_ON(1, transfer_survives_a_restore);
    return check_done();
}
