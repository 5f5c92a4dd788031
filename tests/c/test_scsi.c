/* The SCSI disk through the LSI adapter: what each command moves, and what it says when it cannot. */
#include "check.h"
#include "lsi_rig.h"

static uint32_t be(uint64_t gpa, unsigned n)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | mem8(gpa + i);
    return v;
}

static void put(uint64_t gpa, const uint8_t *bytes, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        set8(gpa + i, bytes[i]);
}

static void begin(void)
{
    lsi_begin();
    clear_attention();
}

/* ---- who is there ---- */

static void inquiry_is_fixed(void)
{
    uint8_t first[96], again[96];
    begin();
    CHECK(SEND(FROM_DISK, 96, 0x12, 0, 0, 0, 96).turbo);
    ram_read(rig, DATA, first, 96);
    CHECK_EQ(first[0], 0);
    CHECK_EQ(first[2], 5);
    CHECK_EQ(first[4], 91);
    CHECK_EQ(first[7], 0x32); /* tags, wide, synchronous */
    CHECK(!memcmp(first + 8, "VMware  Virtual disk    1.0 ", 28));
    CHECK_EQ(first[56], 0x0f);
    CHECK(SEND(FROM_DISK, 36, 0x12, 0, 0, 0, 36).turbo);
    ram_read(rig, DATA, again, 36);
    CHECK(!memcmp(first, again, 36));
    CHECK_EQ(SEND(FROM_DISK, 96, 0x12, 2, 0, 0, 96).sense, 0x052400);
    CHECK_EQ(SEND(FROM_DISK, 96, 0x12, 0, 0x80, 0, 96).sense, 0x052400);
    lsi_end();
}

static void vital_product_data(void)
{
    begin();
    CHECK(SEND(FROM_DISK, 64, 0x12, 1, 0x00, 0, 64).turbo);
    CHECK_EQ(be(DATA, 4), 0x00000006);
    CHECK_EQ(be(DATA + 4, 4), 0x008083b0);
    CHECK_EQ(be(DATA + 8, 2), 0xb1b2);
    CHECK(SEND(FROM_DISK, 64, 0x12, 1, 0x80, 0, 64).turbo);
    CHECK_EQ(be(DATA, 4), 0x00800003);
    CHECK_EQ(be(DATA + 4, 3), 0x532d31); /* S-1 */
    CHECK(SEND(FROM_DISK, 255, 0x12, 1, 0x83, 0, 255).turbo);
    CHECK_EQ(be(DATA + 4, 4), 0x01030010);
    CHECK_EQ(be(DATA + 8, 3), 0x6000c2);
    CHECK(SEND(FROM_DISK, 64, 0x12, 1, 0xb0, 0, 64).turbo);
    CHECK_EQ(be(DATA, 4), 0x00b0003c);
    CHECK_EQ(be(DATA + 8, 4), 16384);
    CHECK_EQ(SEND(FROM_DISK, 64, 0x12, 1, 0x42, 0, 64).sense, 0x052400);
    lsi_end();
}

static void report_luns_lists_what_is_there(void)
{
    begin();
    attach(0, 3, 1 << 20, VMK_DISK_DISK, false);
    CHECK_EQ(SEND(NO_DATA, 0, 0x00).sense, 0x063f0e); /* the neighbour hears of it */
    CHECK(SEND(FROM_DISK, 64, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64).turbo);
    CHECK_EQ(be(DATA, 4), 16);
    CHECK_EQ(be(DATA + 8, 2), 0);
    CHECK_EQ(be(DATA + 16, 2), 3);
    CHECK(scsi(0, 5, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16), 12, FROM_DISK, 16).turbo);
    CHECK_EQ(SEND(FROM_DISK, 8, 0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 8).sense, 0x052400);
    lsi_end();
}

static void attention_is_told_once(void)
{
    lsi_begin();
    CHECK(SEND(FROM_DISK, 36, 0x12, 0, 0, 0, 36).turbo); /* INQUIRY does not take it */
    struct result r = SEND(NO_DATA, 0, 0x00);
    CHECK_EQ(r.scsi, 2);
    CHECK_EQ(r.sense, 0x062900);
    CHECK(SEND(NO_DATA, 0, 0x00).turbo);
    lsi_end();
}

static void request_sense_has_the_last_error(void)
{
    lsi_begin();
    CHECK(SEND(FROM_DISK, 18, 0x03, 0, 0, 0, 18).turbo);
    CHECK_EQ(be(DATA + 12, 2), 0x2900); /* the attention, as data */
    CHECK(SEND(NO_DATA, 0, 0x00).turbo);
    CHECK_EQ(SEND(NO_DATA, 0, 0xee).sense, 0x052000);
    CHECK(SEND(FROM_DISK, 18, 0x03, 0, 0, 0, 18).turbo);
    CHECK_EQ(be(DATA, 1), 0x70);
    CHECK_EQ(be(DATA + 12, 2), 0x2000);
    CHECK(SEND(FROM_DISK, 18, 0x03, 0, 0, 0, 18).turbo);
    CHECK_EQ(be(DATA + 2, 1), 0);
    CHECK(SEND(FROM_DISK, 8, 0x03, 1, 0, 0, 8).turbo);
    CHECK_EQ(be(DATA, 1), 0x72);
    lsi_end();
}

static void sense_is_cut_to_its_buffer(void)
{
    begin();
    make_io(0, 0, CDB(0xee), 6, NO_DATA, 0);
    set8(FRAME + 5, 4);
    fill(SENSE, 0xcc, 18);
    CHECK_EQ(send_frame().scsi, 2);
    CHECK_EQ(mem8(SENSE), 0x70);
    CHECK_EQ(mem8(SENSE + 4), 0xcc);
    make_io(0, 0, CDB(0xee), 6, NO_DATA, 0);
    set32le(FRAME + 0x2c, 0xfffffff0); /* nowhere */
    CHECK_EQ(send_frame().state, 2);
    lsi_end();
}

/* ---- reading and writing ---- */

static void every_form_reads_and_writes(void)
{
    static const struct {
        uint8_t read[16], write[16];
    } forms[] = {
        {{0x08, 0, 0, 5, 2}, {0x0a, 0, 0, 5, 2}},
        {{0x28, 0, 0, 0, 0, 5, 0, 0, 2}, {0x2a, 0, 0, 0, 0, 5, 0, 0, 2}},
        {{0xa8, 0, 0, 0, 0, 5, 0, 0, 0, 2}, {0xaa, 8, 0, 0, 0, 5, 0, 0, 0, 2}},
        {{0x88, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 2}, {0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 2}},
        {{0x28, 8, 0, 0, 0, 5, 0, 0, 2}, {0x2e, 0, 0, 0, 0, 5, 0, 0, 2}},
        {{0xa8, 0, 0, 0, 0, 5, 0, 0, 0, 2}, {0xae, 0, 0, 0, 0, 5, 0, 0, 0, 2}},
        {{0x88, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 2}, {0x8e, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 2}},
    };
    begin();
    for (uint8_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        fill(DATA, (uint8_t)(0x10 + i), 1024);
        CHECK(scsi(0, 0, forms[i].write, 16, TO_DISK, 1024).turbo);
        CHECK_EQ(disk_byte(5 * 512), 0x10 + i);
        CHECK_EQ(disk_byte(7 * 512 - 1), 0x10 + i);
        CHECK_EQ(disk_byte(7 * 512), 0);
        fill(DATA, 0, 1024);
        CHECK(scsi(0, 0, forms[i].read, 16, FROM_DISK, 1024).turbo);
        CHECK_EQ(mem8(DATA + 1023), 0x10 + i);
    }
    lsi_end();
}

static void length_zero(void)
{
    begin();
    CHECK(SEND(NO_DATA, 0, 0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0).turbo);
    CHECK(SEND(NO_DATA, 0, 0x28, 0, 0, 0, 0x20, 0, 0, 0, 0, 0).turbo); /* at the very end */
    CHECK_EQ(SEND(NO_DATA, 0, 0x28, 0, 0, 0, 0x20, 1, 0, 0, 0, 0).sense, 0x052100);
    CHECK(SEND(FROM_DISK, 256 * 512, 0x08, 0, 0, 0, 0).turbo); /* in six bytes it means 256 */
    CHECK(SEND(FROM_DISK, 512, 0x08, 0, 0, 0, 0).moved == 512);
    lsi_end();
}

static void addresses_beyond_the_end(void)
{
    begin();
    CHECK(SEND(FROM_DISK, 512, 0x28, 0, 0, 0, 0x1f, 0xff, 0, 0, 1, 0).turbo);
    CHECK_EQ(SEND(FROM_DISK, 512, 0x28, 0, 0, 0, 0x20, 0, 0, 0, 1, 0).sense, 0x052100);
    CHECK_EQ(SEND(FROM_DISK, 1024, 0x28, 0, 0, 0, 0x1f, 0xff, 0, 0, 2, 0).sense, 0x052100);
    CHECK_EQ(SEND(FROM_DISK, 512, 0x88, 0, 255, 255, 255, 255, 255, 255, 255, 255, 0, 0, 0, 1).sense,
             0x052100);
    CHECK_EQ(SEND(FROM_DISK, 512, 0x88, 0, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255).sense,
             0x052100);
    CHECK_EQ(SEND(TO_DISK, 512, 0xaa, 0, 255, 255, 255, 255, 255, 255, 255, 255).sense, 0x052100);
    CHECK_EQ(SEND(NO_DATA, 0, 0x2b, 0, 0, 0, 0x20, 0).sense, 0x052100);
    lsi_end();
}

static void protection_fields_are_refused(void)
{
    begin();
    CHECK_EQ(SEND(FROM_DISK, 512, 0x28, 0x20, 0, 0, 0, 0, 0, 0, 1, 0).sense, 0x052400);
    CHECK_EQ(SEND(TO_DISK, 512, 0x2a, 0xe0, 0, 0, 0, 0, 0, 0, 1, 0).sense, 0x052400);
    lsi_end();
}

static void unknown_opcodes(void)
{
    begin();
    for (unsigned op = 0xc0; op <= 0xff; op++) /* vendors' group: no length is known */
        CHECK_EQ(SEND(FROM_DISK, 512, (uint8_t)op).sense, 0x052000);
    CHECK_EQ(SEND(NO_DATA, 0, 0x7f).sense, 0x052000);
    CHECK_EQ(SEND(NO_DATA, 0, 0x04).sense, 0x052000);
    lsi_end();
}

static void readonly_disk(void)
{
    lsi_begin_as(VMK_SCSI_LSI53C1030);
    attach(0, 0, 1 << 20, VMK_DISK_DISK, true);
    lsi_up();
    clear_attention();
    CHECK_EQ(SEND(TO_DISK, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0).sense, 0x072700);
    CHECK_EQ(SEND(TO_DISK, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0).sense, 0x072700);
    CHECK(SEND(NO_DATA, 0, 0x35).turbo);
    CHECK(SEND(FROM_DISK, 4, 0x1a, 0, 0x3f, 0, 4).turbo);
    CHECK_EQ(mem8(DATA + 2) & 0x80, 0x80);
    lsi_end();
}

/* A command that says "in" and sends: what the host's memory held must not reach the disk. */
static void direction_that_does_not_fit(void)
{
    begin();
    fill(DATA, 0x77, 512);
    SEND(FROM_DISK, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0);
    for (unsigned i = 0; i < 512; i++)
        CHECK_EQ(disk_byte(i), 0);
    CHECK_EQ(SEND(NO_DATA, 0, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0).scsi, 2);
    fill(DATA, 0x55, 512);
    SEND(TO_DISK, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0);
    CHECK_EQ(mem8(DATA), 0x55);
    lsi_end();
}

static void capacity(void)
{
    begin();
    CHECK(SEND(FROM_DISK, 8, 0x25).turbo);
    CHECK_EQ(be(DATA, 4), DISK_BLOCKS - 1);
    CHECK_EQ(be(DATA + 4, 4), 512);
    CHECK(SEND(FROM_DISK, 32, 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32).turbo);
    CHECK_EQ(be(DATA + 4, 4), DISK_BLOCKS - 1);
    CHECK_EQ(be(DATA + 14, 1), 0xc0);
    CHECK_EQ(SEND(FROM_DISK, 8, 0x25, 0, 0, 0, 0, 1).sense, 0x052400);
    CHECK_EQ(SEND(FROM_DISK, 8, 0x9e, 0x1f).sense, 0x052000);
    lsi_end();
}

static void large_disks_need_the_long_form(void)
{
    lsi_begin_as(VMK_SCSI_LSI53C1030);
    attach(0, 0, 1ull << 40, VMK_DISK_DISK, false); /* memory of it is used only where it is written */
    lsi_up();
    clear_attention();
    CHECK(SEND(FROM_DISK, 8, 0x25).turbo);
    CHECK_EQ(be(DATA, 4), 0x7fffffff);
    fill(DATA, 0x42, 512);
    CHECK(SEND(TO_DISK, 512, 0x8a, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 1).turbo);
    CHECK(SEND(FROM_DISK, 512, 0x28, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 1, 0).turbo);
    CHECK_EQ(mem8(DATA), 0x42);
    lsi_end();
}

/* ---- verify, compare, unmap ---- */

static void verify_compares(void)
{
    begin();
    fill(DATA, 7, 1024);
    CHECK(SEND(TO_DISK, 1024, 0x2a, 0, 0, 0, 0, 0, 0, 0, 2, 0).turbo);
    CHECK(SEND(NO_DATA, 0, 0x2f, 0, 0, 0, 0, 0, 0, 0, 2, 0).turbo);
    CHECK(SEND(TO_DISK, 1024, 0x2f, 2, 0, 0, 0, 0, 0, 0, 2, 0).turbo);
    set8(DATA + 1000, 8);
    CHECK_EQ(SEND(TO_DISK, 1024, 0x2f, 2, 0, 0, 0, 0, 0, 0, 2, 0).sense, 0x0e1d00);
    CHECK_EQ(SEND(TO_DISK, 1024, 0x2f, 4, 0, 0, 0, 0, 0, 0, 2, 0).sense, 0x052400);
    lsi_end();
}

static void compare_and_write_is_all_or_nothing(void)
{
    begin();
    fill(DATA, 0, 512), fill(DATA + 512, 9, 512);
    CHECK(SEND(TO_DISK, 1024, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1).turbo);
    CHECK_EQ(disk_byte(3 * 512), 9);
    fill(DATA + 512, 5, 512);
    CHECK_EQ(SEND(TO_DISK, 1024, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1).sense, 0x0e1d00);
    CHECK_EQ(disk_byte(3 * 512), 9);
    CHECK_EQ(SEND(TO_DISK, 512, 0x89, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1).scsi, 2); /* half of the data */
    CHECK_EQ(SEND(TO_DISK, 1024, 0x89, 0, 0, 0, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 1).sense, 0x052100);
    lsi_end();
}

/* Another write to the same block cannot come between its two halves. */
static void compare_and_write_keeps_others_off(void)
{
    struct result r;
    begin();
    fill(DATA, 0, 512), fill(DATA + 512, 9, 512);
    make_io(0, 0, CDB(0x89, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 1), 16, TO_DISK, 1024);
    w32(0x40, FRAME);
    make_io(0, 0, CDB(0x2a, 0, 0, 0, 0, 3, 0, 0, 1), 10, TO_DISK, 512);
    set32le(FRAME + 8, 2);
    w32(0x40, FRAME);
    CHECK(next_reply(&r));
    CHECK_EQ(r.context, 2);
    CHECK_EQ(r.scsi, 8); /* busy: try again */
    CHECK(next_reply(&r) && r.turbo);
    CHECK_EQ(disk_byte(3 * 512), 9);
    CHECK(SEND(TO_DISK, 512, 0x2a, 0, 0, 0, 0, 3, 0, 0, 1, 0).turbo);
    lsi_end();
}

static void write_same_repeats_a_block(void)
{
    begin();
    fill(DATA, 0x33, 512);
    CHECK(SEND(TO_DISK, 512, 0x41, 0, 0, 0, 0, 16, 0, 0x10, 0, 0).turbo); /* 4096 blocks: two pieces */
    CHECK_EQ(disk_byte(16 * 512 - 1), 0);
    CHECK_EQ(disk_byte(16 * 512), 0x33);
    CHECK_EQ(disk_byte((16 + 4096) * 512 - 1), 0x33);
    CHECK_EQ(disk_byte((16 + 4096) * 512), 0);
    fill(DATA, 0, 512);
    CHECK(SEND(TO_DISK, 512, 0x93, 8, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 2).turbo);
    CHECK_EQ(disk_byte(20 * 512), 0);
    CHECK_EQ(disk_byte(22 * 512), 0x33);
    CHECK(SEND(NO_DATA, 0, 0x93, 1, 0, 0, 0, 0, 0, 0, 0, 22, 0, 0, 0, 1).turbo); /* no data at all: zeroes */
    CHECK_EQ(disk_byte(22 * 512), 0);
    CHECK_EQ(SEND(TO_DISK, 512, 0x41, 0, 0, 0, 0, 0, 0, 0, 0, 0).sense, 0x052400); /* to the end: too far */
    CHECK_EQ(SEND(TO_DISK, 512, 0x93, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255).sense, 0x052100);
    CHECK_EQ(SEND(TO_DISK, 100, 0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0).scsi, 2);
    lsi_end();
}

static void unmap_frees_its_ranges(void)
{
    const uint8_t list[40] = {
        0, 38, 0, 32, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0,
    };
    begin();
    fill(DATA, 0x44, 4096);
    fill(DATA + 4096, 0x44, 4096);
    CHECK(SEND(TO_DISK, 8192, 0x2a, 0, 0, 0, 0, 0, 0, 0, 16, 0).turbo);
    put(DATA, list, sizeof(list));
    CHECK(SEND(TO_DISK, 40, 0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0).turbo);
    const uint8_t want[12] = {1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 1, 1};
    for (unsigned i = 0; i < sizeof(want); i++)
        CHECK_EQ(disk_byte(i * 512), want[i] ? 0x44 : 0);
    lsi_end();
}

static void unmap_lists_that_lie(void)
{
    begin();
    fill(DATA, 0, 64);
    CHECK(SEND(NO_DATA, 0, 0x42).turbo);
    CHECK_EQ(SEND(TO_DISK, 4, 0x42, 0, 0, 0, 0, 0, 0, 0, 4, 0).sense, 0x051a00);
    CHECK_EQ(SEND(TO_DISK, 8, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0).scsi, 2); /* more than is sent */
    set16le(DATA + 2, 0xffff); /* descriptors far behind the list's end: those that are there count */
    CHECK(SEND(TO_DISK, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0).turbo);
    fill(DATA + 8, 0xff, 16);
    CHECK_EQ(SEND(TO_DISK, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0).sense, 0x052100);
    CHECK_EQ(SEND(TO_DISK, 0x2008, 0x42, 0, 0, 0, 0, 0, 0, 0x20, 8, 0).sense, 0x052600); /* 512 of them */
    lsi_end();
}

static void unmap_of_more_than_the_limit(void)
{
    lsi_begin_as(VMK_SCSI_LSI53C1030);
    attach(0, 0, 1ull << 40, VMK_DISK_DISK, false);
    lsi_up();
    clear_attention();
    fill(DATA, 0, 24);
    set16le(DATA + 2, 0x1000);    /* big-endian 16 */
    set32le(DATA + 16, 0x00004000); /* big-endian 0x400000 */
    CHECK(SEND(TO_DISK, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0).turbo);
    set32le(DATA + 16, 0x01004000);
    CHECK_EQ(SEND(TO_DISK, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0).sense, 0x052600);
    lsi_end();
}

static void echo_buffer_gives_back(void)
{
    begin();
    CHECK(SEND(FROM_DISK, 4, 0x3c, 0x0b, 0, 0, 0, 0, 0, 0, 4).turbo);
    CHECK_EQ(be(DATA, 4), 128);
    fill(DATA, 0xa5, 128);
    CHECK(SEND(TO_DISK, 128, 0x3b, 0x0a, 0, 0, 0, 0, 0, 0, 128).turbo);
    fill(DATA, 0, 128);
    CHECK(SEND(FROM_DISK, 128, 0x3c, 0x0a, 0, 0, 0, 0, 0, 0, 128).turbo);
    CHECK_EQ(mem8(DATA + 127), 0xa5);
    CHECK_EQ(SEND(TO_DISK, 512, 0x3b, 0x0a, 0, 0, 0, 0, 0, 2, 0).sense, 0x052400);
    CHECK_EQ(SEND(TO_DISK, 128, 0x3b, 0x05, 0, 0, 0, 0, 0, 0, 128).sense, 0x052400); /* firmware */
    lsi_end();
}

/* ---- mode pages ---- */

static void mode_pages(void)
{
    begin();
    CHECK(SEND(FROM_DISK, 4, 0x1a, 0, 0x3f, 0, 4).turbo);
    unsigned all = mem8(DATA) + 1u;
    CHECK(SEND(FROM_DISK, 255, 0x1a, 0, 0x3f, 0, 255).turbo);
    CHECK_EQ(mem8(DATA + 3), 8);
    unsigned at = 12;
    while (at < all)
        at += 2u + mem8(DATA + at + 1);
    CHECK_EQ(at, all);
    CHECK(SEND(FROM_DISK, 255, 0x5a, 8, 0x08, 0, 0, 0, 0, 0, 255, 0).turbo);
    CHECK_EQ(be(DATA, 2), 8 + 20 - 2);
    CHECK_EQ(mem8(DATA + 8), 8);
    CHECK_EQ(mem8(DATA + 10) & 4, 4);
    CHECK(SEND(FROM_DISK, 255, 0x5a, 8, 0x48, 0, 0, 0, 0, 0, 255, 0).turbo); /* changeable */
    CHECK_EQ(mem8(DATA + 10), 4);
    CHECK_EQ(SEND(FROM_DISK, 255, 0x1a, 0, 0xc8, 0, 255).sense, 0x053900);
    CHECK_EQ(SEND(FROM_DISK, 255, 0x1a, 0, 0x3e, 0, 255).sense, 0x052400);
    CHECK_EQ(SEND(FROM_DISK, 255, 0x1a, 0, 0x08, 0x07, 255).sense, 0x052400);
    lsi_end();
}

static struct result select_page(const uint8_t *list, unsigned n, uint8_t length)
{
    put(DATA, list, n);
    return SEND(TO_DISK, n, 0x15, 0x10, 0, 0, length);
}

static void write_cache_can_be_switched(void)
{
    uint8_t list[24] = {0, 0, 0, 0, 0x08, 0x12};
    struct blk_counters c;
    begin();
    CHECK(select_page(list, 24, 24).turbo);
    CHECK(SEND(FROM_DISK, 255, 0x1a, 8, 0x08, 0, 255).turbo);
    CHECK_EQ(mem8(DATA + 6) & 4, 0);
    CHECK(SEND(TO_DISK, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0).turbo); /* now as if with FUA */
    list[6] = 4;
    CHECK(select_page(list, 24, 24).turbo);
    list[6] = 1; /* the read cache cannot */
    CHECK_EQ(select_page(list, 24, 24).sense, 0x052600);
    blk_counters(lsilogic_disk(adapter, 0, 0), &c);
    CHECK_EQ(c.writes, 1);
    lsi_end();
}

static void mode_lists_that_lie(void)
{
    const uint8_t list[24] = {0, 0, 0, 0, 0x08, 0x12, 4};
    uint8_t bad[24];
    begin();
    CHECK(SEND(NO_DATA, 0, 0x15, 0x10).turbo);
    CHECK_EQ(select_page(list, 3, 3).sense, 0x051a00);
    CHECK_EQ(select_page(list, 10, 24).sense, 0x051a00); /* more than is sent */
    CHECK_EQ(select_page(list, 10, 10).sense, 0x052600); /* a page cut short */
    memcpy(bad, list, 24), bad[5] = 0xff;
    CHECK_EQ(select_page(bad, 24, 24).sense, 0x052600);
    memcpy(bad, list, 24), bad[3] = 200;
    CHECK_EQ(select_page(bad, 24, 24).sense, 0x052600);
    memcpy(bad, list, 24), bad[4] = 0x3f;
    CHECK_EQ(select_page(bad, 24, 24).sense, 0x052600);
    CHECK_EQ(SEND(TO_DISK, 24, 0x15, 0x11, 0, 0, 24).sense, 0x052400); /* saving */
    lsi_end();
}

/* ---- reservations ---- */

static struct result reserve_out(uint8_t action, uint8_t type, uint8_t key, uint8_t new_key)
{
    fill(DATA, 0, 24);
    set8(DATA + 7, key), set8(DATA + 15, new_key);
    return SEND(TO_DISK, 24, 0x5f, action, type, 0, 0, 0, 0, 0, 24, 0);
}

static void persistent_reservations(void)
{
    begin();
    CHECK_EQ(reserve_out(1, 5, 1, 0).scsi, 0x18); /* not registered */
    CHECK(reserve_out(0, 0, 0, 1).turbo);
    CHECK_EQ(reserve_out(0, 0, 9, 2).scsi, 0x18); /* another's key */
    CHECK(reserve_out(1, 5, 1, 0).turbo);
    CHECK_EQ(reserve_out(1, 1, 1, 0).scsi, 0x18); /* another type */
    CHECK(SEND(FROM_DISK, 24, 0x5e, 1, 0, 0, 0, 0, 0, 0, 24, 0).turbo);
    CHECK_EQ(be(DATA + 4, 4), 16);
    CHECK_EQ(be(DATA + 12, 4), 1);
    CHECK_EQ(be(DATA + 21, 1), 5);
    CHECK(SEND(FROM_DISK, 16, 0x5e, 0, 0, 0, 0, 0, 0, 0, 16, 0).turbo);
    CHECK_EQ(be(DATA, 4), 1); /* generation */
    CHECK_EQ(be(DATA + 4, 4), 8);
    CHECK_EQ(reserve_out(2, 1, 1, 0).sense, 0x052604);
    CHECK(reserve_out(2, 5, 1, 0).turbo);
    CHECK(reserve_out(3, 0, 1, 0).turbo);
    CHECK(SEND(FROM_DISK, 8, 0x5e, 0, 0, 0, 0, 0, 0, 0, 8, 0).turbo);
    CHECK_EQ(be(DATA + 4, 4), 0);
    CHECK_EQ(SEND(TO_DISK, 24, 0x5f, 0, 0, 0, 0, 0, 0, 0, 23, 0).sense, 0x051a00);
    CHECK_EQ(reserve_out(1, 2, 1, 0).sense, 0x052400); /* no such type */
    lsi_end();
}

/* ---- failures of the host ---- */

static int fail_status;

static int failing_io(void *ctx, uint64_t off, void *buf, size_t len, char err[160])
{
    (void)ctx, (void)off, (void)buf, (void)len;
    snprintf(err, 160, "broken");
    return fail_status;
}

static int failing_write(void *ctx, uint64_t off, const void *buf, size_t len, char err[160])
{
    (void)ctx, (void)off, (void)buf, (void)len, (void)err;
    return fail_status;
}

static int failing_flush(void *ctx, char err[160])
{
    (void)ctx, (void)err;
    return fail_status;
}

static void nothing_to_close(void *ctx)
{
    (void)ctx;
}

static void host_failures_become_sense(void)
{
    static const struct blk_ops ops = {
        .name = "broken", .read = failing_io, .write = failing_write, .flush = failing_flush,
        .close = nothing_to_close,
    };
    const struct blk_backend be = {.ops = &ops, .size = 1 << 20};
    const struct vmk_disk_config config = {0};
    lsi_begin_as(VMK_SCSI_LSI53C1030);
    CHECK_EQ(lsilogic_attach(adapter, 0, 0, &be, &config), VMK_OK);
    lsi_up();
    clear_attention();
    fail_status = BLK_EIO;
    CHECK_EQ(SEND(FROM_DISK, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0).sense, 0x031100);
    CHECK_EQ(SEND(TO_DISK, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0).sense, 0x030c00);
    CHECK_EQ(SEND(NO_DATA, 0, 0x35).sense, 0x030c00);
    fail_status = BLK_ENOSPC;
    CHECK_EQ(SEND(TO_DISK, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0).sense, 0x072707);
    CHECK_EQ(SEND(TO_DISK, 24, 0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0).sense, 0x052000); /* not thin */
    lsi_end();
}

int main(void)
{
    RUN(inquiry_is_fixed);
    RUN(vital_product_data);
    RUN(report_luns_lists_what_is_there);
    RUN(attention_is_told_once);
    RUN(request_sense_has_the_last_error);
    RUN(sense_is_cut_to_its_buffer);
    RUN(every_form_reads_and_writes);
    RUN(length_zero);
    RUN(addresses_beyond_the_end);
    RUN(protection_fields_are_refused);
    RUN(unknown_opcodes);
    RUN(readonly_disk);
    RUN(direction_that_does_not_fit);
    RUN(capacity);
    RUN(large_disks_need_the_long_form);
    RUN(verify_compares);
    RUN(compare_and_write_is_all_or_nothing);
    RUN(compare_and_write_keeps_others_off);
    RUN(write_same_repeats_a_block);
    RUN(unmap_frees_its_ranges);
    RUN(unmap_lists_that_lie);
    RUN(unmap_of_more_than_the_limit);
    RUN(echo_buffer_gives_back);
    RUN(mode_pages);
    RUN(write_cache_can_be_switched);
    RUN(mode_lists_that_lie);
    RUN(persistent_reservations);
    RUN(host_failures_become_sense);
    return check_done();
}
