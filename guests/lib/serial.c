/*
 * COM1 polled: 16550 UART at 0x3f8 (PC16550D data sheet, section 8), transmitter only.
 * The line settings stay as reset or firmware left them: in a virtual machine the baud rate carries nothing.
 * Leaves out reception, FIFOs and interrupts.
 */
#include "serial.h"

#include "io.h"

enum { COM1 = 0x3f8, LINE_STATUS = 5, THR_EMPTY = 0x20 };
enum { POLLS = 100000 }; /* a UART that never drains must not hang the guest before it can say what failed */

void print_char(char c)
{
    for (int i = 0; i < POLLS && !(inb(COM1 + LINE_STATUS) & THR_EMPTY); i++)
        ;
    outb(COM1, (uint8_t)c);
}

void print(const char *text)
{
    while (*text)
        print_char(*text++);
}

void print_hex(uint64_t value)
{
    int shift = 60;

    print("0x");
    while (shift > 0 && !(value >> shift))
        shift -= 4;
    for (; shift >= 0; shift -= 4)
        print_char("0123456789abcdef"[value >> shift & 15]);
}

/* Long division by hand, bit by bit: a 32-bit freestanding guest has no __udivdi3. */
static uint64_t divide_by_ten(uint64_t value, unsigned *rest)
{
    uint64_t quotient = 0;
    unsigned remainder = 0;

    for (int bit = 63; bit >= 0; bit--) {
        remainder = remainder << 1 | (unsigned)(value >> bit & 1);
        if (remainder >= 10) {
            remainder -= 10;
            quotient |= 1ull << bit;
        }
    }
    *rest = remainder;
    return quotient;
}

void print_decimal(uint64_t value)
{
    char digits[21];
    unsigned digit;
    int n = 0;

    do {
        value = divide_by_ten(value, &digit);
        digits[n++] = (char)('0' + digit);
    } while (value);
    while (n)
        print_char(digits[--n]);
}
