/* The two 8259A: IRQs at vectors 0x20 to 0x2f, all masked until asked for. */
#pragma once
#include <stdint.h>

enum { IRQ_BASE = 0x20, IRQ_TIMER = 0 };

void pic_init(void);
void pic_unmask(unsigned irq);
void pic_mask_all(void);
void pic_eoi(void); /* non-specific, master only: for IRQ 0 to 7 */

/* PIT channel 0 (8254), 1.193182 MHz: an interrupt every `divisor` ticks, or one after `count` ticks. */
void pit_periodic(uint16_t divisor);
void pit_one_shot(uint16_t count);
