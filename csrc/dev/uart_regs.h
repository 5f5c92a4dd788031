/* 16550A registers: offsets from the port's base, and their bits. */
#ifndef VMK_DEV_UART_REGS_H
#define VMK_DEV_UART_REGS_H

enum uart_reg {
    UART_DATA = 0, /* read RBR, write THR; DLL when LCR.DLAB */
    UART_IER = 1,  /* DLM when LCR.DLAB */
    UART_IIR = 2,  /* write FCR */
    UART_LCR = 3,
    UART_MCR = 4,
    UART_LSR = 5,
    UART_MSR = 6,
    UART_SCR = 7,
    UART_PORTS = 8,
};

enum {
    IER_RX = 0x01,
    IER_THRE = 0x02,
    IER_LSR = 0x04,
    IER_MSR = 0x08,
    IER_MASK = 0x0f,

    IIR_NONE = 0x01,
    IIR_MSR = 0x00,
    IIR_THRE = 0x02,
    IIR_RX = 0x04,
    IIR_LSR = 0x06,
    IIR_TIMEOUT = 0x0c,
    IIR_FIFO = 0xc0,

    FCR_ENABLE = 0x01,
    FCR_CLEAR_RX = 0x02,
    FCR_MASK = 0xc9, /* trigger level, DMA mode, enable */

    LCR_WORD = 0x03,   /* data bits - 5 */
    LCR_STOP2 = 0x04,
    LCR_PARITY = 0x08,
    LCR_DLAB = 0x80,

    MCR_DTR = 0x01,
    MCR_RTS = 0x02,
    MCR_OUT1 = 0x04,
    MCR_OUT2 = 0x08, /* joins the interrupt output to the bus on PC boards */
    MCR_LOOP = 0x10,
    MCR_MASK = 0x1f,

    LSR_DR = 0x01,
    LSR_OE = 0x02,
    LSR_THRE = 0x20,
    LSR_TEMT = 0x40,

    MSR_DCTS = 0x01,
    MSR_DDSR = 0x02,
    MSR_TERI = 0x04,
    MSR_DDCD = 0x08,
    MSR_CTS = 0x10,
    MSR_DSR = 0x20,
    MSR_RI = 0x40,
    MSR_DCD = 0x80,
};

#endif
