/* Bits of the 8254x's registers and descriptors, as the PCI/PCI-X Family of Gigabit Ethernet Controllers
 * Software Developer's Manual names them; and the word each register has in the chip's state. */
#ifndef VMK_DEV_E1000_REGS_H
#define VMK_DEV_E1000_REGS_H

enum {
    E1000_MTA_WORDS = 128, E1000_RA_WORDS = 32, E1000_VFTA_WORDS = 128, E1000_STAT_WORDS = 64,
    E1000_EEPROM_WORDS = 64, E1000_PHY_REGS = 32, E1000_FIFO_WORDS = 5, E1000_WAKE_WORDS = 16,
};

/* Where a register is kept: an index into struct e1000's reg[]. */
enum e1000_word {
    W_CTRL, W_EECD, W_EERD, W_CTRL_EXT, W_FLA, W_MDIC, W_FCAL, W_FCAH, W_FCT, W_VET, W_ICR, W_ITR, W_IMS,
    W_RCTL, W_FCTTV, W_TXCW, W_TCTL, W_TIPG, W_TBT, W_AIT, W_LEDCTL, W_PBA, W_PBS, W_FCRTL, W_FCRTH,
    W_RDBAL, W_RDBAH, W_RDLEN, W_RDH, W_RDT, W_RDTR, W_RXDCTL, W_RADV, W_RSRPD,
    W_TDBAL, W_TDBAH, W_TDLEN, W_TDH, W_TDT, W_TIDV, W_TXDCTL, W_TADV, W_TSPMT, W_TARC0, W_RXCSUM,
    W_WUC, W_WUFC, W_WUS, W_MANC, W_IPAV, W_SWSM,
    W_RX_FIFO, W_TX_FIFO = W_RX_FIFO + E1000_FIFO_WORDS, W_WAKE = W_TX_FIFO + E1000_FIFO_WORDS,
    W_STAT = W_WAKE + E1000_WAKE_WORDS, W_MTA = W_STAT + E1000_STAT_WORDS, W_RA = W_MTA + E1000_MTA_WORDS,
    W_VFTA = W_RA + E1000_RA_WORDS, E1000_WORDS = W_VFTA + E1000_VFTA_WORDS,
};

enum { /* CTRL, CTRL_EXT */
    CTRL_SLU = 1 << 6, CTRL_RFCE = 1 << 27, CTRL_RST = 1 << 26, CTRL_VME = 1 << 30, CTRL_EXT_EE_RST = 1 << 13,
};
#define CTRL_PHY_RST (1u << 31)

enum { /* STATUS */
    STATUS_FD = 1 << 0, STATUS_LU = 1 << 1, STATUS_TXOFF = 1 << 4, STATUS_SPEED_SHIFT = 6,
    STATUS_ASDV_SHIFT = 8, STATUS_PCI66 = 1 << 11,
};

enum { /* EECD, EERD */
    EECD_SK = 1 << 0, EECD_CS = 1 << 1, EECD_DI = 1 << 2, EECD_DO = 1 << 3, EECD_FWE = 3 << 4,
    EECD_REQ = 1 << 6, EECD_GNT = 1 << 7, EECD_PRES = 1 << 8,
    EERD_START = 1 << 0, EERD_DONE = 1 << 4, EERD_ADDRESS_SHIFT = 8, EERD_DATA_SHIFT = 16,
};

enum { /* MDIC */
    MDIC_REG_SHIFT = 16, MDIC_PHY_SHIFT = 21, MDIC_WRITE = 1 << 26, MDIC_READ = 1 << 27,
    MDIC_READY = 1 << 28, MDIC_INTERRUPT = 1 << 29, MDIC_ERROR = 1 << 30,
};

enum { /* ICR, ICS, IMS, IMC */
    ICR_TXDW = 1 << 0, ICR_TXQE = 1 << 1, ICR_LSC = 1 << 2, ICR_RXDMT0 = 1 << 4, ICR_RXO = 1 << 6,
    ICR_RXT0 = 1 << 7, ICR_MDAC = 1 << 9, ICR_CAUSES = 0x1ffff,
};

enum { /* RCTL */
    RCTL_EN = 1 << 1, RCTL_SBP = 1 << 2, RCTL_UPE = 1 << 3, RCTL_MPE = 1 << 4, RCTL_LPE = 1 << 5,
    RCTL_LOOPBACK = 3 << 6, RCTL_RDMTS_SHIFT = 8, RCTL_MO_SHIFT = 12, RCTL_BAM = 1 << 15,
    RCTL_BSIZE_SHIFT = 16, RCTL_VFE = 1 << 18, RCTL_PMCF = 1 << 23, RCTL_BSEX = 1 << 25, RCTL_SECRC = 1 << 26,
};

enum { TCTL_EN = 1 << 1, TCTL_PSP = 1 << 3 };
#define RDTR_FPD (1u << 31)
#define RAH_AV (1u << 31)
enum { RXCSUM_PCSS = 0xff, RXCSUM_IPOFL = 1 << 8, RXCSUM_TUOFL = 1 << 9 };

/* Transmit descriptors: dword 2, then dword 3. In a context descriptor TXD_TCP and TXD_IP stand where EOP and
 * IFCS do. */
enum {
    TXD_EOP = 1 << 24, TXD_IFCS = 1 << 25, TXD_IC_OR_TSE = 1 << 26, TXD_RS = 1 << 27, TXD_RPS = 1 << 28,
    TXD_DEXT = 1 << 29, TXD_VLE = 1 << 30, TXD_TCP = 1 << 24, TXD_IP = 1 << 25,
    TXD_DTYP = 0xf << 20, TXD_DTYP_DATA = 1 << 20,
    TXD_STATUS = 0xf, TXD_DD = 1, TXD_IXSM = 1 << 8, TXD_TXSM = 1 << 9,
};
#define TXD_IDE (1u << 31)

/* Receive descriptors: status and error bits. */
enum {
    RXD_DD = 1, RXD_EOP = 2, RXD_IXSM = 4, RXD_VP = 8, RXD_TCPCS = 0x20, RXD_IPCS = 0x40, RXD_PIF = 0x80,
    RXD_TCPE = 0x20, RXD_IPE = 0x40, RXD_RXE = 0x80,
};

/* Statistics: words from 0x4000 on. */
enum {
    STAT_MPC = 4, STAT_PRC64 = 0x17, STAT_GPRC = 0x1d, STAT_BPRC = 0x1e, STAT_MPRC = 0x1f, STAT_GPTC = 0x20,
    STAT_GORC = 0x22, STAT_GOTC = 0x24, STAT_RNBC = 0x28, STAT_ROC = 0x2b,
    STAT_TOR = 0x30, STAT_TOT = 0x32, STAT_TPR = 0x34, STAT_TPT = 0x35, STAT_PTC64 = 0x36,
    STAT_MPTC = 0x3c, STAT_BPTC = 0x3d, STAT_TSCTC = 0x3e,
};

/* PHY registers (IEEE 802.3 clause 22, and the Marvell 88E1011's own from 16 on). */
enum {
    PHY_CTRL = 0, PHY_STATUS = 1, PHY_ID1 = 2, PHY_ID2 = 3, PHY_ADV = 4, PHY_PARTNER = 5, PHY_EXPANSION = 6,
    PHY_1000_CTRL = 9, PHY_1000_STATUS = 10, PHY_EXT_STATUS = 15, PHY_SPEC_CTRL = 16, PHY_SPEC_STATUS = 17,
};
enum {
    PHY_CTRL_RESET = 1 << 15, PHY_CTRL_LOOPBACK = 1 << 14, PHY_CTRL_SPEED_LOW = 1 << 13,
    PHY_CTRL_AN = 1 << 12, PHY_CTRL_POWER_DOWN = 1 << 11, PHY_CTRL_RESTART_AN = 1 << 9,
    PHY_CTRL_FULL_DUPLEX = 1 << 8, PHY_CTRL_SPEED_HIGH = 1 << 6,
    PHY_STATUS_LINK = 1 << 2, PHY_STATUS_AN_DONE = 1 << 5,
};

#endif
