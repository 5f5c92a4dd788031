/* The two scan code sets a PC keyboard speaks, and the controller's translation between them. */
#ifndef VMK_DEV_SCANCODES_H
#define VMK_DEV_SCANCODES_H

#include <stdint.h>

#define SET2_BREAK 0xf0 /* precedes the code of a released key */
#define SET1_BREAK 0x80 /* or-ed to the code of a released key */

/* The set 2 code of a set 1 make code (0 to 0x7f); 0 for a code no key has. */
uint8_t scancode_to_set2(uint8_t set1);

/* What the controller makes of a byte from a set 2 keyboard, break prefix aside. Bytes that are not key
 * codes (answers, E0) pass. */
uint8_t scancode_to_set1(uint8_t set2);

#endif
