"""A virtual switch between the machines of one process.

Its parts are named as ESX names them: a vSwitch has portgroups (names for VLANs), and uplinks where other
networks come in."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from contextlib import ExitStack
from types import MappingProxyType
from typing import Any, Self
from zlib import crc32

from vmm.errors import UsageError
from vmm.monitor.cables import TRUNK, SwitchHandle, SwitchJack, check_vlan
from vmm.net.spec import OUI, NicSpec, check_mac, mac_text, parse_nic

LATENCY = 100e-6
"""Seconds of VM time a frame takes by default: also the longest step of machines that run together."""

DEFAULT_PORTGROUP = "VM Network"
_NO_PORTGROUPS: Mapping[str, int] = MappingProxyType({})
_MOST_MACS = 255


class Switch:
    """A switch for machines that run in this process.

        lab = Switch("vSwitch0", portgroups={"Production": 10})
        a = Machine(kernel, nics=[lab.nic()])
        b = Machine(kernel, nics=[lab.nic(portgroup="VM Network")])
        run_together([a, b], until="login:")

    A frame arrives `latency` seconds of VM time after it was sent, which lets machines that run together take
    turns and still meet each other's frames at the same instruction in every run. `latency` 0: at once, for
    machines that run in threads of their own. Close it after its machines, or leave that to the end of the
    process.
    """

    def __init__(
        self,
        name: str = "vSwitch0",
        *,
        latency: float = LATENCY,
        portgroups: Mapping[str, int] = _NO_PORTGROUPS,
    ) -> None:
        if not 0 <= latency <= 1:
            raise UsageError(f"a latency of {latency:g} seconds: give 0 to 1")
        self.name = name
        self.latency_ns = round(latency * 1e9)
        self.portgroups = {
            DEFAULT_PORTGROUP: 0,
            **{key: check_vlan(vlan) for key, vlan in portgroups.items()},
        }
        self.handle = SwitchHandle(self.latency_ns)
        self._next = itertools.count(1)
        self._macs: set[bytes] = set()
        self._stack = ExitStack()
        self.is_outside = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the switch; it ends with its last machine."""
        self.handle.close()
        self._stack.close()

    def vlan_of(self, portgroup: str) -> int:
        """VLAN of a portgroup by name; UsageError for an unknown one."""
        if portgroup not in self.portgroups:
            known = ", ".join(self.portgroups)
            raise UsageError(f"switch {self.name} has no portgroup '{portgroup}'; it has {known}")
        return self.portgroups[portgroup]

    def nic(self, portgroup: str = DEFAULT_PORTGROUP, *, mac: bytes | None = None, **options: Any) -> NicSpec:
        """An adapter for `Machine(nics=[…])`; `options` are fields of `NicSpec`. Addresses count from one on
        in the order of the calls."""
        vlan = self.vlan_of(portgroup)
        if mac is None:
            mac = self._next_mac()
        if check_mac(mac) in self._macs:
            raise UsageError(f"MAC address {mac_text(mac)} is on switch {self.name} already")
        self._macs.add(mac)
        return NicSpec(kind="switch", target=self.name, switch=self, vlan=vlan, mac=mac, **options)

    def _next_mac(self) -> bytes:
        """The same in every run, and others than another switch's."""
        number = next(self._next)
        if number > _MOST_MACS:
            raise UsageError(f"switch {self.name} has made up {_MOST_MACS} addresses; give mac= yourself")
        return OUI + (crc32(self.name.encode()) & 0x7FFF | 0x8000).to_bytes(2, "big") + bytes((number,))

    def uplink(self, text: str, portgroup: str | None = None) -> None:
        """Plug another network in, written as for a NIC: `user`, `tap:…`, `boot:…`, `stream:…`, `dgram:…`; a
        trunk, or in one portgroup. Before the machines are made: they then know that frames come from outside
        this process, if they do."""
        from vmm.net.adapters import plug_uplink  # noqa: PLC0415 (upwards, and few want it)

        vlan = TRUNK if portgroup is None else self.vlan_of(portgroup)
        spec = parse_nic(text)
        plug_uplink(self._stack, SwitchJack(self.handle, vlan), spec)
        self.is_outside |= spec.is_outside
