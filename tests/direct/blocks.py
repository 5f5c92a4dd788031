"""Random loops of the instructions that run directly, as bytes: every opcode and operand form, registers and
addresses biased to where something happens."""

from __future__ import annotations

import random
import struct

from tests.direct.guest import DATA, DATA_PAGES, FINISH, LOOPS, MISSING, PAGE, READ_ONLY

COUNTER, RSP = 15, 4
BASES = (3, 5, 12, 4)  # rbx, rbp, r12, rsp: never written, so that they go on pointing at DATA
WRITABLE = (0, 1, 2, 6, 7, 8, 9, 10, 11, 13, 14)
INDEX = (1, 9)  # masked now and then, so that an access through it often hits

ALU = tuple(8 * row + form for row in range(8) for form in range(4))


class Writer:
    """One random loop. `wild`: the share of accesses that may go anywhere."""

    def __init__(self, rng: random.Random, *, wild: float = 0.02, at: int = LOOPS) -> None:
        self.rng, self.wild, self.at = rng, wild, at
        self.code = bytearray()

    def rex(self, wide: bool, reg: int, index: int, base: int, *, force: bool = True) -> bytes:
        value = wide << 3 | (reg >> 3) << 2 | (index >> 3) << 1 | base >> 3
        return bytes([0x40 | value]) if value or force else b""

    def insn(self, opcode: bytes, reg: int, *, store: bool, imm: int = 0, size: int | None = None,
             memory: bool | None = None, digit: bool = False, mem_bytes: int = 0) -> None:  # fmt: skip
        """One instruction with ModRM, its r/m a register or memory."""
        rng = self.rng
        size = size or rng.choice((1, 2, 4, 8))
        prefix = b"\x66" if size == 2 else b""
        if memory is None:
            memory = rng.random() < 0.45
        tail = rng.randbytes(imm)
        if not memory:
            rm = rng.choice(WRITABLE) if store else rng.randrange(16)
            rex = self.rex(size == 8, 0 if digit else reg, 0, rm)
            self.code += prefix + rex + opcode + bytes([0xC0 | (reg & 7) << 3 | rm & 7]) + tail
            return
        segment, address = self.address(reg, imm, len(prefix) + 1 + len(opcode))
        rex_bits, modrm = address
        rex = bytes([0x40 | (size == 8) << 3 | (0 if digit else reg >> 3) << 2 | rex_bits])
        self.code += segment + prefix + rex + opcode + modrm + tail

    def address(self, reg: int, imm: int, before: int) -> tuple[bytes, tuple[int, bytes]]:
        rng = self.rng
        segment = b"\x65" if rng.random() < 0.05 else b""
        low = (reg & 7) << 3
        kind = rng.random()
        if kind < 0.06:  # rip-relative
            target = DATA + rng.randrange(DATA_PAGES * PAGE)
            end = self.at + len(self.code) + len(segment) + before + 5 + imm
            return segment, (0, bytes([low | 5]) + struct.pack("<i", target - end))
        base = rng.choice(BASES) if rng.random() > self.wild else rng.randrange(16)
        disp = rng.choice((rng.randrange(-128, 128), rng.randrange(-0x900, 0x1800), PAGE - 4, 0))
        with_index = rng.random() < 0.4
        index = rng.choice(INDEX) if rng.random() > self.wild else rng.choice((0, 6, 8, 10, 14))
        if with_index or base & 7 == 4:
            field = index if with_index else 4
            sib = rng.choice((0, 0, 1, 2, 3)) << 6 | (field & 7) << 3 | base & 7
            rex = base >> 3 | (field >> 3) << 1
            return segment, (rex, bytes([0x84 | low, sib]) + struct.pack("<i", disp))
        if disp == disp % 256 - (256 if disp % 256 > 127 else 0):
            return segment, (base >> 3, bytes([0x40 | low | base & 7]) + struct.pack("<b", disp))
        return segment, (base >> 3, bytes([0x80 | low | base & 7]) + struct.pack("<i", disp))

    def mask_index(self) -> None:
        index = self.rng.choice(INDEX)
        self.code += self.rex(False, 0, 0, index) + bytes([0x81, 0xE0 | index & 7])
        self.code += struct.pack("<I", self.rng.choice((0x3F, 0x7FF, 0x3FFF)))

    def any_insn(self) -> None:
        self.rng.choice(KINDS)(self)

    def alu(self) -> None:
        op = self.rng.choice(ALU)
        byte, to_reg, compare = not op & 1, bool(op & 2), op >> 3 == 7
        reg = self.rng.choice(WRITABLE) if to_reg and not compare else self.rng.randrange(16)
        self.insn(bytes([op]), reg, store=not to_reg and not compare, size=1 if byte else self.word())

    def word(self) -> int:
        return self.rng.choice((2, 4, 4, 8, 8))

    def alu_imm(self) -> None:
        op, digit = self.rng.choice((0x80, 0x81, 0x83)), self.rng.randrange(8)
        size = 1 if op == 0x80 else self.word()
        imm = {0x80: 1, 0x81: 2 if size == 2 else 4, 0x83: 1}[op]
        self.insn(bytes([op]), digit, store=digit != 7, imm=imm, size=size, digit=True)

    def accumulator(self) -> None:
        op = self.rng.randrange(8) * 8 + 4 if self.rng.random() < 0.7 else 0xA8
        if self.rng.random() < 0.5:
            self.code += bytes([op]) + self.rng.randbytes(1)
        else:
            self.code += b"\x48" * self.rng.randrange(2) + bytes([op + 1]) + self.rng.randbytes(4)

    def move(self) -> None:
        op = self.rng.choice((0x88, 0x89, 0x8A, 0x8B))
        reg = self.rng.choice(WRITABLE) if op & 2 else self.rng.randrange(16)
        self.insn(bytes([op]), reg, store=not op & 2, size=1 if not op & 1 else self.word())

    def move_imm(self) -> None:
        kind, reg = self.rng.randrange(4), self.rng.choice(WRITABLE)
        if kind == 0:
            self.insn(b"\xc6", 0, store=True, imm=1, size=1, digit=True)
        elif kind == 1:
            size = self.word()
            self.insn(b"\xc7", 0, store=True, imm=2 if size == 2 else 4, size=size, digit=True)
        elif kind == 2:
            self.code += self.rex(False, 0, 0, reg) + bytes([0xB0 | reg & 7]) + self.rng.randbytes(1)
        else:
            wide = self.rng.random() < 0.5
            self.code += self.rex(wide, 0, 0, reg) + bytes([0xB8 | reg & 7])
            self.code += self.rng.randbytes(8 if wide else 4)

    def extend(self) -> None:
        op = self.rng.choice((0xB6, 0xB7, 0xBE, 0xBF))
        self.insn(bytes([0x0F, op]), self.rng.choice(WRITABLE), store=False, size=self.word())

    def sign_extend(self) -> None:
        if self.rng.random() < 0.3:
            self.code += self.rng.choice((b"\x98", b"\x48\x98", b"\x66\x98"))
        else:
            self.insn(b"\x63", self.rng.choice(WRITABLE), store=False, size=8)

    def lea(self) -> None:
        self.insn(b"\x8d", self.rng.choice(WRITABLE), store=False, size=self.rng.choice((4, 8)), memory=True)

    def shift(self) -> None:
        digit, size = self.rng.choice((0, 1, 4, 5, 7)), self.rng.choice((1, 2, 4, 8))
        memory = None if digit > 1 else False
        if self.rng.random() < 0.3:
            self.insn(b"\xd0" if size == 1 else b"\xd1", digit, store=True, size=size, digit=True)
            return
        self.insn(b"\xc0" if size == 1 else b"\xc1", digit, store=True, size=size, digit=True, memory=memory)
        self.code.append(self.rng.randrange(1, 8 * size))

    def shift_by_cl(self) -> None:
        digit, size = self.rng.choice((4, 5, 7)), self.rng.choice((4, 8))
        self.insn(b"\xd3", digit, store=True, size=size, digit=True, memory=False)

    def unary(self) -> None:
        rows = ((0xF7, 2), (0xF7, 3), (0xFF, 0), (0xFF, 1), (0xFE, 0), (0xFE, 1), (0xF6, 2))
        op, digit = self.rng.choice(rows)
        self.insn(bytes([op]), digit, store=True, size=1 if not op & 1 else self.word(), digit=True)

    def test_insn(self) -> None:
        if self.rng.random() < 0.5:
            op = self.rng.choice((0x84, 0x85))
            self.insn(bytes([op]), self.rng.randrange(16), store=False, size=1 if op == 0x84 else self.word())
        else:
            size = self.word()
            self.insn(b"\xf7", 0, store=False, imm=2 if size == 2 else 4, size=size, digit=True)

    def multiply(self) -> None:
        kind, size = self.rng.randrange(4), self.rng.choice((4, 8))
        if kind == 0:
            self.insn(b"\xf7", self.rng.choice((4, 5)), store=False, size=size, digit=True)
        elif kind == 1:
            self.insn(b"\x6b", self.rng.choice(WRITABLE), store=False, imm=1, size=size)
        elif kind == 2:
            self.insn(b"\x69", self.rng.choice(WRITABLE), store=False, imm=4, size=size)
        else:
            self.insn(b"\x0f\xaf", self.rng.choice(WRITABLE), store=False, size=size)

    def condition(self) -> None:
        cc = self.rng.randrange(16)
        if self.rng.random() < 0.5:
            self.insn(bytes([0x0F, 0x90 | cc]), 0, store=True, size=1, digit=True, memory=False)
        else:
            self.insn(bytes([0x0F, 0x40 | cc]), self.rng.choice(WRITABLE), store=False, size=self.word())

    def other(self) -> None:
        kind, a, b = self.rng.randrange(3), self.rng.choice(WRITABLE), self.rng.choice(WRITABLE)
        wide = self.rng.random() < 0.5
        if kind == 0:
            self.code += self.rex(wide, 0, 0, a) + bytes([0x0F, 0xC8 | a & 7])
        elif kind == 1:
            self.code += self.rex(wide, a, 0, b) + bytes([0x87, 0xC0 | (a & 7) << 3 | b & 7])
        else:
            self.code += self.rng.choice((b"\x90", b"\x66\x90", b"\x0f\x1f\x00", b"\x0f\x1f\x44\x00\x00"))

    def vector(self) -> None:
        """XMM registers 0 to 14: the last is the compiled loop's own."""
        prefix, op, memory, imm = self.rng.choice(VECTOR)
        reg = self.rng.randrange(15)
        if prefix:
            self.code += bytes([prefix])
        if memory is None:
            memory = self.rng.random() < 0.5
        if memory:
            self.insn(bytes([0x0F, op]), reg, store=True, imm=imm, size=4, memory=True)
            return
        rm = self.rng.randrange(15)
        self.code += self.rex(False, reg, 0, rm) + bytes([0x0F, op, 0xC0 | (reg & 7) << 3 | rm & 7])
        self.code += self.rng.randbytes(imm)

    def vector_general(self) -> None:
        """Between XMM and general registers, or memory."""
        op = self.rng.choice((0x6E, 0x7E))
        self.code += b"\x66"
        self.insn(bytes([0x0F, op]), self.rng.randrange(15), store=True, size=self.rng.choice((4, 8)))

    def vector_mask(self) -> None:
        reg, rm = self.rng.choice(WRITABLE), self.rng.randrange(15)
        self.code += b"\x66" + self.rex(False, reg, 0, rm)
        self.code += bytes([0x0F, 0xD7, 0xC0 | (reg & 7) << 3 | rm & 7])

    def vector_shift(self) -> None:
        op, digit = self.rng.choice(VECTOR_SHIFTS)
        rm = self.rng.randrange(15)
        self.code += b"\x66" + self.rex(False, 0, 0, rm) + bytes([0x0F, op, 0xC0 | digit << 3 | rm & 7])
        self.code.append(self.rng.choice((self.rng.randrange(40), self.rng.randrange(256))))

    def loop(self, length: int, *, branches: int = 0) -> bytes:
        """`length` instructions with some jumps forward over others, closed by DEC R15 or SUB R15, 1."""
        skips = sorted(self.rng.randrange(length) for _ in range(branches))
        pending: list[tuple[int, int]] = []
        for step in range(length):
            for at, until in [entry for entry in pending if entry[1] == step]:
                self.code[at - 1] = len(self.code) - at
                pending.remove((at, until))
            if self.rng.random() < 0.12:
                self.mask_index()
            self.any_insn()
            if step in skips:
                self.code += bytes([0x70 | self.rng.randrange(16), 0])
                pending.append((len(self.code), step + self.rng.randrange(1, 4)))
        for at, _ in pending:
            self.code[at - 1] = len(self.code) - at
        self.code += self.rng.choice((b"\x49\xff\xcf", b"\x49\x83\xef\x01", b"\x4d\x8d\x7f\xff\x4d\x85\xff"))
        self.code += b"\x0f\x85" + struct.pack("<i", -(len(self.code) + 6))
        self.code += b"\x48\xb8" + struct.pack("<Q", FINISH) + b"\xff\xe0"
        return bytes(self.code)


VECTOR = (
    *((0x66, op, None, 0) for op in (*range(0x60, 0x6E), *range(0x74, 0x77), *range(0xD1, 0xD6))),
    *((0x66, op, None, 0) for op in (*range(0xD8, 0xE6), *range(0xE8, 0xF0), *range(0xF1, 0xF7))),
    *((0x66, op, None, 0) for op in (*range(0xF8, 0xFF), 0x14, 0x15, 0x6F, 0x7F, 0xD6, *range(0x54, 0x58))),
    *((prefix, op, None, 0) for prefix in (0, 0x66, 0xF3, 0xF2) for op in (0x10, 0x11)),
    *((prefix, op, None, 0) for prefix in (0, 0x66) for op in (0x28, 0x29)),
    *((prefix, op, True, 0) for prefix in (0, 0x66) for op in (0x12, 0x13, 0x16, 0x17, 0x2B)),
    *((0, op, None, 0) for op in (0x14, 0x15, *range(0x54, 0x58))),
    *((0, op, False, 0) for op in (0x12, 0x16)), (0x66, 0xE7, True, 0),
    *((0xF3, op, None, 0) for op in (0x6F, 0x7F, 0x7E)),
    *((prefix, 0x70, None, 1) for prefix in (0x66, 0xF3, 0xF2)),
    *((prefix, 0xC6, None, 1) for prefix in (0, 0x66)),
)  # fmt: skip
VECTOR_SHIFTS = tuple(
    (op, digit) for op in (0x71, 0x72, 0x73) for digit in ((2, 3, 6, 7) if op == 0x73 else (2, 4, 6))
)

KINDS = (
    *(Writer.alu,) * 5, *(Writer.alu_imm,) * 3, Writer.accumulator, *(Writer.move,) * 5, Writer.move_imm,
    *(Writer.extend,) * 2, Writer.sign_extend, *(Writer.lea,) * 2, *(Writer.shift,) * 3, Writer.shift_by_cl,
    *(Writer.unary,) * 2, Writer.test_insn, *(Writer.multiply,) * 2, *(Writer.condition,) * 3, Writer.other,
    *(Writer.vector,) * 6, Writer.vector_general, Writer.vector_mask, Writer.vector_shift,
)  # fmt: skip


def registers(rng: random.Random, rounds: int) -> dict[str, int]:
    """Random values, bases in DATA, and the number of rounds."""
    names = ("rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r13", "r14")
    values = {name: rng.choice((rng.getrandbits(64), rng.randrange(64), (1 << 64) - 1)) for name in names}
    bases = {}
    for name in ("rbx", "rbp", "r12"):
        page = rng.choice([page for page in range(DATA_PAGES) if page not in (MISSING, READ_ONLY)])
        if rng.random() < 0.15:
            page = rng.randrange(DATA_PAGES)
        bases[name] = DATA + page * PAGE + rng.choice((0, 8, 0x7F8, PAGE - 8, rng.randrange(PAGE)))
    return {**values, **bases, "rcx": rng.randrange(2048), "r9": rng.randrange(2048), "r15": rounds}
