/* What a SCSI disk answers to every page number there is, and to lengths no buffer has. */
#include "check.h"
#include "lsi_rig.h"

static void begin(void)
{
    lsi_begin();
    clear_attention();
}

static void every_number_of_a_page_has_an_answer(void)
{
    begin();
    for (unsigned page = 0; page < 256; page++) /* page control and number */
        for (unsigned sub = 0; sub < 256; sub += 255) {
            struct result r = SEND(FROM_DISK, 255, 0x1a, 0, (uint8_t)page, (uint8_t)sub, 255);
            CHECK_EQ(r.context, CONTEXT);
            CHECK(r.turbo || r.scsi == 2 || r.ioc == 0x45);
            r = SEND(FROM_DISK, 255, 0x12, 1, (uint8_t)page, 0, 255);
            CHECK_EQ(r.context, CONTEXT);
        }
    CHECK(SEND(FROM_DISK, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0).turbo);
    lsi_end();
}

/* Allocation lengths of up to 4 GiB - 1, and room for 32 bytes. */
static void allocation_lengths_beyond_all_measure(void)
{
    static const uint8_t cdbs[][16] = {
        {0x12, 0, 0, 0xff, 0xff},
        {0x12, 1, 0x83, 0xff, 0xff},
        {0x5a, 0, 0x3f, 0, 0, 0, 0, 0xff, 0xff},
        {0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
        {0xa0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
        {0x5e, 0, 0, 0, 0, 0, 0, 0xff, 0xff},
        {0x3c, 0x0b, 0, 0, 0, 0, 0xff, 0xff, 0xff},
    };
    begin();
    for (unsigned i = 0; i < sizeof(cdbs) / sizeof(cdbs[0]); i++) {
        fill(DATA, 0xcc, 128);
        struct result r = scsi(0, 0, cdbs[i], 16, FROM_DISK, 32);
        CHECK_EQ(r.context, CONTEXT);
        CHECK(r.turbo || r.moved <= 32);
        CHECK_EQ(mem8(DATA + 32), 0xcc);
    }
    CHECK(SEND(FROM_DISK, 512, 0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0).turbo);
    lsi_end();
}

int main(void)
{
    RUN(every_number_of_a_page_has_an_answer);
    RUN(allocation_lengths_beyond_all_measure);
    return check_done();
}
