"""Guests of a few instructions, assembled by the test that needs one."""

from __future__ import annotations

from pathlib import Path

from vmm.sbe.inline import assemble

SAY = "mov al, {char}; out {port}, al;"

ECHO = """
again: mov dx, 0x3fd; in al, dx; test al, 1; jz again
mov dx, 0x3f8; in al, dx; out dx, al; jmp again
"""
"""Sends back what COM1 receives, polled."""

KEYS = """
mov al, 0xae; out 0x64, al; mov al, 0xf4; out 0x60, al
again: in al, 0x64; test al, 1; jz again
in al, 0x60; out 0xe9, al; jmp again
"""
"""Sends what the keyboard sends to the debug console."""

IDLE = "sti; again: hlt; jmp again"
SPIN = "spin: jmp spin"


def program(folder: Path, text: str) -> Path:
    """An image of 32-bit code, to be booted with protocol `flat`: it starts at 1 MiB."""
    path = folder / "program.bin"
    path.write_bytes(assemble(text, 32))
    return path


def say(text: str, port: int = 0xE9) -> str:
    """Code that writes `text` to a port of one byte's number (0xE9 is the debug console)."""
    return " ".join(SAY.format(char=ord(char), port=port) for char in text)
