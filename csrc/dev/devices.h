/* The one table of chips on the board. */
#ifndef VMK_DEV_DEVICES_H
#define VMK_DEV_DEVICES_H

struct board;

/* Adds every chip in table order: a chip may look up those before it. 0, or a negative vmk_error with
 * board->error set. */
int devices_build(struct board *b);

#endif
