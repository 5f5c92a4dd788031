/* What other chips may ask of the 8259A pair: io/irq.c drives its lines and acknowledges for the CPU. */
#ifndef VMK_DEV_PIC_H
#define VMK_DEV_PIC_H

#include <stdbool.h>

#include "core/dev.h"

extern const struct dev_class pic_class;

/* Input IR0..IR15 changes level. IR2 is the cascade: it carries no line and is ignored. */
void pic_line(struct dev *d, unsigned irq, bool level);

/* The INT pin of the first chip. */
bool pic_output(const struct dev *d);

/* One INTA sequence: the vector. If the request has gone the pair answers with its spurious vector (IR7),
 * as hardware does. */
int pic_ack(struct dev *d);

#endif
