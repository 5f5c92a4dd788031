/* The LSI adapter's registers, handshake, resets, queues and addresses, and what a hostile or broken
 * driver may do to them. */
#include "check.h"
#include "lsi_rig.h"

#define READ_1 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0

static unsigned ioc_state(void) { return r32(0) >> 28; }

/* ---- identity ---- */

static void pci_identity(void)
{
    lsi_begin();
    CHECK_EQ(config_read(0x10, 0x00), 0x00301000);
    CHECK_EQ(config_read(0x10, 0x2c), 0x197615ad);
    CHECK_EQ(config_read(0x10, 0x08) >> 8, 0x010000);
    CHECK_EQ(config_read(0x10, 0x3c) >> 8 & 0xff, 1);
    CHECK_EQ(config_read(0x10, 0x98) & 0xff, 5); /* MSI */
    CHECK_EQ(bus_port_read(rig, LSI_PORTS, 4), r32(0)); /* both BARs show the same registers */
    lsi_end();
}

static void odd_accesses_do_nothing(void)
{
    lsi_begin();
    bus_mmio_write(rig, LSI_BASE, 1, 0x40);
    bus_mmio_write(rig, LSI_BASE + 2, 4, 0x40000000);
    CHECK_EQ(ioc_state(), 2);
    CHECK_EQ(bus_mmio_read(rig, LSI_BASE + 0x34, 1), 1);
    CHECK_EQ(bus_mmio_read(rig, LSI_BASE + 0x44, 2), 0); /* takes no reply away */
    CHECK_EQ(bus_mmio_read(rig, LSI_BASE + 0x8000, 4), 0);
    bus_mmio_write(rig, LSI_BASE + 0x1fffc, 4, 1);
    lsi_end();
}

/* ---- handshake ---- */

static void facts_are_what_drivers_divide_by(void)
{
    const uint32_t request[3] = {0x03000000, 0, 0x55};
    uint16_t reply[40] = {0};
    lsi_begin();
    CHECK_EQ(handshake(request, 3, reply, 40), 30);
    CHECK_EQ(reply[0], 0x0102);
    CHECK_EQ(reply[0x14 / 2] >> 8, 4);             /* WhoInit: the host driver */
    CHECK(reply[0x16 / 2] & 0xff);                 /* block size */
    CHECK_EQ(reply[0x1a / 2], 32);                 /* dwords of a request frame */
    CHECK_EQ(reply[0x24 / 2], 128);                /* credits */
    CHECK_EQ(reply[0x26 / 2] & 0xff, 1);           /* ports */
    CHECK_EQ(reply[0x2c / 2], 128);                /* reply frame, as in IOC_INIT */
    lsi_end();
}

static void port_facts_name_the_adapters_own_id(void)
{
    const uint32_t request[3] = {0x05000000, 0, 0};
    uint16_t reply[40] = {0};
    lsi_begin();
    CHECK_EQ(handshake(request, 3, reply, 40), 20);
    CHECK_EQ(reply[0x14 / 2] >> 8, 1);
    CHECK_EQ(reply[0x16 / 2], 16);
    CHECK_EQ(reply[0x18 / 2], 7);
    lsi_end();
}

/* SeaBIOS writes header and request in a row and reads the reply in a row. */
static void handshake_without_polling(void)
{
    const uint32_t request[6] = {0x02000002, 0x00010800, 0x99, 4, 0, 0};
    uint16_t reply[10];
    lsi_begin();
    w32(0x00, 0x40000000), w32(0x34, 9), w32(0x30, 0);
    w32(0x00, 0x42060000);
    for (unsigned i = 0; i < 6; i++)
        bus_port_write(rig, LSI_PORTS, 4, request[i]);
    for (unsigned i = 0; i < 10; i++)
        reply[i] = (uint16_t)bus_port_read(rig, LSI_PORTS, 4);
    w32(0x30, 0);
    CHECK_EQ(reply[1] & 0xff, 5);
    CHECK_EQ(reply[7], 0);
    CHECK_EQ(ioc_state(), 2);
    CHECK_EQ(r32(0) >> 27 & 1, 0);
    lsi_end();
}

static void handshake_of_bad_length_is_ignored(void)
{
    lsi_begin();
    w32(0x30, 0);
    w32(0x00, 0x42000000);              /* none */
    CHECK_EQ(r32(0) >> 27 & 1, 0);
    w32(0x00, 0x42000000 | 65 << 16);   /* more than there is room for */
    CHECK_EQ(r32(0) >> 27 & 1, 0);
    w32(0x00, 0x42000000 | 255 << 16);
    CHECK_EQ(r32(0) >> 27 & 1, 0);
    lsi_end();
}

static void longest_handshake_fits(void)
{
    uint32_t request[64] = {0x03000000};
    uint16_t reply[40];
    lsi_begin();
    CHECK_EQ(handshake(request, 64, reply, 40), 30);
    lsi_end();
}

static void writes_and_reads_beyond_the_reply_do_nothing(void)
{
    lsi_begin();
    w32(0x30, 0);
    w32(0x00, 0x42000000 | 3 << 16);
    w32(0x00, 0x03000000), w32(0x00, 0), w32(0x00, 0);
    for (unsigned i = 0; i < 20; i++)
        w32(0x00, 0x12345678); /* extra words */
    for (unsigned i = 0; i < 30; i++)
        r32(0x00);
    for (unsigned i = 0; i < 100; i++)
        CHECK_EQ(r32(0x00) & 0xffff, 0);
    w32(0x30, 0);
    CHECK_EQ(r32(0) >> 27 & 1, 0);
    lsi_end();
}

static void unknown_function_is_answered(void)
{
    const uint32_t request[3] = {0x7f000000, 0, 0};
    uint16_t reply[40] = {0};
    lsi_begin();
    CHECK_EQ(handshake(request, 3, reply, 40), 10);
    CHECK_EQ(reply[7], 0x0001);
    const uint32_t io[16] = {0};
    CHECK_EQ(handshake(io, 16, reply, 40), 10); /* SCSI I/O has no place here */
    CHECK_EQ(reply[7], 0x0001);
    CHECK_EQ(ioc_state(), 2);
    lsi_end();
}

/* ---- resets ---- */

static void open_diagnostics(void)
{
    static const uint8_t keys[] = {0xf, 4, 0xb, 2, 7, 0xd};
    for (unsigned i = 0; i < sizeof(keys); i++)
        w32(0x04, keys[i]);
}

static void diagnostic_register_needs_its_keys(void)
{
    lsi_begin();
    w32(0x08, 4);
    CHECK_EQ(ioc_state(), 2); /* no keys, no reset */
    w32(0x04, 4), w32(0x04, 0xb), w32(0x04, 2), w32(0x04, 0xd);
    CHECK_EQ(r32(8) & 0x80, 0);
    open_diagnostics();
    CHECK_EQ(r32(8) & 0x80, 0x80);
    w32(0x04, 0xf);
    CHECK_EQ(r32(8) & 0x80, 0);
    lsi_end();
}

/* Linux's hard reset, step by step. */
static void hard_reset_as_linux_does_it(void)
{
    lsi_begin();
    open_diagnostics();
    w32(0x08, r32(8) | 2);
    w32(0x08, r32(8) | 4);
    CHECK_EQ(ioc_state(), 1);
    CHECK_EQ(r32(0x34), 9);
    open_diagnostics();
    CHECK_EQ(r32(8) & 0x80, 0x80);
    CHECK(r32(8) & 0x20);
    w32(0x08, r32(8) & ~0x20u);
    CHECK_EQ(r32(8) & 0x20, 0);
    w32(0x04, 0xffffffff);
    CHECK_EQ(r32(8) & (0x80 | 0x40 | 4 | 2), 0);
    lsi_up();
    CHECK_EQ(ioc_state(), 2);
    lsi_end();
}

static void message_unit_reset_forgets_everything(void)
{
    struct result r;
    lsi_begin();
    clear_attention();
    make_io(0, 0, CDB(READ_1), 16, FROM_DISK, 512);
    w32(0x40, FRAME);
    w32(0x34, 5);
    w32(0x00, 0x40000000);
    CHECK_EQ(ioc_state(), 1);
    CHECK_EQ(r32(0x30), 0);
    CHECK_EQ(r32(0x34), 5);
    CHECK_EQ(r32(0x44), EMPTY);
    rig_advance(SECOND); /* the command's end comes to nobody */
    CHECK_EQ(r32(0x44), EMPTY);
    lsi_up();
    r = SEND(FROM_DISK, 512, READ_1);
    CHECK(r.turbo && r.context == CONTEXT);
    lsi_end();
}

static void reset_during_a_handshake(void)
{
    lsi_begin();
    w32(0x00, 0x42000000 | 3 << 16);
    w32(0x00, 0x40000000); /* a word of the request, not a reset */
    CHECK_EQ(r32(0) >> 27 & 1, 1);
    open_diagnostics();
    w32(0x08, 4);
    CHECK_EQ(r32(0) >> 27 & 1, 0);
    CHECK_EQ(ioc_state(), 1);
    lsi_end();
}

/* ---- queues ---- */

static void interrupt_follows_the_reply_queue(void)
{
    lsi_begin();
    CHECK(!rig_line(11));
    make_io(0, 0, CDB(0x00), 6, NO_DATA, 0);
    w32(0x40, FRAME);
    CHECK(rig_line(11));
    CHECK_EQ(r32(0x30) & 8, 8);
    CHECK(r32(0x44) != EMPTY);
    CHECK(rig_line(11)); /* until the queue was seen empty */
    CHECK_EQ(r32(0x44), EMPTY);
    CHECK(!rig_line(11));
    w32(0x34, 9);
    w32(0x40, FRAME);
    CHECK(!rig_line(11));
    CHECK_EQ(r32(0x30) & 8, 8); /* the status does not depend on the mask */
    lsi_end();
}

static void request_while_not_operational_is_a_fault(void)
{
    lsi_begin();
    w32(0x00, 0x40000000);
    make_io(0, 0, CDB(0x00), 6, NO_DATA, 0);
    for (unsigned i = 0; i < 1000; i++)
        w32(0x40, FRAME);
    CHECK_EQ(ioc_state(), 4);
    CHECK(r32(0) & 0xffff);
    w32(0x00, 0x40000000);
    CHECK_EQ(ioc_state(), 1);
    lsi_end();
}

static void request_outside_memory_is_a_fault(void)
{
    const uint32_t places[] = {0xfffffff0, LSI_MEMORY - 4, (uint32_t)LSI_BASE, 0xa0000};
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        lsi_begin();
        w32(0x40, places[i]);
        CHECK_EQ(ioc_state(), 4);
        lsi_end();
    }
}

static void request_without_bus_mastering_is_a_fault(void)
{
    lsi_begin();
    config_write(0x10, 0x04, 3);
    make_io(0, 0, CDB(0x00), 6, NO_DATA, 0);
    w32(0x40, FRAME);
    CHECK_EQ(ioc_state(), 4);
    lsi_end();
}

static void reply_queue_overflow_is_a_fault(void)
{
    lsi_begin();
    clear_attention();
    make_io(0, 0, CDB(0x00), 6, NO_DATA, 0);
    for (unsigned i = 0; i < 255; i++)
        w32(0x40, FRAME);
    CHECK_EQ(ioc_state(), 2);
    for (unsigned i = 0; i < 1000; i++)
        w32(0x40, FRAME);
    CHECK_EQ(ioc_state(), 4);
    CHECK_EQ(r32(0) & 0xffff, 6);
    lsi_end();
}

static void no_reply_frame_is_a_fault(void)
{
    lsi_begin_as(VMK_SCSI_LSI53C1030);
    w32(0x00, 0x40000000);
    ioc_init(128);
    make_io(5, 0, CDB(0x00), 6, NO_DATA, 0); /* nobody there: that needs a frame */
    w32(0x40, FRAME);
    CHECK_EQ(ioc_state(), 4);
    CHECK_EQ(r32(0) & 0xffff, 6);
    lsi_end();
}

static void reply_frames_overflow_is_a_fault(void)
{
    lsi_begin();
    for (unsigned i = 0; i < 1000; i++)
        w32(0x44, REPLIES);
    CHECK_EQ(ioc_state(), 4);
    lsi_end();
}

static void reply_frame_outside_memory_is_a_fault(void)
{
    lsi_begin_as(VMK_SCSI_LSI53C1030);
    w32(0x00, 0x40000000);
    ioc_init(128);
    w32(0x44, 0xfffffff0);
    make_io(5, 0, CDB(0x00), 6, NO_DATA, 0);
    w32(0x40, FRAME);
    CHECK_EQ(ioc_state(), 4);
    lsi_end();
}

/* SeaBIOS has four bytes for a reply. */
static void replies_are_cut_to_the_hosts_frame(void)
{
    lsi_begin_as(VMK_SCSI_LSI53C1030);
    w32(0x00, 0x40000000);
    ioc_init(4);
    fill(REPLIES, 0xee, 128);
    w32(0x44, REPLIES);
    make_io(5, 0, CDB(0x00), 6, NO_DATA, 0);
    w32(0x40, FRAME);
    CHECK_EQ(r32(0x44), 0x80000000 | REPLIES >> 1);
    CHECK_EQ(mem8(REPLIES), 5);
    CHECK_EQ(mem8(REPLIES + 4), 0xee);
    lsi_end();
}

static void reply_frame_size_of_zero_is_accepted(void)
{
    struct result r;
    lsi_begin_as(VMK_SCSI_LSI53C1030);
    w32(0x00, 0x40000000);
    CHECK_EQ(ioc_init(0), 0);
    fill(REPLIES, 0xee, 128);
    w32(0x44, REPLIES);
    make_io(5, 0, CDB(0x00), 6, NO_DATA, 0);
    w32(0x40, FRAME);
    CHECK(next_reply(&r) && !r.turbo);
    CHECK_EQ(mem8(REPLIES), 0xee);
    lsi_end();
}

static void context_with_its_top_bit_set_gets_an_address_reply(void)
{
    lsi_begin();
    clear_attention();
    make_io(0, 0, CDB(0x00), 6, NO_DATA, 0);
    set32le(FRAME + 8, 0x7fffffff);
    struct result r = send_frame();
    CHECK(r.turbo);
    CHECK_EQ(r.context, 0x7fffffff);
    set32le(FRAME + 8, 0x80000001);
    r = send_frame();
    CHECK(!r.turbo);
    CHECK_EQ(r.context, 0x80000001);
    CHECK_EQ(r.ioc, 0);
    lsi_end();
}

/* SeaBIOS aligns its frames to four bytes. */
static void frames_need_four_byte_alignment_only(void)
{
    uint8_t frame[128];
    struct result r;
    lsi_begin();
    clear_attention();
    make_io(0, 0, CDB(READ_1), 16, FROM_DISK, 512);
    ram_read(rig, FRAME, frame, sizeof(frame));
    ram_write(rig, FRAME + 4, frame, sizeof(frame));
    w32(0x40, FRAME + 4 + 3);
    CHECK(next_reply(&r) && r.turbo);
    lsi_end();
}

/* ---- addresses ---- */

static void targets_that_are_not_there(void)
{
    lsi_begin();
    struct result r = scsi(1, 0, CDB(0x12, 0, 0, 0, 36), 6, FROM_DISK, 36);
    CHECK_EQ(r.ioc, 0x43);
    r = scsi(16, 0, CDB(0x12, 0, 0, 0, 36), 6, FROM_DISK, 36);
    CHECK_EQ(r.ioc, 0x42);
    r = scsi(255, 0, CDB(0x12, 0, 0, 0, 36), 6, FROM_DISK, 36);
    CHECK_EQ(r.ioc, 0x42);
    make_io(0, 0, CDB(0x00), 6, NO_DATA, 0);
    set8(FRAME + 1, 1);
    CHECK_EQ(send_frame().ioc, 0x41);
    lsi_end();
}

static void luns_that_are_not_there(void)
{
    lsi_begin();
    struct result r = scsi(0, 3, CDB(0x12, 0, 0, 0, 36), 6, FROM_DISK, 36);
    CHECK(r.turbo);
    CHECK_EQ(mem8(DATA), 0x7f);
    r = scsi(0, 3, CDB(0x00), 6, NO_DATA, 0);
    CHECK_EQ(r.sense, 0x052500);
    r = scsi(0, 200, CDB(0x00), 6, NO_DATA, 0);
    CHECK_EQ(r.sense, 0x052500);
    make_io(0, 0, CDB(0x00), 6, NO_DATA, 0);
    set8(FRAME + 0x0c, 0x40); /* another way of addressing */
    CHECK_EQ(send_frame().sense, 0x052500);
    make_io(0, 0, CDB(0x00), 6, NO_DATA, 0);
    set8(FRAME + 0x0f, 1);    /* a second level */
    CHECK_EQ(send_frame().sense, 0x052500);
    lsi_end();
}

static void places_are_checked(void)
{
    lsi_begin();
    CHECK_EQ(attach(7, 0, 512, VMK_DISK_DISK, false), VMK_EINVAL);
    CHECK_EQ(attach(16, 0, 512, VMK_DISK_DISK, false), VMK_EINVAL);
    CHECK_EQ(attach(0, 8, 512, VMK_DISK_DISK, false), VMK_EINVAL);
    CHECK_EQ(attach(0, 0, 512, VMK_DISK_DISK, false), VMK_EINVAL);
    CHECK_EQ(attach(1, 0, 512, VMK_DISK_CDROM, false), VMK_EINVAL); /* not one block */
    CHECK_EQ(attach(0, 1, 512, VMK_DISK_DISK, false), VMK_OK);
    CHECK_EQ(lsilogic_detach(adapter, 5, 0), VMK_EINVAL);
    CHECK_EQ(lsilogic_detach(adapter, 0, 1), VMK_OK);
    CHECK_EQ(lsilogic_detach(adapter, 0, 1), VMK_EINVAL);
    lsi_end();
}

int main(void)
{
    RUN(pci_identity);
    RUN(facts_are_what_drivers_divide_by);
    RUN(port_facts_name_the_adapters_own_id);
    RUN(handshake_without_polling);
    RUN(handshake_of_bad_length_is_ignored);
    RUN(longest_handshake_fits);
    RUN(writes_and_reads_beyond_the_reply_do_nothing);
    RUN(unknown_function_is_answered);
    RUN(diagnostic_register_needs_its_keys);
    RUN(hard_reset_as_linux_does_it);
    RUN(message_unit_reset_forgets_everything);
    RUN(reset_during_a_handshake);
    RUN(interrupt_follows_the_reply_queue);
    RUN(request_while_not_operational_is_a_fault);
    RUN(request_outside_memory_is_a_fault);
    RUN(request_without_bus_mastering_is_a_fault);
    RUN(reply_queue_overflow_is_a_fault);
    RUN(no_reply_frame_is_a_fault);
    RUN(reply_frames_overflow_is_a_fault);
    RUN(reply_frame_outside_memory_is_a_fault);
    RUN(replies_are_cut_to_the_hosts_frame);
    RUN(reply_frame_size_of_zero_is_accepted);
    RUN(context_with_its_top_bit_set_gets_an_address_reply);
    RUN(frames_need_four_byte_alignment_only);
    RUN(targets_that_are_not_there);
    RUN(luns_that_are_not_there);
    RUN(places_are_checked);
    RUN(odd_accesses_do_nothing);
    return check_done();
}
