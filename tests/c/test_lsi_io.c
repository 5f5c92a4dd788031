/* Commands on their way through the LSI adapter: scatter-gather lists as drivers make them and as they
 * must not, limits, task management, disks that go, restores. */
#include "check.h"
#include "lsi_rig.h"

#define READ_1 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0

static unsigned ioc_state(void) { return r32(0) >> 28; }

/* ---- scatter-gather lists ---- */

static void put_simple(uint32_t at, uint32_t flags, uint32_t length, uint64_t address)
{
    set32le(at, flags | length);
    set32le(at + 4, (uint32_t)address);
    if (flags & 0x02000000)
        set32le(at + 8, (uint32_t)(address >> 32));
}

#define SIMPLE 0x10000000u
#define WIDE 0x02000000u
#define EOB 0x40000000u
#define LAST 0x80000000u
#define EOL 0x01000000u

static void mark_disk(void)
{
    clear_attention();
    for (unsigned i = 0; i < 4096; i++)
        set8(DATA + i, (uint8_t)(i / 512 + 1));
    CHECK(SEND(TO_DISK, 4096, 0x2a, 0, 0, 0, 0, 0, 0, 0, 8).turbo);
    fill(DATA, 0, 4096);
}

#define READ_8 0x28, 0, 0, 0, 0, 0, 0, 0, 8, 0

static void list_in_pieces(void)
{
    lsi_begin();
    mark_disk();
    make_io(0, 0, CDB(READ_8), 16, FROM_DISK, 4096);
    put_simple(FRAME + 0x30, SIMPLE, 100, DATA);
    put_simple(FRAME + 0x38, SIMPLE, 0, 0xffffffff); /* nothing, and not touched */
    put_simple(FRAME + 0x40, SIMPLE | WIDE, 924, DATA + 0x1000);
    put_simple(FRAME + 0x4c, SIMPLE | WIDE | EOB | LAST | EOL, 4000, DATA + 0x2000); /* longer than needed */
    CHECK(send_frame().turbo);
    CHECK_EQ(mem8(DATA + 99), 1);
    CHECK_EQ(mem8(DATA + 100), 0);
    CHECK_EQ(mem8(DATA + 0x1000 + 412), 2);
    CHECK_EQ(mem8(DATA + 0x2000), 3);
    CHECK_EQ(mem8(DATA + 0x2000 + 3071), 8);
    CHECK_EQ(mem8(DATA + 0x2000 + 3072), 0);
    lsi_end();
}

/* Two chain segments, the second named by the first. */
static void list_in_chains(void)
{
    lsi_begin();
    mark_disk();
    make_io(0, 0, CDB(READ_8), 16, FROM_DISK, 4096);
    set8(FRAME + 2, 0x38 / 4);
    put_simple(FRAME + 0x30, SIMPLE | LAST, 512, DATA);
    set32le(FRAME + 0x38, 0x30020010), set32le(FRAME + 0x3c, CHAIN);
    put_simple(CHAIN, SIMPLE | LAST, 1024, DATA + 0x1000);
    set32le(CHAIN + 8, 0x3200000c), set32le(CHAIN + 12, CHAIN + 0x100), set32le(CHAIN + 16, 0);
    set32le(FRAME + 0x38, 0x30020014);
    put_simple(CHAIN + 0x100, SIMPLE | WIDE | LAST | EOB | EOL, 2560, DATA + 0x2000);
    CHECK(send_frame().turbo);
    CHECK_EQ(mem8(DATA), 1);
    CHECK_EQ(mem8(DATA + 0x1000), 2);
    CHECK_EQ(mem8(DATA + 0x13ff), 3);
    CHECK_EQ(mem8(DATA + 0x2000), 4);
    CHECK_EQ(mem8(DATA + 0x2000 + 2559), 8);
    lsi_end();
}

static void expect_bad_list(void)
{
    struct result r = send_frame();
    CHECK_EQ(r.context, CONTEXT);
    CHECK_EQ(r.ioc, 0x0003);
    CHECK_EQ(ioc_state(), 2);
    CHECK(SEND(FROM_DISK, 512, READ_1).turbo); /* and goes on */
}

static void chain_that_names_itself(void)
{
    lsi_begin();
    clear_attention();
    make_io(0, 0, CDB(READ_8), 16, FROM_DISK, 4096);
    set8(FRAME + 2, 0x30 / 4);
    set32le(FRAME + 0x30, 0x30000010), set32le(FRAME + 0x34, CHAIN);
    set32le(CHAIN, 0x30000010), set32le(CHAIN + 4, CHAIN);
    expect_bad_list();
    lsi_end();
}

static void chain_of_empty_elements(void)
{
    lsi_begin();
    clear_attention();
    make_io(0, 0, CDB(READ_8), 16, FROM_DISK, 4096);
    set8(FRAME + 2, 0x30 / 4);
    set32le(FRAME + 0x30, 0x30010000 | 4096), set32le(FRAME + 0x34, CHAIN);
    for (unsigned i = 0; i < 510; i++)
        put_simple(CHAIN + 8 * i, SIMPLE, 0, 0);
    put_simple(CHAIN, SIMPLE | LAST, 0, 0);
    set32le(CHAIN + 4, 0);
    set32le(CHAIN + 4, 0x30010000 | 4096); /* an element that is also half of a chain */
    expect_bad_list();
    lsi_end();
}

static void chains_out_of_range(void)
{
    const uint32_t heads[] = {0x30000000, 0x3000ffff, 0x30ff0010, 0x30040010, 0x00000010, 0x20000010};
    for (unsigned i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
        lsi_begin();
        clear_attention();
        make_io(0, 0, CDB(READ_8), 16, FROM_DISK, 4096);
        set32le(FRAME + 0x30, heads[i]), set32le(FRAME + 0x34, CHAIN);
        expect_bad_list();
        lsi_end();
    }
}

static void chain_outside_memory(void)
{
    lsi_begin();
    clear_attention();
    make_io(0, 0, CDB(READ_8), 16, FROM_DISK, 4096);
    set32le(FRAME + 0x30, 0x32000010), set32le(FRAME + 0x34, 0), set32le(FRAME + 0x38, 0xffffffff);
    expect_bad_list();
    lsi_end();
}

static void list_that_ends_too_early(void)
{
    lsi_begin();
    clear_attention();
    make_io(0, 0, CDB(READ_8), 16, FROM_DISK, 4096);
    put_simple(FRAME + 0x30, SIMPLE | LAST | EOB | EOL, 4095, DATA);
    expect_bad_list();
    make_io(0, 0, CDB(READ_8), 16, FROM_DISK, 4096);
    put_simple(FRAME + 0x30, SIMPLE | LAST | EOB, 512, DATA); /* last of its segment, and no chain */
    expect_bad_list();
    lsi_end();
}

/* A command that fails once it has a slot gives it back. */
static void commands_that_fail_give_their_slots_back(void)
{
    lsi_begin();
    clear_attention();
    for (unsigned i = 0; i < 300; i++) {
        make_io(0, 0, CDB(READ_8), 16, FROM_DISK, 4096);
        put_simple(FRAME + 0x30, SIMPLE | LAST | EOB | EOL, i % 2 ? 4095 : 4096, i % 2 ? DATA : 0xfffffff0);
        CHECK_EQ(send_frame().ioc, 0x0003);
    }
    CHECK(SEND(FROM_DISK, 512, READ_1).turbo);
    lsi_end();
}

static void list_without_an_end(void)
{
    lsi_begin();
    clear_attention();
    make_io(0, 0, CDB(READ_8), 16, FROM_DISK, 4096);
    for (unsigned at = 0x30; at < 128; at += 8)
        put_simple(FRAME + at, SIMPLE, 1, DATA);
    expect_bad_list();
    lsi_end();
}

static void data_outside_memory(void)
{
    const uint64_t places[] = {0xffffffffffffff00ull, LSI_MEMORY - 100, LSI_BASE + 0x40, 0xfffffff0, 0xa0000};
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        lsi_begin();
        clear_attention();
        make_io(0, 0, CDB(READ_1), 16, FROM_DISK, 512);
        put_simple(FRAME + 0x30, SIMPLE | WIDE | LAST | EOB | EOL, 512, places[i]);
        expect_bad_list();
        make_io(0, 0, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), 16, TO_DISK, 512);
        put_simple(FRAME + 0x30, SIMPLE | WIDE | LAST | EOB | EOL, 512, places[i]);
        expect_bad_list();
        lsi_end();
    }
}

static void huge_and_zero_lengths(void)
{
    lsi_begin();
    clear_attention();
    make_io(0, 0, CDB(READ_8), 16, FROM_DISK, 0xffffffff);
    CHECK_EQ(send_frame().ioc, 0x0007);
    make_io(0, 0, CDB(READ_8), 16, FROM_DISK, 4096);
    set32le(FRAME + 0x28, 0);
    struct result r = send_frame();
    CHECK_EQ(r.ioc, 0x44); /* the CDB wants more than there is room for */
    CHECK_EQ(r.moved, 0);
    make_io(0, 0, CDB(READ_8), 16, 3, 4096); /* both ways at once */
    CHECK_EQ(send_frame().ioc, 0x0007);
    lsi_end();
}

static void less_room_than_the_cdb_asks_for(void)
{
    lsi_begin();
    mark_disk();
    struct result r = SEND(FROM_DISK, 1024, READ_8);
    CHECK_EQ(r.ioc, 0x44);
    CHECK_EQ(r.moved, 1024);
    CHECK_EQ(mem8(DATA + 1023), 2);
    r = SEND(FROM_DISK, 4096, READ_1);
    CHECK_EQ(r.ioc, 0x45);
    CHECK_EQ(r.moved, 512);
    fill(DATA, 9, 512);
    r = SEND(TO_DISK, 512, 0x2a, 0, 0, 0, 0, 0, 0, 0, 8, 0);
    CHECK_EQ(r.scsi, 2);
    CHECK_EQ(disk_byte(0), 1); /* nothing was written */
    lsi_end();
}

/* ---- many at once ---- */

static void credits_are_the_limit(void)
{
    struct result r;
    lsi_begin();
    clear_attention();
    make_io(0, 0, CDB(READ_1), 16, FROM_DISK, 512);
    for (unsigned i = 0; i < 128; i++) {
        set32le(FRAME + 8, i);
        w32(0x40, FRAME);
    }
    CHECK_EQ(r32(0x44), EMPTY);
    set32le(FRAME + 8, 999);
    w32(0x40, FRAME);
    CHECK(next_reply(&r));
    CHECK_EQ(r.context, 999);
    CHECK_EQ(r.ioc, 0x0002); /* busy */
    for (unsigned i = 0; i < 128; i++) {
        CHECK(next_reply(&r));
        CHECK_EQ(r.context, i); /* equal commands end in order */
    }
    CHECK(!next_reply(&r));
    lsi_end();
}

/* What was checked is what is used: the guest may write over frame and list at once. */
static void frames_and_lists_are_read_once(void)
{
    struct result r;
    lsi_begin();
    mark_disk();
    make_io(0, 0, CDB(READ_8), 16, FROM_DISK, 4096);
    set8(FRAME + 2, 0x38 / 4);
    put_simple(FRAME + 0x30, SIMPLE | LAST, 512, DATA);
    set32le(FRAME + 0x38, 0x30000008), set32le(FRAME + 0x3c, CHAIN);
    put_simple(CHAIN, SIMPLE | LAST | EOB | EOL, 3584, DATA + 0x1000);
    w32(0x40, FRAME);
    fill(FRAME, 0xff, 128), fill(CHAIN, 0xff, 128);
    CHECK(next_reply(&r) && r.turbo);
    CHECK_EQ(r.context, CONTEXT);
    CHECK_EQ(mem8(DATA), 1);
    CHECK_EQ(mem8(DATA + 0x1000 + 3583), 8);
    CHECK_EQ(mem8(DATA + 0x1000 + 3584), 0);
    lsi_end();
}

static void memory_in_flight_is_bounded(void)
{
    struct result r;
    unsigned full = 0, good = 0;
    lsi_begin_as(VMK_SCSI_LSI53C1030);
    attach(0, 0, 64 << 20, VMK_DISK_DISK, false);
    lsi_up();
    clear_attention();
    make_io(0, 0, CDB(0x28, 0, 0, 0, 0, 0, 0, 0x40, 0, 0), 16, FROM_DISK, 8 << 20);
    put_simple(FRAME + 0x30, SIMPLE | LAST | EOB | EOL, 8 << 20, DATA);
    for (unsigned i = 0; i < 20; i++)
        w32(0x40, FRAME);
    while (next_reply(&r)) {
        full += !r.turbo && r.scsi == 0x28;
        good += r.turbo;
    }
    CHECK_EQ(good, 8);
    CHECK_EQ(full, 12);
    lsi_end();
}

/* ---- task management ---- */

static struct result manage(uint8_t type, uint8_t target, uint32_t context)
{
    struct result r;
    fill(FRAME + 0x200, 0, 128);
    set8(FRAME + 0x200, target), set8(FRAME + 0x203, 1), set8(FRAME + 0x205, type);
    set32le(FRAME + 0x208, 0x5555);
    set32le(FRAME + 0x230, context);
    w32(0x40, FRAME + 0x200);
    next_reply(&r);
    return r;
}

static void start_read(uint32_t context)
{
    make_io(0, 0, CDB(READ_1), 16, FROM_DISK, 512);
    set32le(FRAME + 8, context);
    w32(0x40, FRAME);
}

static void abort_ends_one_command(void)
{
    struct result r;
    lsi_begin();
    clear_attention();
    start_read(1), start_read(2);
    r = manage(1, 0, 1);
    CHECK_EQ(r.context, 1); /* the command first, then the answer */
    CHECK_EQ(r.ioc, 0x48);
    CHECK(next_reply(&r));
    CHECK_EQ(r.context, 0x5555);
    CHECK_EQ(r.ioc, 0);
    CHECK_EQ(mem8(r.frame + 4), 0);
    CHECK_EQ(mem32(r.frame + 0x14), 1);
    CHECK(next_reply(&r) && r.turbo);
    CHECK_EQ(r.context, 2);
    CHECK(!next_reply(&r));
    lsi_end();
}

static void abort_of_nothing_is_answered(void)
{
    lsi_begin();
    struct result r = manage(1, 0, 77);
    CHECK_EQ(r.context, 0x5555);
    CHECK_EQ(mem32(r.frame + 0x14), 0);
    CHECK_EQ(manage(7, 0, 77).ioc, 0);
    r = manage(99, 0, 0);
    CHECK_EQ(mem8(r.frame + 4), 4); /* not supported */
    r = manage(3, 200, 0);
    CHECK_EQ(r.ioc, 0);
    lsi_end();
}

static void bus_reset_tells_every_disk(void)
{
    struct result r;
    lsi_begin();
    clear_attention();
    start_read(1);
    r = manage(4, 0, 0);
    CHECK_EQ(r.ioc, 0x48);
    CHECK(next_reply(&r) && r.context == 0x5555);
    CHECK_EQ(SEND(NO_DATA, 0, 0x00).sense, 0x062900);
    CHECK(SEND(NO_DATA, 0, 0x00).turbo);
    lsi_end();
}

/* Without a high-priority queue Linux sends it by the doorbell and takes the answer from the queue. */
static void task_management_through_the_doorbell(void)
{
    struct result r;
    lsi_begin();
    w32(0x30, 0);
    w32(0x00, 0x42000000 | 13 << 16);
    w32(0x30, 0);
    const uint32_t request[13] = {0x01000000, 0x00000400, 0x4444};
    for (unsigned i = 0; i < 13; i++)
        w32(0x00, request[i]);
    CHECK_EQ(r32(0x30) & 1, 1);
    w32(0x30, 0);
    CHECK_EQ(r32(0) >> 27 & 1, 0);
    CHECK(next_reply(&r));
    CHECK_EQ(r.context, 0x4444);
    CHECK_EQ(r.ioc, 0);
    lsi_end();
}

static void disk_pulled_under_a_command(void)
{
    struct result r;
    lsi_begin();
    clear_attention();
    start_read(1);
    CHECK_EQ(lsilogic_detach(adapter, 0, 0), VMK_OK);
    CHECK(next_reply(&r));
    CHECK_EQ(r.context, 1);
    CHECK_EQ(r.ioc, 0x43);
    CHECK_EQ(SEND(FROM_DISK, 512, READ_1).ioc, 0x43);
    CHECK_EQ(attach(0, 0, 1 << 20, VMK_DISK_DISK, false), VMK_OK);
    CHECK_EQ(SEND(FROM_DISK, 512, READ_1).sense, 0x062900);
    CHECK(SEND(FROM_DISK, 512, READ_1).turbo);
    lsi_end();
}

static void commands_in_flight_survive_a_restore(void)
{
    struct result r;
    uint64_t due;
    lsi_begin();
    mark_disk();
    start_read(11), start_read(12);
    due = rig->deadline;
    size_t size = board_state_size(rig);
    uint8_t *state = malloc(size), *again = malloc(size);
    board_state_save(rig, state);
    CHECK(next_reply(&r) && next_reply(&r));
    fill(DATA, 0, 512);
    CHECK_EQ(board_state_load(rig, state, size), VMK_OK);
    board_state_save(rig, again);
    CHECK(!memcmp(state, again, size));
    CHECK_EQ(rig->deadline, due);
    CHECK(next_reply(&r) && r.turbo);
    CHECK_EQ(r.context, 11);
    CHECK_EQ(mem8(DATA), 1);
    CHECK(next_reply(&r) && r.context == 12);
    CHECK(!next_reply(&r));
    free(state), free(again);
    lsi_end();
}

int main(void)
{
    RUN(list_in_pieces);
    RUN(list_in_chains);
    RUN(chain_that_names_itself);
    RUN(chain_of_empty_elements);
    RUN(chains_out_of_range);
    RUN(chain_outside_memory);
    RUN(list_that_ends_too_early);
    RUN(commands_that_fail_give_their_slots_back);
    RUN(list_without_an_end);
    RUN(data_outside_memory);
    RUN(huge_and_zero_lengths);
    RUN(less_room_than_the_cdb_asks_for);
    RUN(credits_are_the_limit);
    RUN(frames_and_lists_are_read_once);
    RUN(memory_in_flight_is_bounded);
    RUN(abort_ends_one_command);
    RUN(abort_of_nothing_is_answered);
    RUN(bus_reset_tells_every_disk);
    RUN(task_management_through_the_doorbell);
    RUN(disk_pulled_under_a_command);
    RUN(commands_in_flight_survive_a_restore);
    return check_done();
}
