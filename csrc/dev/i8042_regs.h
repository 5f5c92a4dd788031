/* Keyboard controller: status and command byte bits, controller commands, keyboard commands and answers. */
#ifndef VMK_DEV_I8042_REGS_H
#define VMK_DEV_I8042_REGS_H

enum { /* status, port 0x64 */
    STATUS_OBF = 0x01,
    STATUS_SYS = 0x04,
    STATUS_COMMAND = 0x08, /* the last write went to 0x64 */
    STATUS_UNLOCKED = 0x10,
    STATUS_AUX = 0x20,
    STATUS_TIMEOUT = 0x40,
};

enum { /* command byte (CTR) */
    CTR_KBDINT = 0x01,
    CTR_AUXINT = 0x02,
    CTR_SYS = 0x04,
    CTR_KBDDIS = 0x10,
    CTR_AUXDIS = 0x20,
    CTR_XLATE = 0x40,
};

enum { /* output port */
    OUT_NOT_RESET = 0x01,
    OUT_A20 = 0x02,
    OUT_OBF = 0x10,
    OUT_AUX_OBF = 0x20,
    OUT_UNUSED = 0xc0, /* clock and data of the keyboard, idle */
};

enum { /* commands, port 0x64 */
    CMD_READ_CTR = 0x20,
    CMD_WRITE_CTR = 0x60,
    CMD_AUX_DISABLE = 0xa7,
    CMD_AUX_ENABLE = 0xa8,
    CMD_AUX_TEST = 0xa9,
    CMD_SELF_TEST = 0xaa,
    CMD_KBD_TEST = 0xab,
    CMD_KBD_DISABLE = 0xad,
    CMD_KBD_ENABLE = 0xae,
    CMD_READ_INPUT = 0xc0,
    CMD_READ_OUTPUT = 0xd0,
    CMD_WRITE_OUTPUT = 0xd1,
    CMD_WRITE_OBF = 0xd2,
    CMD_WRITE_AUX_OBF = 0xd3,
    CMD_WRITE_AUX = 0xd4,
    CMD_A20_OFF = 0xdd,
    CMD_A20_ON = 0xdf,
    CMD_PULSE = 0xf0, /* to 0xff: low bits clear = that output pin goes low for 6 us */
};

enum { /* keyboard */
    KBD_SET_LEDS = 0xed,
    KBD_ECHO = 0xee,
    KBD_SCAN_SET = 0xf0,
    KBD_IDENTIFY = 0xf2,
    KBD_TYPEMATIC = 0xf3,
    KBD_ENABLE = 0xf4,
    KBD_DISABLE = 0xf5,
    KBD_DEFAULTS = 0xf6,
    KBD_RESEND = 0xfe,
    KBD_RESET = 0xff,
    KBD_ACK = 0xfa,
    KBD_SELF_TEST_OK = 0xaa,
};

#endif
