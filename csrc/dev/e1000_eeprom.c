/* The 8254x's EEPROM: a 93C46 of 64 words, by the read register and bit by bit.
 *
 * Follows the 8254x Software Developer's Manual, chapter 5 (EEPROM map, EECD, EERD), and the 93C46's
 * three-wire protocol: a start bit, two bits of opcode, six of address, then data. Contents outlive every
 * reset and take effect at the next one. Left out: the time a write takes, the erase-all and write-all
 * opcodes. */
#include "dev/e1000.h"

#define CHECKSUM_WORD 0x3f
#define CHECKSUM 0xbaba
#define COMMAND_BITS 9 /* start, opcode, address */
#define WRITE_BITS (COMMAND_BITS + 16)
#define ADDRESS_MASK 0x3f
enum { OPCODE_SPECIAL = 4, OPCODE_WRITE = 5, OPCODE_READ = 6, OPCODE_ERASE = 7 }; /* with the start bit */
enum { SPECIAL_DISABLE = 0, SPECIAL_ENABLE = 3 };

/* Init control words and the like, as the cards have them; -1 is erased. The addresses, identity and checksum
 * are filled in. Bit 10 of word 0x24 would switch wake-up on. */
static const uint16_t template[E1000_EEPROM_WORDS] = {
    0, 0, 0, 0x0000, 0xffff, 0, 0, 0, 0x3000, 0x1000, 0x6403, 0, 0, 0, 0, 0x3040,
    0x0008, 0x2000, 0x7e14, 0x0048, 0x1000, 0x00d8, 0x0000, 0x2700,
    0x6cc9, 0x3150, 0x0722, 0x040b, 0x0984, 0x0000, 0xc000, 0x0706,
    0x1008, 0x0000, 0x0f04, 0x7fff, 0x4d01, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff,
    0xffff, 0xffff, 0xffff, 0xffff, 0x0100, 0x4000, 0x121c, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff,
    0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0,
};

void e1000_eeprom_fill(struct e1000 *s, const struct pci_info *info, const uint8_t mac[6])
{
    uint16_t sum = 0;
    for (unsigned i = 0; i < E1000_EEPROM_WORDS; i++)
        s->eeprom[i] = template[i];
    for (unsigned i = 0; i < 3; i++)
        s->eeprom[i] = (uint16_t)(mac[2 * i] | mac[2 * i + 1] << 8);
    s->eeprom[0x0b] = info->subsystem;
    s->eeprom[0x0c] = info->subsystem_vendor;
    s->eeprom[0x0d] = info->device;
    s->eeprom[0x0e] = info->vendor;
    for (unsigned i = 0; i < CHECKSUM_WORD; i++)
        sum = (uint16_t)(sum + s->eeprom[i]);
    s->eeprom[CHECKSUM_WORD] = (uint16_t)(CHECKSUM - sum);
}

/* ---- the three wires ---- */

static void special(struct e1000 *s, unsigned address)
{
    if (address >> 4 == SPECIAL_ENABLE)
        s->wire_writable = 1;
    else if (address >> 4 == SPECIAL_DISABLE)
        s->wire_writable = 0;
}

/* All bits of a command are in. Data begins with the falling edge that follows. */
static void command(struct e1000 *s)
{
    unsigned opcode = s->wire_in >> 6 & 7, address = s->wire_in & ADDRESS_MASK;
    if (opcode == OPCODE_READ)
        s->wire_out = s->eeprom[address];
    else if (opcode == OPCODE_SPECIAL)
        special(s, address);
    else if (opcode == OPCODE_ERASE && s->wire_writable)
        s->eeprom[address] = 0xffff;
}

static void write_word(struct e1000 *s)
{
    unsigned opcode = s->wire_in >> (6 + 16) & 7, address = s->wire_in >> 16 & ADDRESS_MASK;
    if (opcode == OPCODE_WRITE && s->wire_writable)
        s->eeprom[address] = (uint16_t)s->wire_in;
}

/* Zeros before the start bit do not count. */
static void clock_rises(struct e1000 *s, bool in)
{
    if (!s->wire_bits && !in)
        return;
    if (s->wire_bits < 255)
        s->wire_bits++;
    s->wire_in = s->wire_in << 1 | in;
    if (s->wire_bits == COMMAND_BITS)
        command(s);
    else if (s->wire_bits == WRITE_BITS)
        write_word(s);
}

static void clock_falls(struct e1000 *s)
{
    if (s->wire_bits < COMMAND_BITS)
        return;
    s->wire_level = s->wire_out >> 15;
    s->wire_out = (uint16_t)(s->wire_out << 1);
}

static void deselect(struct e1000 *s)
{
    s->wire_in = 0;
    s->wire_bits = 0;
    s->wire_out = 0;
    s->wire_level = 1; /* ready */
}

void e1000_write_eecd(struct dev *d, unsigned word, uint32_t value)
{
    struct e1000 *s = e1000_of(d);
    bool was = s->reg[word] & EECD_SK, is = value & EECD_SK, selected = value & EECD_CS;
    s->reg[word] = value & (EECD_SK | EECD_CS | EECD_DI | EECD_FWE | EECD_REQ);
    if (!selected)
        deselect(s);
    else if (is && !was)
        clock_rises(s, value & EECD_DI);
    else if (was && !is)
        clock_falls(s);
}

uint32_t e1000_read_eecd(struct dev *d, unsigned word)
{
    const struct e1000 *s = e1000_of(d);
    uint32_t value = s->reg[word] | EECD_PRES;
    if (value & EECD_REQ)
        value |= EECD_GNT;
    return value | (s->wire_level & 1 ? EECD_DO : 0);
}

/* Done at once. Bit 1 stays clear: drivers tell the two layouts of this register apart by it. */
void e1000_write_eerd(struct dev *d, unsigned word, uint32_t value)
{
    struct e1000 *s = e1000_of(d);
    unsigned address = value >> EERD_ADDRESS_SHIFT & 0xff;
    uint32_t data = address < E1000_EEPROM_WORDS ? s->eeprom[address] : 0;
    s->reg[word] = address << EERD_ADDRESS_SHIFT;
    if (value & EERD_START)
        s->reg[word] |= EERD_DONE | data << EERD_DATA_SHIFT;
}
