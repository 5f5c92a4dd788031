"""Who called whom: the chain of frame pointers, as far as it makes sense."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from vmm.monitor import Registers

MAX_FRAMES = 32
_MAX_FRAME_BYTES = 1 << 20

Reader = Callable[[int, int], bytes]
"""(linear address, length) -> bytes, fewer where memory ends."""


def return_addresses(registers: Registers, read: Reader) -> Iterator[int]:
    """Return addresses from the innermost call outwards.

    A frame counts if its pointer is aligned, lies above the last one and not far from it, and both words can
    be read; code built without frame pointers yields nothing or one stray address. 16-bit code has no frames.
    """
    if registers.bits == 16:
        return
    width = registers.bits // 8
    frame, floor = registers["rbp"], registers.stack
    for _ in range(MAX_FRAMES):
        if frame % width or not floor <= frame < floor + _MAX_FRAME_BYTES:
            return
        words = read(frame, 2 * width)
        if len(words) < 2 * width:
            return
        caller = int.from_bytes(words[width:], "little")
        if not read(caller, 1):
            return
        yield caller
        floor, frame = frame + width, int.from_bytes(words[:width], "little")
