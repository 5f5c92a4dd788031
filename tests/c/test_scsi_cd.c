/* The CD-ROM drive: what firmware and kernels ask of a disc, and of a drive without one. */
#include "check.h"
#include "lsi_rig.h"

#define BLOCKS 100u

static uint32_t be(uint64_t gpa, unsigned n)
{
    uint32_t v = 0;
    for (unsigned i = 0; i < n; i++)
        v = v << 8 | mem8(gpa + i);
    return v;
}

static void begin(void)
{
    lsi_begin_as(VMK_SCSI_LSI53C1030);
    attach(0, 0, BLOCKS * 2048, VMK_DISK_CDROM, true);
    uint8_t *bytes = blk_info(lsilogic_disk(adapter, 0, 0))->ctx;
    for (unsigned i = 0; i < BLOCKS; i++)
        bytes[2048 * i] = (uint8_t)i;
    lsi_up();
    clear_attention();
}

static struct result insert(uint64_t size)
{
    struct blk_backend be;
    if (size)
        blk_ramdisk(&be, NULL, size, true);
    CHECK_EQ(lsilogic_insert(adapter, 0, 0, size ? &be : NULL), VMK_OK);
    return SEND(NO_DATA, 0, 0x00);
}

static void inquiry_and_capacity(void)
{
    begin();
    CHECK(SEND(FROM_DISK, 36, 0x12, 0, 0, 0, 36).turbo);
    CHECK_EQ(be(DATA, 2), 0x0580);
    CHECK(SEND(FROM_DISK, 8, 0x25).turbo);
    CHECK_EQ(be(DATA, 4), BLOCKS - 1);
    CHECK_EQ(be(DATA + 4, 4), 2048);
    lsi_end();
}

static void reading_blocks_of_2048(void)
{
    begin();
    CHECK(SEND(FROM_DISK, 4096, 0x28, 0, 0, 0, 0, 17, 0, 0, 2, 0).turbo);
    CHECK_EQ(mem8(DATA), 17);
    CHECK_EQ(mem8(DATA + 2048), 18);
    CHECK(SEND(FROM_DISK, 2048, 0xbe, 0, 0, 0, 0, 5, 0, 0, 1, 0x10).turbo);
    CHECK_EQ(mem8(DATA), 5);
    CHECK_EQ(SEND(FROM_DISK, 2352, 0xbe, 0, 0, 0, 0, 5, 0, 0, 1, 0xf8).sense, 0x052400); /* raw */
    CHECK_EQ(SEND(FROM_DISK, 2048, 0x28, 0, 0, 0, 0, BLOCKS, 0, 0, 1, 0).sense, 0x052100);
    CHECK_EQ(SEND(FROM_DISK, 2048, 0x28, 0, 255, 255, 255, 255, 0, 0, 1, 0).sense, 0x052100);
    CHECK_EQ(SEND(FROM_DISK, 2048, 0xbe, 0, 255, 255, 255, 255, 255, 255, 255, 0x10).sense, 0x052100);
    CHECK_EQ(SEND(TO_DISK, 2048, 0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0).sense, 0x052000);
    lsi_end();
}

static void the_odd_end_of_an_image_is_no_block(void)
{
    lsi_begin_as(VMK_SCSI_LSI53C1030);
    attach(0, 0, BLOCKS * 2048 + 512, VMK_DISK_CDROM, true);
    lsi_up();
    clear_attention();
    CHECK(SEND(FROM_DISK, 8, 0x25).turbo);
    CHECK_EQ(be(DATA, 4), BLOCKS - 1);
    CHECK(SEND(FROM_DISK, 2048, 0x28, 0, 0, 0, 0, BLOCKS - 1, 0, 0, 1, 0).turbo);
    CHECK_EQ(SEND(FROM_DISK, 2048, 0x28, 0, 0, 0, 0, BLOCKS, 0, 0, 1, 0).sense, 0x052100);
    CHECK_EQ(SEND(FROM_DISK, 4096, 0xa8, 0, 0, 0, 0, BLOCKS - 1, 0, 0, 0, 2).sense, 0x052100);
    lsi_end();
}

static void table_of_contents(void)
{
    begin();
    CHECK(SEND(FROM_DISK, 20, 0x43, 0, 0, 0, 0, 0, 0, 0, 20, 0).turbo);
    CHECK_EQ(be(DATA, 4), 0x00120101);
    CHECK_EQ(be(DATA + 4, 4), 0x00140100);
    CHECK_EQ(be(DATA + 12, 4), 0x0014aa00);
    CHECK_EQ(be(DATA + 16, 4), BLOCKS);
    CHECK(SEND(FROM_DISK, 20, 0x43, 2, 0, 0, 0, 0, 0, 0, 20, 0).turbo); /* minutes, seconds, frames */
    CHECK_EQ(be(DATA + 8, 4), 0x00000200);
    CHECK_EQ(be(DATA + 16, 4), 0x00000319);
    CHECK(SEND(FROM_DISK, 12, 0x43, 0, 1, 0, 0, 0, 0, 0, 12, 0).turbo);
    CHECK_EQ(be(DATA, 4), 0x000a0101);
    CHECK(SEND(FROM_DISK, 48, 0x43, 0, 2, 0, 0, 0, 0, 0, 48, 0).turbo);
    CHECK_EQ(be(DATA, 2), 46);
    CHECK_EQ(SEND(FROM_DISK, 12, 0x43, 0, 0, 0, 0, 0, 50, 0, 12, 0).sense, 0x052400); /* track 50 */
    CHECK_EQ(SEND(FROM_DISK, 12, 0x43, 0, 5, 0, 0, 0, 0, 0, 12, 0).sense, 0x052400);
    lsi_end();
}

static void drive_without_a_disc(void)
{
    begin();
    CHECK_EQ(insert(0).sense, 0x023a00);
    CHECK_EQ(SEND(FROM_DISK, 8, 0x25).sense, 0x023a00);
    CHECK_EQ(SEND(FROM_DISK, 2048, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0).sense, 0x023a00);
    CHECK_EQ(SEND(FROM_DISK, 20, 0x43, 0, 0, 0, 0, 0, 0, 0, 20, 0).sense, 0x023a00);
    CHECK(SEND(FROM_DISK, 36, 0x12, 0, 0, 0, 36).turbo);
    CHECK(SEND(FROM_DISK, 255, 0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 255, 0).turbo);
    CHECK(SEND(FROM_DISK, 64, 0x46, 0, 0, 0, 0, 0, 0, 0, 64, 0).turbo);
    CHECK_EQ(be(DATA + 6, 2), 0); /* no profile is current */
    lsi_end();
}

static void another_disc(void)
{
    begin();
    CHECK_EQ(insert(4096).sense, 0x062800);
    CHECK(SEND(FROM_DISK, 8, 0x25).turbo);
    CHECK_EQ(be(DATA, 4), 1);
    CHECK(SEND(FROM_DISK, 8, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0).turbo);
    CHECK_EQ(be(DATA + 4, 2), 0x0202); /* new medium, and there is one */
    CHECK(SEND(FROM_DISK, 8, 0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0).turbo);
    CHECK_EQ(be(DATA + 4, 2), 0x0002);
    CHECK_EQ(SEND(FROM_DISK, 8, 0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8, 0).sense, 0x052400);
    lsi_end();
}

static void tray_and_lock(void)
{
    begin();
    CHECK(SEND(NO_DATA, 0, 0x1e, 0, 0, 0, 1).turbo);
    CHECK_EQ(SEND(NO_DATA, 0, 0x1b, 0, 0, 0, 2).sense, 0x055302);
    CHECK(SEND(NO_DATA, 0, 0x1e).turbo);
    CHECK(SEND(NO_DATA, 0, 0x1b, 0, 0, 0, 2).turbo);
    CHECK_EQ(SEND(NO_DATA, 0, 0x00).sense, 0x023a02);
    CHECK(SEND(FROM_DISK, 8, 0xbd, 0, 0, 0, 0, 0, 0, 0, 8).turbo);
    CHECK_EQ(mem8(DATA + 1) & 0x10, 0x10);
    CHECK(SEND(NO_DATA, 0, 0x1b, 0, 0, 0, 3).turbo);
    CHECK_EQ(SEND(NO_DATA, 0, 0x00).sense, 0x062800);
    CHECK(SEND(NO_DATA, 0, 0x00).turbo);
    lsi_end();
}

static void configuration_names_the_profile(void)
{
    begin();
    CHECK(SEND(FROM_DISK, 64, 0x46, 0, 0, 0, 0, 0, 0, 0, 64, 0).turbo);
    CHECK_EQ(be(DATA + 6, 2), 0x0008);
    CHECK(SEND(FROM_DISK, 64, 0x46, 2, 0, 3, 0, 0, 0, 0, 64, 0).turbo); /* one feature */
    CHECK_EQ(be(DATA, 4), 12);
    CHECK_EQ(be(DATA + 8, 2), 3);
    CHECK_EQ(insert(2ull << 30).sense, 0x062800);
    CHECK(SEND(FROM_DISK, 64, 0x46, 0, 0, 0, 0, 0, 0, 0, 64, 0).turbo);
    CHECK_EQ(be(DATA + 6, 2), 0x0010);
    CHECK_EQ(SEND(FROM_DISK, 64, 0xad, 0, 0, 0, 0, 0, 0, 0, 64).sense, 0x053000);
    lsi_end();
}

static void disc_and_track_information(void)
{
    begin();
    CHECK(SEND(FROM_DISK, 34, 0x51, 0, 0, 0, 0, 0, 0, 0, 34, 0).turbo);
    CHECK_EQ(be(DATA, 4), 0x00200e01);
    CHECK(SEND(FROM_DISK, 36, 0x52, 0, 0, 0, 0, 1, 0, 0, 36, 0).turbo);
    CHECK_EQ(be(DATA + 24, 4), BLOCKS);
    lsi_end();
}

int main(void)
{
    RUN(inquiry_and_capacity);
    RUN(reading_blocks_of_2048);
    RUN(the_odd_end_of_an_image_is_no_block);
    RUN(table_of_contents);
    RUN(drive_without_a_disc);
    RUN(another_disc);
    RUN(tray_and_lock);
    RUN(configuration_names_the_profile);
    RUN(disc_and_track_information);
    return check_done();
}
