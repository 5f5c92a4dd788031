/* Interrupts of the 8254x: causes, masks, delays, throttling, and the pin or the message.
 *
 * Follows the 8254x Software Developer's Manual, section 3.4.3 (interrupts) and the descriptions of ICR,
 * ICS, IMS, IMC, ITR, RDTR, RADV, TIDV, TADV. The pin is (ICR & IMS) != 0; ITR keeps it low for a time
 * after each rise, and with MSI on, a rise is a message. A read of ICR clears it always, whatever is
 * masked: drivers that poll rely on it. Left out: small packet detect, the low-threshold causes, and
 * general-purpose pins. */
#include "dev/e1000.h"

#define MSI_CAPABILITY 0xf0
#define THROTTLE_UNIT 256 /* ns */
#define DELAY_UNIT 1024

static uint64_t throttle(const struct e1000 *s)
{
    return (uint64_t)(s->reg[W_ITR] & 0xffff) * THROTTLE_UNIT;
}

void e1000_irq_drive(struct dev *d)
{
    struct e1000 *s = e1000_of(d);
    struct e1000_host *h = e1000_host(d);
    uint64_t now = board_now(d->board);
    bool cause = s->reg[W_ICR] & s->reg[W_IMS], message = pci_msi_enabled(h->func, MSI_CAPABILITY);

    if (!cause) {
        s->pin = 0;
    } else if (!s->pin && now >= s->irq_from) {
        s->pin = 1;
        s->irq_from = now + throttle(s);
        if (message)
            pci_msi_fire(h->func, MSI_CAPABILITY);
    }
    pci_intx(h->func, s->pin && !message);
}

void e1000_cause(struct dev *d, uint32_t causes)
{
    e1000_of(d)->reg[W_ICR] |= causes & ICR_CAUSES;
    e1000_irq_drive(d);
}

/* ---- delays ---- */

/* The first of a burst arms the absolute timer, each one the packet timer anew. */
static void delay(uint64_t now, uint32_t packet, uint32_t absolute, uint64_t *due, uint64_t *latest)
{
    *due = now + (uint64_t)(packet & 0xffff) * DELAY_UNIT;
    if (*latest == DEV_NEVER && absolute & 0xffff)
        *latest = now + (uint64_t)(absolute & 0xffff) * DELAY_UNIT;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void e1000_cause_tx(struct dev *d, bool delayed)
{
    struct e1000 *s = e1000_of(d);
    if (delayed && s->reg[W_TIDV] & 0xffff) {
        delay(board_now(d->board), s->reg[W_TIDV], s->reg[W_TADV], &s->txdw_due, &s->txdw_latest);
        return;
    }
    s->txdw_due = s->txdw_latest = DEV_NEVER;
    e1000_cause(d, ICR_TXDW);
}

static void rx_now(struct dev *d)
{
    struct e1000 *s = e1000_of(d);
    s->rxt0_due = s->rxt0_latest = DEV_NEVER;
    e1000_cause(d, ICR_RXT0);
}

void e1000_cause_rx(struct dev *d)
{
    struct e1000 *s = e1000_of(d);
    if (s->reg[W_RDTR] & 0xffff)
        delay(board_now(d->board), s->reg[W_RDTR], s->reg[W_RADV], &s->rxt0_due, &s->rxt0_latest);
    else
        rx_now(d);
}

void e1000_write_rdtr(struct dev *d, unsigned word, uint32_t value)
{
    struct e1000 *s = e1000_of(d);
    s->reg[word] = value & 0xffff;
    if (value & RDTR_FPD && s->rxt0_due != DEV_NEVER)
        rx_now(d);
}

/* A pin held low by throttling rises when the gap is over. */
uint64_t e1000_irq_deadline(const struct e1000 *s)
{
    uint64_t first = sooner(sooner(s->txdw_due, s->txdw_latest), sooner(s->rxt0_due, s->rxt0_latest));
    return s->reg[W_ICR] & s->reg[W_IMS] && !s->pin ? sooner(first, s->irq_from) : first;
}

void e1000_irq_tick(struct dev *d, uint64_t now)
{
    struct e1000 *s = e1000_of(d);
    if (sooner(s->txdw_due, s->txdw_latest) <= now)
        e1000_cause_tx(d, false);
    if (sooner(s->rxt0_due, s->rxt0_latest) <= now)
        rx_now(d);
    e1000_irq_drive(d);
}

void e1000_irq_clear(struct dev *d)
{
    struct e1000 *s = e1000_of(d);
    s->reg[W_ICR] = s->reg[W_IMS] = 0;
    s->irq_from = 0;
    s->txdw_due = s->txdw_latest = s->rxt0_due = s->rxt0_latest = DEV_NEVER;
    e1000_irq_drive(d);
}

/* ---- registers ---- */

uint32_t e1000_read_icr(struct dev *d, unsigned word)
{
    struct e1000 *s = e1000_of(d);
    uint32_t causes = s->reg[word];
    s->reg[word] = 0;
    e1000_irq_drive(d);
    return causes;
}

uint32_t e1000_read_ics(struct dev *d, unsigned word)
{
    (void)word;
    return e1000_of(d)->reg[W_ICR];
}

void e1000_write_icr(struct dev *d, unsigned word, uint32_t value)
{
    e1000_of(d)->reg[word] &= ~value;
    e1000_irq_drive(d);
}

void e1000_write_ics(struct dev *d, unsigned word, uint32_t value)
{
    (void)word;
    e1000_cause(d, value);
}

void e1000_write_ims(struct dev *d, unsigned word, uint32_t value)
{
    e1000_of(d)->reg[word] |= value & ICR_CAUSES;
    e1000_irq_drive(d);
}

void e1000_write_imc(struct dev *d, unsigned word, uint32_t value)
{
    (void)word;
    e1000_of(d)->reg[W_IMS] &= ~value;
    e1000_irq_drive(d);
}
