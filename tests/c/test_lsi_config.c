/* The LSI adapter's configuration pages and the SAS1068's events. */
#include "check.h"
#include "lsi_rig.h"

/* ---- configuration pages ---- */

static unsigned config(uint8_t action, uint8_t type, uint8_t number, uint32_t address, uint32_t length)
{
    struct result r;
    fill(FRAME + 0x200, 0, 128);
    set8(FRAME + 0x200, action), set8(FRAME + 0x203, 4);
    set32le(FRAME + 0x208, 0x6666);
    set8(FRAME + 0x216, number), set8(FRAME + 0x217, type);
    set32le(FRAME + 0x218, address);
    set32le(FRAME + 0x21c, 0xd1000000 | length);
    set32le(FRAME + 0x220, DATA);
    w32(0x40, FRAME + 0x200);
    return next_reply(&r) && r.context == 0x6666 ? mem16(r.frame + 0x0e) : 0xffff;
}

static void pages_have_the_lengths_linux_copies(void)
{
    const struct {
        uint8_t type, number, dwords;
    } pages[] = {{3, 0, 3}, {3, 1, 4}, {3, 2, 19}, {4, 0, 3}, {4, 1, 4}, {1, 1, 4}, {9, 0, 19}};
    lsi_begin();
    for (unsigned i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        fill(DATA, 0xee, 256);
        CHECK_EQ(config(1, pages[i].type, pages[i].number, 0, 255), 0);
        CHECK_EQ(mem8(DATA + 1), pages[i].dwords);
        CHECK_EQ(mem8(DATA + 3) & 0xf, pages[i].type);
        CHECK_EQ(mem8(DATA + 4u * pages[i].dwords), 0xee);
    }
    lsi_end();
}

static void negotiation_is_remembered_and_agreed_to(void)
{
    lsi_begin();
    CHECK_EQ(config(1, 4, 0, 3, 12), 0);
    CHECK_EQ(mem32(DATA + 4), 0);
    set32le(DATA + 4, 0x20ff0107); /* wide, offset 255, the fastest there could be */
    set32le(DATA + 8, 0), set32le(DATA + 12, 0);
    CHECK_EQ(config(2, 4, 1, 3, 16), 0);
    CHECK_EQ(config(1, 4, 0, 3, 12), 0);
    CHECK_EQ(mem32(DATA + 4), 0x207f0807); /* what the port can */
    CHECK_EQ(config(1, 4, 0, 2, 12), 0);
    CHECK_EQ(mem32(DATA + 4), 0);
    lsi_end();
}

/* FreeBSD gives up on an adapter that lacks one of these. */
static void pages_freebsd_insists_on(void)
{
    lsi_begin();
    CHECK_EQ(config(1, 3, 1, 0, 16), 0);
    CHECK_EQ(mem8(DATA + 3) & 0xf0, 0x10);
    CHECK_EQ(mem32(DATA + 4), 0x00800007);
    for (unsigned target = 0; target < 16; target++) {
        CHECK_EQ(config(0, 4, 0, target, 0), 0);
        CHECK_EQ(config(0, 0x10 | 4, 1, target, 0), 0); /* it gives the attribute back */
    }
    CHECK_EQ(config(0, 1, 2, 0, 0), 0x22); /* no RAID */
    lsi_end();
}

/* FreeBSD sends by the request queue what Linux sends by the doorbell. */
static void start_up_through_the_request_queue(void)
{
    struct result r;
    lsi_begin();
    fill(FRAME, 0, 128);
    set8(FRAME + 3, 6);
    w32(0x40, FRAME);
    CHECK(next_reply(&r) && !r.turbo);
    CHECK_EQ(r.ioc, 0);
    set8(FRAME, 1), set8(FRAME + 3, 7);
    w32(0x40, FRAME);
    CHECK(next_reply(&r) && !r.turbo);
    CHECK_EQ(mem8(r.frame + 7), 0x80);
    CHECK_EQ(mem32(r.frame + 0x14), 0x0a);
    lsi_end();
}

static void pages_that_are_not_there(void)
{
    lsi_begin();
    CHECK_EQ(config(0, 3, 9, 0, 0), 0x22);
    CHECK_EQ(config(0, 7, 0, 0, 0), 0x21);
    CHECK_EQ(config(1, 4, 0, 16, 12), 0x22);
    CHECK_EQ(config(1, 4, 0, 0xffffffff, 12), 0x22);
    CHECK_EQ(config(9, 4, 0, 0, 12), 0x20);
    CHECK_EQ(config(2, 3, 0, 0, 12), 0x20);  /* read only */
    CHECK_EQ(config(2, 4, 1, 0, 4), 0x23);   /* too short to be one */
    CHECK_EQ(config(1, 0x0f, 0, 0, 64), 0x21); /* extended pages are the SAS adapter's */
    CHECK_EQ(config(1, 3, 0, 0, 0), 0);      /* no room: nothing is copied */
    lsi_end();
}

static void page_buffer_outside_memory(void)
{
    struct result r;
    lsi_begin();
    fill(FRAME + 0x200, 0, 128);
    set8(FRAME + 0x200, 1), set8(FRAME + 0x203, 4), set8(FRAME + 0x217, 3);
    set32le(FRAME + 0x21c, 0xd1000000 | 12);
    set32le(FRAME + 0x220, 0xfffffff8);
    w32(0x40, FRAME + 0x200);
    CHECK(next_reply(&r));
    CHECK_EQ(r.ioc, 0x0003);
    lsi_end();
}

static unsigned extended(uint8_t type, uint8_t number, uint32_t address)
{
    struct result r;
    fill(FRAME + 0x200, 0, 128);
    fill(DATA, 0, 512);
    set8(FRAME + 0x200, 1), set8(FRAME + 0x203, 4);
    set8(FRAME + 0x206, type), set8(FRAME + 0x216, number), set8(FRAME + 0x217, 0x0f);
    set32le(FRAME + 0x218, address);
    set32le(FRAME + 0x21c, 0xd1000000 | 512);
    set32le(FRAME + 0x220, DATA);
    w32(0x40, FRAME + 0x200);
    return next_reply(&r) ? mem16(r.frame + 0x0e) : 0xffff;
}

static void sas_lists_its_devices(void)
{
    lsi_begin_as(VMK_SCSI_SAS1068);
    attach(7, 0, 1 << 20, VMK_DISK_DISK, false); /* no own id here */
    attach(2, 0, 1 << 20, VMK_DISK_DISK, false);
    lsi_up();
    CHECK_EQ(extended(0x10, 0, 0), 0);
    CHECK_EQ(mem8(DATA + 0x0c), 16);
    CHECK_EQ(mem16(DATA + 0x10 + 16 * 2 + 8), 0x12);
    CHECK_EQ(extended(0x12, 0, 0x0000ffff), 0); /* the controller, then each device */
    CHECK_EQ(mem16(DATA + 0x18), 1);
    CHECK_EQ(extended(0x12, 0, 0x00000001), 0);
    CHECK_EQ(mem16(DATA + 0x18), 0x12);
    CHECK_EQ(extended(0x12, 0, 0x00000012), 0);
    CHECK_EQ(mem16(DATA + 0x18), 0x17);
    CHECK_EQ(extended(0x12, 0, 0x00000017), 0x22);
    CHECK_EQ(extended(0x12, 0, 0x10000007), 0);
    CHECK_EQ(extended(0x12, 0, 0x10000008), 0x22);
    CHECK_EQ(extended(0x12, 0, 0x2000ffff), 0x22);
    CHECK_EQ(extended(0x12, 0, 0xffffffff), 0x22);
    CHECK_EQ(extended(0x13, 0, 16), 0x22);
    CHECK_EQ(extended(0x11, 0, 0), 0x22);
    lsi_end();
}

static void sas_tells_of_disks_that_come_and_go(void)
{
    struct result r;
    const uint32_t on[3] = {0x07000001, 0, 0x8888};
    uint16_t reply[40];
    lsi_begin_as(VMK_SCSI_SAS1068);
    lsi_up();
    attach(3, 0, 1 << 20, VMK_DISK_DISK, false);
    CHECK_EQ(r32(0x44), EMPTY); /* nobody asked */
    CHECK_EQ(handshake(on, 3, reply, 40), 16);
    attach(4, 0, 1 << 20, VMK_DISK_DISK, false);
    CHECK(next_reply(&r));
    CHECK_EQ(r.context, 0x8888);
    CHECK_EQ(mem32(r.frame + 0x14), 0x12);
    CHECK(next_reply(&r));
    CHECK_EQ(mem32(r.frame + 0x14), 0x0f);
    CHECK_EQ(mem8(r.frame + 0x1c), 4);
    CHECK_EQ(mem8(r.frame + 0x1e), 3);
    lsilogic_detach(adapter, 4, 0);
    CHECK(next_reply(&r) && next_reply(&r));
    CHECK_EQ(mem8(r.frame + 0x1e), 4);
    lsi_end();
}

static void event_without_a_frame_is_missed(void)
{
    const uint32_t on[3] = {0x07000001, 0, 0x8888};
    uint16_t reply[40];
    lsi_begin_as(VMK_SCSI_SAS1068);
    ioc_init(128);
    CHECK_EQ(handshake(on, 3, reply, 40), 16);
    attach(4, 0, 1 << 20, VMK_DISK_DISK, false);
    CHECK_EQ(r32(0) >> 28, 2); /* no fault */
    CHECK_EQ(r32(0x44), EMPTY);
    lsi_end();
}

int main(void)
{
    RUN(pages_have_the_lengths_linux_copies);
    RUN(negotiation_is_remembered_and_agreed_to);
    RUN(pages_freebsd_insists_on);
    RUN(start_up_through_the_request_queue);
    RUN(pages_that_are_not_there);
    RUN(event_without_a_frame_is_missed);
    RUN(page_buffer_outside_memory);
    RUN(sas_lists_its_devices);
    RUN(sas_tells_of_disks_that_come_and_go);
    return check_done();
}
