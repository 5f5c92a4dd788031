/* MC146818 registers and the CMOS bytes behind them that PC firmware and kernels agree on. */
#ifndef VMK_DEV_RTC_REGS_H
#define VMK_DEV_RTC_REGS_H

enum rtc_reg {
    RTC_SECOND = 0x00,
    RTC_SECOND_ALARM = 0x01,
    RTC_MINUTE = 0x02,
    RTC_MINUTE_ALARM = 0x03,
    RTC_HOUR = 0x04,
    RTC_HOUR_ALARM = 0x05,
    RTC_WEEKDAY = 0x06,
    RTC_DAY = 0x07,
    RTC_MONTH = 0x08,
    RTC_YEAR = 0x09,
    RTC_A = 0x0a,
    RTC_B = 0x0b,
    RTC_C = 0x0c,
    RTC_D = 0x0d,

    CMOS_FLOPPIES = 0x10,
    CMOS_EQUIPMENT = 0x14,    /* bit 1: FPU; bits 5:4 = 0: the display has its own BIOS */
    CMOS_BASE_KIB = 0x15,     /* 16 bits: KiB below 1 MiB */
    CMOS_EXT_KIB = 0x17,      /* 16 bits: KiB above 1 MiB, at most 65535 */
    CMOS_CHECKSUM = 0x2e,     /* 16 bits, high byte first: sum of 0x10..0x2d */
    CMOS_EXT_KIB_2 = 0x30,    /* the same as CMOS_EXT_KIB */
    RTC_CENTURY = 0x32,       /* as the FADT says */
    CMOS_HIGH_64K = 0x34,     /* 16 bits: 64 KiB units between 16 MiB and 4 GiB */
    CMOS_BOOT_ORDER = 0x3d,   /* nibbles, first boot device low: 2 = disk */
    CMOS_ABOVE_4G_64K = 0x5b, /* 24 bits: 64 KiB units above 4 GiB */
    CMOS_CPUS_MINUS_1 = 0x5f,
};

enum {
    A_UIP = 0x80,
    A_DIVIDER_RESET = 0x60, /* both bits set: the divider chain stands still */
    A_RATE = 0x0f,
    B_SET = 0x80,
    B_PIE = 0x40,
    B_AIE = 0x20,
    B_UIE = 0x10,
    B_SQWE = 0x08,
    B_BINARY = 0x04,
    B_24H = 0x02,
    C_IRQF = 0x80,
    C_PF = 0x40,
    C_AF = 0x20,
    C_UF = 0x10,
    D_VALID = 0x80,
    HOUR_PM = 0x80,
    ALARM_ANY = 0xc0, /* an alarm byte with both bits set matches everything */
};

#endif
