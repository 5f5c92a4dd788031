/*
 * 8259A pair and 8254 channel 0, as far as guests need a source of interrupts (Intel data sheets 231468,
 * 231164).
 */
#include "pic.h"

#include "io.h"

enum { MASTER = 0x20, SLAVE = 0xa0, ICW1_INIT_ICW4 = 0x11, ICW4_8086 = 0x01, EOI = 0x20 };
enum { PIT_CHANNEL0 = 0x40, PIT_COMMAND = 0x43, RATE_GENERATOR = 0x34, TERMINAL_COUNT = 0x30 };

void pic_init(void)
{
    outb(MASTER, ICW1_INIT_ICW4);
    outb(SLAVE, ICW1_INIT_ICW4);
    outb(MASTER + 1, IRQ_BASE);
    outb(SLAVE + 1, IRQ_BASE + 8);
    outb(MASTER + 1, 1 << 2);
    outb(SLAVE + 1, 2);
    outb(MASTER + 1, ICW4_8086);
    outb(SLAVE + 1, ICW4_8086);
    pic_mask_all();
}

void pic_mask_all(void)
{
    outb(MASTER + 1, 0xff);
    outb(SLAVE + 1, 0xff);
}

void pic_unmask(unsigned irq)
{
    outb(MASTER + 1, inb(MASTER + 1) & (uint8_t)~(1u << irq));
}

void pic_eoi(void)
{
    outb(MASTER, EOI);
}

static void pit_load(uint8_t command, uint16_t count)
{
    outb(PIT_COMMAND, command);
    outb(PIT_CHANNEL0, (uint8_t)count);
    outb(PIT_CHANNEL0, (uint8_t)(count >> 8));
}

void pit_periodic(uint16_t divisor)
{
    pit_load(RATE_GENERATOR, divisor);
}

void pit_one_shot(uint16_t count)
{
    pit_load(TERMINAL_COUNT, count);
}
