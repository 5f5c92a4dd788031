"""Proves the 8254x under firmware's drivers: iPXE boots over the network behind SeaBIOS, U-Boot gets an
address."""

from __future__ import annotations

import pytest

from tests import packages
from tests.nic import guest
from tests.nic.peer import Peer
from vmm.monitor import Nic, NicModel

ROMS = {NicModel.E82545EM: "pci8086,100f.rom", NicModel.E82540EM: "pci8086,100e.rom"}
SAID = "booted over the network\n"


def _program() -> bytes:
    """A boot program of three TFTP blocks that says so on the debug console and powers off through ACPI."""
    # mov si, text; next: cs lodsb; test al, al; jz off; out 0xe9, al; jmp next
    code = bytes.fromhex("be0000 2eac 84c0 7404 e6e9 ebf6")
    # off: mov dx, 0x604; mov ax, 0x3400; out dx, ax; hlt
    code += bytes.fromhex("ba0406 b80034 ef f4")
    text = 0x7C00 + 1200
    code = code[:1] + text.to_bytes(2, "little") + code[3:]
    return code.ljust(1200, b"\x90") + SAID.encode() + b"\0"


@pytest.mark.parametrize("model", list(NicModel))
def test_ipxe_boots_over_the_network(model: NicModel) -> None:
    bios = packages.require("seabios", "usr/share/seabios/bios.bin")
    rom = packages.require("ipxe-qemu", "usr/lib/ipxe/qemu/pxe-e1000.rom")
    peer = Peer(boot=_program())
    files = {ROMS[model]: rom.read_bytes(), "etc/show-boot-menu": bytes(8)}
    with guest.open_firmware(bios, [Nic(guest.MACS[0], model)], files) as monitor:
        said = guest.serve(monitor, [peer], seconds=40)
    assert SAID in said
    assert (peer.wrong, peer.leased) == ([], True)


def test_u_boot_gets_an_address_and_pings() -> None:
    rom = packages.require("u-boot-qemu", "usr/lib/u-boot/qemu-x86/u-boot.rom")
    peer = Peer()
    typed = [
        ("Hit any key", "\n"),
        ("=> ", "setenv autoload no; dhcp\n"),
        ("=> ", "ping 10.0.2.2\n"),
    ]
    with guest.open_monitor(rom, [Nic(guest.MACS[0])], memory="512M") as monitor:
        said = guest.serve(monitor, [peer], typed=typed, until=lambda text: "is alive" in text)
    assert "DHCP client bound to address 10.0.2.15" in said
    assert "host 10.0.2.2 is alive" in said
    assert peer.wrong == []
