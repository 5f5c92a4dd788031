"""What a user writes for a network adapter, `--nic user,forward=tcp:8080:80`, checked and as data.

Nothing is opened here: see `adapters.py`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vmm.errors import UsageError, one_line
from vmm.monitor import NicModel

if TYPE_CHECKING:
    from vmm.monitor.cables import Forward
    from vmm.net.switch import Switch

MODELS = {"82545em": NicModel.E82545EM, "82540em": NicModel.E82540EM}
OUI = b"\x00\x0c\x29"
"""VMware's, of the addresses its products make up themselves."""

FORMS = {
    "user": "",
    "none": "",
    "switch": "NAME",
    "tap": "INTERFACE",
    "boot": "FOLDER",
    "stream": "SOCKET",
    "dgram": "SOCKET",
}
_OUTSIDE = frozenset({"user", "switch", "tap", "stream", "dgram"})
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,47}")
_TIME = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ns|us|ms|s)")
_UNITS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
_MAX_DELAY = 60 * 10**9
_MAX_NICS = 8
_BLOCK, _MAX_ROM = 512, 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class NicSpec:
    """One adapter. `kind` is a key of `FORMS` and `target` what stands behind its colon; `switch` is set
    instead for a switch of this process. `rom` is for firmware to run. Times in ns; `loss` and `corrupt`
    parts of 1; `mac` None: one is made up."""

    kind: str
    target: str = ""
    switch: Switch | None = None
    model: NicModel = NicModel.E82545EM
    mac: bytes | None = None
    pcap: Path | None = None
    rom: bytes = b""
    forwards: tuple[Forward, ...] = ()
    vlan: int = 0
    boot_file: str = ""
    peer: str = ""
    loss: float = 0
    corrupt: float = 0
    delay: int = 0
    seed: int = 0

    @property
    def is_outside(self) -> bool:
        """Whether its frames come in by the host's time."""
        return self.switch.is_outside if self.switch is not None else self.kind in _OUTSIDE

    @property
    def is_bad_line(self) -> bool:
        """Whether anything was asked of the line."""
        return bool(self.loss or self.corrupt or self.delay)


def parse_nic(text: str) -> NicSpec:
    """An adapter from `KIND[:TARGET][,KEY=VALUE…]`; UsageError, one line, for what cannot be."""
    first, *words = text.split(",")
    kind, colon, target = first.partition(":")
    if kind not in FORMS or bool(colon) != bool(FORMS[kind]) or bool(target) != bool(FORMS[kind]):
        forms = ", ".join(f"{name}:{form}" if form else name for name, form in FORMS.items())
        raise UsageError(f"NIC '{one_line(first)}': write one of {forms}")
    if kind == "switch" and not _NAME.fullmatch(target):
        raise UsageError(
            f"NIC '{one_line(first)}': a switch's name has 1 to 48 letters, digits, '.', '_', '-'"
        )
    spec = NicSpec(kind=kind, target=target)
    for word in words:
        spec = _with(spec, word)
    if kind == "dgram" and not spec.peer:
        raise UsageError(f"NIC {one_line(first)}: say with peer=SOCKET where its frames go")
    return spec


def _with(spec: NicSpec, word: str) -> NicSpec:
    key, equals, value = word.partition("=")
    if key not in _KEYS:
        raise UsageError(f"NIC {spec.kind}: unknown key '{one_line(key)}'; known are {', '.join(_KEYS)}")
    kinds, read = _KEYS[key]
    if kinds and spec.kind not in kinds:
        raise UsageError(f"NIC {spec.kind}: {key}= is for {' and '.join(kinds)}")
    if not equals or not value:
        raise UsageError(f"NIC {spec.kind}: {key} needs a value: {key}=…")
    return replace(spec, **read(spec, value))


def _mac(text: str) -> bytes:
    if not re.fullmatch(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}", text):
        raise UsageError(f"MAC address '{one_line(text)}': write six bytes, such as 00:0c:29:00:00:01")
    return check_mac(bytes.fromhex(text.replace(":", "")))


def check_mac(mac: bytes) -> bytes:
    """`mac` if an adapter can have it."""
    if len(mac) != 6 or mac[0] & 1 or not any(mac):
        raise UsageError(
            f"MAC address {mac_text(mac)}: an adapter's is six bytes, not all 0 and no multicast"
        )
    return mac


def mac_text(mac: bytes) -> str:
    """`00:0c:29:00:00:01`."""
    return mac.hex(":")


def _model(text: str) -> NicModel:
    if text not in MODELS:
        raise UsageError(f"NIC model '{one_line(text)}': known are {', '.join(MODELS)}")
    return MODELS[text]


def _rom(path: str) -> bytes:
    try:
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise UsageError(f"rom={one_line(path)}: {getattr(error, 'strerror', error)}") from None
    if data[:2] != b"\x55\xaa" or not _BLOCK <= len(data) <= _MAX_ROM:
        raise UsageError(f"rom={one_line(path)}: not an option ROM, which starts with 55 aa")
    return data


def parse_share(text: str) -> float:
    """Part of 1: `0.01` or `1%`."""
    digits = text.removesuffix("%")
    if not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", digits):
        raise UsageError(f"'{one_line(text)}' is no share of the frames; write 0.01 or 1%")
    share = float(digits) / (100 if text.endswith("%") else 1)
    if share > 1:
        raise UsageError(f"{text} of the frames is more than all of them")
    return share


def parse_time(text: str) -> int:
    """Nanoseconds of `10ms`, `2.5us`, `1s`."""
    match = _TIME.fullmatch(text)
    if not match:
        raise UsageError(
            f"'{one_line(text)}' is not a time; write a number with ns, us, ms or s, such as 10ms"
        )
    time = round(float(match[1]) * _UNITS[match[2]])
    if time > _MAX_DELAY:
        raise UsageError(f"{text} is longer than a minute")
    return time


def _number(text: str, limit: int) -> int:
    if not re.fullmatch(r"\d{1,19}", text) or int(text) > limit:
        raise UsageError(f"'{one_line(text)}' is not a number from 0 to {limit}")
    return int(text)


def _forward(spec: NicSpec, text: str) -> dict[str, Any]:
    from vmm.net.slirp import parse_forward  # noqa: PLC0415 (few NICs have one)

    return {"forwards": (*spec.forwards, parse_forward(text))}


def _keep(name: str, read: Callable[[str], Any]) -> Callable[[NicSpec, str], dict[str, Any]]:
    return lambda _, text: {name: read(text)}


_KEYS: dict[str, tuple[tuple[str, ...], Callable[[NicSpec, str], dict[str, Any]]]] = {
    "model": ((), _keep("model", _model)),
    "mac": ((), _keep("mac", _mac)),
    "pcap": ((), _keep("pcap", Path)),
    "rom": ((), _keep("rom", _rom)),
    "loss": ((), _keep("loss", parse_share)),
    "corrupt": ((), _keep("corrupt", parse_share)),
    "delay": ((), _keep("delay", parse_time)),
    "seed": ((), _keep("seed", lambda text: _number(text, 2**63))),
    "forward": (("user",), _forward),
    "vlan": (("switch",), _keep("vlan", lambda text: _number(text, 4095))),
    "file": (("boot",), _keep("boot_file", str)),
    "peer": (("dgram",), _keep("peer", str)),
}


def check_nics(nics: Iterable[str | NicSpec]) -> tuple[NicSpec, ...]:
    """Adapters with an address each; UsageError for an address used twice, or for too many."""
    specs = [parse_nic(nic) if isinstance(nic, str) else nic for nic in nics]
    if len(specs) > _MAX_NICS:
        raise UsageError(f"{len(specs)} NICs: a machine has at most {_MAX_NICS}")
    taken: set[bytes] = set()
    for spec in specs:
        if spec.mac in taken:
            raise UsageError(f"MAC address {mac_text(spec.mac or b'')} is given to two NICs")
        taken |= {spec.mac} if spec.mac else set()
    return tuple(_with_mac(spec, number, taken) for number, spec in enumerate(specs))


def _with_mac(spec: NicSpec, number: int, taken: set[bytes]) -> NicSpec:
    """The same address in every run, but where other processes would have made up the same."""
    if spec.mac is not None:
        return replace(spec, mac=check_mac(spec.mac))
    while True:
        tail = os.urandom(3) if spec.kind == "switch" and not spec.switch else bytes((0, 0, number + 1))
        mac = OUI + tail
        if mac not in taken:
            taken.add(mac)
            return replace(spec, mac=mac)
        number += 1
