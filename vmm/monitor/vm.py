"""A virtual machine's handle on the C side: one method per call, its lengths checked here."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from mmap import mmap
from types import TracebackType
from typing import Any, Self

from vmm.errors import HostError, UsageError
from vmm.monitor import ends, unpack
from vmm.monitor.backend import Backend
from vmm.monitor.check import creation_failure, failure
from vmm.monitor.enums import Channel, DiskKind, Policy
from vmm.monitor.library import ffi, lib, text_of
from vmm.monitor.records import (
    REGISTER_NAMES,
    Boot,
    Config,
    DiskPlace,
    DiskStats,
    Exit,
    NetCounters,
    RawScreen,
    Registers,
    Site,
    SratSummary,
    Stats,
    TraceEvent,
)

MAX_CPUS = 64
MAX_NICS = 8
MAC_BYTES = 6
FOREVER = 2**64 - 1
PAGE = 4096
TRACE_RING = 4096
_U64 = 2**64 - 1
_ERROR_TEXT = 256
_OUTPUT_CHUNK = 1 << 16
_SCREEN_CELLS = 16384
_FRAME_BYTES = 16384
_FONT_PLANE = 65536
_CODE_MODES = {16: 0, 32: 1, 64: 2}
_ALL_CHANNELS = sum(1 << channel for channel in Channel)


class Monitor:
    """A VM. Every method but `stop` and `post_*` belongs to one thread at a time; all raise from the VmmError
    family, HostError once the VM is closed."""

    def __init__(self, config: Config) -> None:
        error = ffi.new("char[]", _ERROR_TEXT)
        self._handle = lib.vmk_create(_config(config), error, _ERROR_TEXT)
        if not self._handle:
            raise creation_failure(text_of(error))
        self.config = config
        # A sender on another thread must not meet the end of the VM halfway through its call.
        self._lifetime = threading.Lock()
        self._buffer = ffi.new("char[]", _OUTPUT_CHUNK)
        self._screen = ffi.new("struct vmk_screen *")
        self._cells = ffi.new("uint16_t[]", _SCREEN_CELLS)
        # What attached backends point to lives as long as they do.
        self._media: dict[DiskPlace, Any] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Destroy the VM; again is nothing."""
        with self._lifetime:
            handle, self._handle = self._handle, None
        if handle:
            lib.vmk_destroy(handle)
        self._media.clear()

    @property
    def closed(self) -> bool:
        """Whether the VM is gone."""
        return self._handle is None

    def _vm(self) -> Any:
        if self._handle is None:
            raise HostError("the virtual machine is closed")
        return self._handle

    def handle(self) -> Any:
        """The C side's VM, for the other files of this package; HostError once it is closed."""
        return self._vm()

    def _check(self, code: int, doing: str) -> None:
        if code < 0:
            raise failure(code, text_of(lib.vmk_error(self._vm())), doing)

    # Loading

    def ram_write(self, gpa: int, data: bytes | memoryview | mmap) -> None:
        """Write guest-physical memory; UsageError where it is not all writable memory."""
        length = len(data)
        _check_range(gpa, length)
        # Not copied on the way: a kernel may have tens of megabytes.
        self._check(lib.vmk_ram_write(self._vm(), gpa, ffi.from_buffer(data), length), "writing guest memory")

    def ram_read(self, gpa: int, length: int) -> bytes:
        """Read guest-physical memory; UsageError where it is not all memory."""
        _check_range(gpa, length)
        buffer = ffi.new("char[]", max(length, 1))
        self._check(lib.vmk_ram_read(self._vm(), gpa, buffer, length), "reading guest memory")
        return bytes(ffi.buffer(buffer, length))

    def linear_read(self, cpu: int, address: int, length: int) -> bytes:
        """Guest-linear memory through a CPU's page tables: as many bytes as are mapped to memory."""
        _check_range(address, length)
        length = min(length, _U64 - address)
        buffer = ffi.new("char[]", max(length, 1))
        count = lib.vmk_linear_read(self._vm(), self._cpu(cpu), address, buffer, length)
        return bytes(ffi.buffer(buffer, count))

    def set_rom(self, data: bytes) -> None:
        """Put a ROM below 4 GiB (and its end below 1 MiB)."""
        self._check(lib.vmk_set_rom(self._vm(), data, len(data)), "placing the ROM")

    def add_fwcfg(self, key: int, data: bytes) -> None:
        """Give the fw_cfg device an item."""
        if not 0 <= key <= 0xFFFF:
            raise UsageError(f"fw_cfg key {key:#x}: a key has 16 bits")
        self._check(lib.vmk_fwcfg_add(self._vm(), key, data, len(data)), f"fw_cfg item {key:#x}")

    def boot(self, boot: Boot) -> None:
        """Reset the VM and set the boot processor."""
        raw = ffi.new("struct vmk_boot *")
        for name in ("entry", "cr3", "gdt_base", "gdt_limit", "mode", "cs", "ds"):
            setattr(raw, name, getattr(boot, name))
        for index, name in enumerate(REGISTER_NAMES):
            raw.reg[index] = boot.registers.get(name, 0)
        self._check(lib.vmk_boot(self._vm(), raw), "setting the boot processor")

    def set_inline(self, insn: int, bits: int, code: bytes) -> None:
        """Give the bytes that stand for row `insn` of the instruction table in code of 16, 32 or 64 bits."""
        mode = _CODE_MODES[bits]
        self._check(lib.vmk_sbe_set_inline(self._vm(), insn, mode, code, len(code)), "setting an inline form")

    def set_policy(self, insn: int, policy: Policy) -> None:
        """What becomes of row `insn`; UsageError if the row does not allow it. Before the first `run`."""
        self._check(lib.vmk_sbe_set_policy(self._vm(), insn, policy), "setting a policy")

    # Disks

    def attach_disk(self, place: DiskPlace, backend: Backend | None, kind: DiskKind, **texts: str) -> None:
        """Plug a disk in; None is a CD drive without a medium. `texts`: `serial`, `product`."""
        config = ffi.new("struct vmk_disk_config *")
        config.kind = kind
        for name, text in texts.items():
            setattr(config, name, _disk_text(name, text, len(getattr(config, name))))
        handle = _handle_of(backend)
        code = lib.vmk_disk_attach(self._vm(), *place, handle, config)
        self._check(code, f"attaching disk {place}")
        self._taken(place, backend)

    def detach_disk(self, place: DiskPlace) -> None:
        """Pull a disk out; its backend is closed."""
        self._check(lib.vmk_disk_detach(self._vm(), *place), f"detaching disk {place}")
        self._media.pop(place, None)

    def insert_disk(self, place: DiskPlace, backend: Backend | None) -> None:
        """Another medium for a CD drive, or none."""
        self._check(lib.vmk_disk_insert(self._vm(), *place, _handle_of(backend)), f"changing disk {place}")
        self._taken(place, backend)

    def quiesce_disks(self) -> None:
        """Wait until backends have done all that was handed in: a state saved now belongs to that."""
        lib.vmk_disks_quiesce(self._vm())

    def disk_stats(self, place: DiskPlace) -> DiskStats:
        """What a disk has done."""
        raw = ffi.new("struct vmk_disk_stats *")
        self._check(lib.vmk_disk_stats(self._vm(), *place, raw), f"statistics of disk {place}")
        return unpack.disk_stats_of(raw)

    def _taken(self, place: DiskPlace, backend: Backend | None) -> None:
        self._media[place] = backend.release() if backend is not None else None

    # Running

    def run(
        self,
        until_time: int = FOREVER,
        until_instructions: int = FOREVER,
        *,
        wait_for_input: bool = False,
        watch_frames: int = 0,
    ) -> Exit:
        """Run until VM time, an instruction count, guest output, a frame from a NIC whose bit is in
        `watch_frames` (see `net_open`), or something that ends the VM."""
        limits = (min(max(until_time, 0), FOREVER), min(max(until_instructions, 0), FOREVER))
        run = ffi.new("struct vmk_run *", [*limits, _ALL_CHANNELS, watch_frames, wait_for_input])
        end = ffi.new("struct vmk_exit *")
        self._check(lib.vmk_run(self._vm(), run, end), "the VM cannot go on")
        ends.raise_failure()
        return unpack.exit_of(end)

    def stop(self) -> None:
        """Make the running `run` return soon; from any thread. Nothing once the VM is closed."""
        with self._lifetime:
            if self._handle is not None:
                lib.vmk_stop(self._handle)

    def now(self) -> int:
        """VM time in ns since power-on."""
        return int(lib.vmk_now(self._vm()))

    def next_event(self) -> int:
        """VM time before which the VM does nothing by itself; `FOREVER` if it never will."""
        return int(lib.vmk_next_event(self._vm()))

    def output(self, channel: Channel) -> bytes:
        """What the guest sent since the last call."""
        pieces = []
        while count := lib.vmk_output(self._vm(), channel, self._buffer, _OUTPUT_CHUNK):
            pieces.append(bytes(ffi.buffer(self._buffer, count)))
        return b"".join(pieces)

    # Input, from any thread; `when` is VM time in ns, 0 for at once. InboxFull when there is no room.

    def post_serial(self, channel: Channel, data: bytes, when: int = 0) -> None:
        """Send bytes to a serial port. An empty message only wakes an idle VM at `when`."""
        self._post(lambda vm: lib.vmk_post_serial(vm, channel, data, len(data), when), "sending to serial")

    def post_keys(self, scancodes: bytes, when: int = 0) -> None:
        """Send set-1 scan codes of one key or chord: what does not fit the keyboard is dropped whole."""
        self._post(lambda vm: lib.vmk_post_keys(vm, scancodes, len(scancodes), when), "typing a key")

    def post_nmi(self, cpu_mask: int, when: int = 0) -> None:
        """Raise NMI on CPUs by bit."""
        self._post(lambda vm: lib.vmk_post_nmi(vm, cpu_mask & _U64, when), "raising an NMI")

    def post_power_button(self, when: int = 0) -> None:
        """Press the ACPI power button."""
        self._post(lambda vm: lib.vmk_post_power_button(vm, when), "pressing the power button")

    def _post(self, call: Callable[[Any], int], doing: str) -> None:
        with self._lifetime:
            code = call(self._vm())
        if code < 0:
            # Not vmk_error(): that text belongs to the thread that runs the VM.
            raise failure(code, "the inbox is full" if code == lib.VMK_EBUSY else "refused", doing)

    # Network

    def net_open(self, nic: int) -> None:
        """Lead a NIC's cable to the caller, who takes and gives its frames, in place of what was there."""
        self._check(lib.vmk_net_open(self._vm(), self._nic(nic)), f"opening NIC {nic}")

    def net_unplug(self, nic: int) -> None:
        """Leave nothing at the other end of a NIC's cable."""
        self._check(lib.vmk_net_unplug(self._vm(), self._nic(nic)), f"unplugging NIC {nic}")

    def net_take(self, nic: int) -> tuple[bytes, int] | None:
        """The oldest frame the guest sent through an open NIC, and when; None if there is none."""
        when = ffi.new("uint64_t *")
        length = lib.vmk_net_take(self._vm(), self._nic(nic), self._buffer, _FRAME_BYTES, when)
        return (bytes(ffi.buffer(self._buffer, length)), int(when[0])) if length else None

    def net_give(self, nic: int, frame: bytes, when: int = 0) -> None:
        """A frame for the guest, from any thread, at VM time `when` (0 for at once). InboxFull: its queue is
        full, and the frame is dropped."""
        self._nic(nic)
        self._post(lambda vm: lib.vmk_net_give(vm, nic, frame, len(frame), when), "giving a NIC a frame")

    def net_link(self, nic: int, up: bool) -> None:
        """Pull a NIC's cable, or plug it in again."""
        self._check(lib.vmk_net_link(self._vm(), self._nic(nic), up), f"the cable of NIC {nic}")

    def net_counters(self, nic: int) -> NetCounters:
        """What went through a NIC's port."""
        raw = ffi.new("struct vmk_net_counters *")
        self._check(lib.vmk_net_counters(self._vm(), self._nic(nic), raw), f"counters of NIC {nic}")
        return unpack.net_counters_of(raw)

    # Looking

    def screen(self) -> RawScreen:
        """The text screen as it is now."""
        self._check(lib.vmk_screen(self._vm(), self._screen, self._cells), "reading the screen")
        return unpack.screen_of(self._screen, self._cells[0 : self._screen_size()])

    def screen_cells(self) -> tuple[bytes, int]:
        """(cells, columns): two bytes a cell, character first. Cheap enough to watch for changes."""
        self._check(lib.vmk_screen(self._vm(), self._screen, self._cells), "reading the screen")
        return bytes(ffi.buffer(self._cells, 2 * self._screen_size())), int(self._screen.columns)

    def _screen_size(self) -> int:
        return min(int(self._screen.columns * self._screen.rows), _SCREEN_CELLS)

    def screen_font(self) -> bytes:
        """VGA plane 2, 65536 bytes."""
        plane = ffi.new("uint8_t[]", _FONT_PLANE)
        self._check(lib.vmk_screen_font(self._vm(), plane), "reading the screen's font")
        return bytes(ffi.buffer(plane, _FONT_PLANE))

    def registers(self, cpu: int = 0) -> Registers:
        """One CPU's registers."""
        raw = ffi.new("struct vmk_registers *")
        self._check(lib.vmk_registers(self._vm(), self._cpu(cpu), raw), f"registers of CPU {cpu}")
        return unpack.registers_of(raw)

    def stats(self) -> Stats:
        """Counters since power-on."""
        raw = ffi.new("struct vmk_stats *")
        lib.vmk_stats(self._vm(), raw)
        return unpack.stats_of(raw)

    def instructions(self) -> int:
        """Retired instructions of all CPUs."""
        raw = ffi.new("struct vmk_stats *")
        lib.vmk_stats(self._vm(), raw)
        return int(raw.instructions)

    def sites(self) -> list[Site]:
        """Every rewritten instruction."""
        raw = ffi.new("struct vmk_site *")
        found = []
        for index in range(lib.vmk_site_count(self._vm())):
            self._check(lib.vmk_site(self._vm(), index, raw), f"site {index}")
            found.append(unpack.site_of(raw))
        return found

    def srat(self) -> SratSummary:
        """The account of this VM's pages."""
        raw = ffi.new("struct vmk_srat_summary *")
        lib.vmk_srat(self._vm(), raw)
        return unpack.srat_of(raw)

    def trace(self, limit: int = TRACE_RING, *, fresh: bool = False) -> list[TraceEvent]:
        """The newest recorded events, oldest first; `fresh`: those not returned by a fresh call before."""
        limit = min(max(limit, 1), TRACE_RING)
        raw = ffi.new("struct vmk_trace_event[]", limit)
        count = lib.vmk_trace(self._vm(), raw, limit, fresh)
        return [unpack.event_of(raw[index]) for index in range(count)]

    # State

    def save_state(self) -> bytes:
        """CPUs, chips and clock, without RAM."""
        size = lib.vmk_state_size(self._vm())
        buffer = ffi.new("char[]", max(size, 1))
        self._check(lib.vmk_state_save(self._vm(), buffer, size), "saving the state")
        return bytes(ffi.buffer(buffer, size))

    def written_pages(self) -> list[int]:
        """Numbers of the pages of RAM (and, behind them, ROM) that were ever written, ascending."""
        count = lib.vmk_written_pages(self._vm(), ffi.NULL, 0)
        pages = ffi.new("uint64_t[]", max(count, 1))
        lib.vmk_written_pages(self._vm(), pages, count)
        return list(_take(pages, count))

    def _nic(self, nic: int) -> int:
        if not 0 <= nic < len(self.config.nics):
            raise UsageError(f"there is no NIC {nic}: this VM has {len(self.config.nics)}")
        return nic

    def _cpu(self, cpu: int) -> int:
        if not 0 <= cpu < self.config.cpus:
            raise UsageError(f"there is no CPU {cpu}: this VM has {self.config.cpus}")
        return cpu


def _take(array: Any, count: int) -> Iterable[int]:
    return (int(value) for value in array[0:count])


def _handle_of(backend: Backend | None) -> Any:
    return ffi.NULL if backend is None else backend.handle


def _disk_text(name: str, text: str, room: int) -> bytes:
    data = text.encode("ascii", "replace")
    if not text.isascii() or not text.isprintable() or len(data) >= room:
        raise UsageError(f"a disk's {name} {text!r}: up to {room - 4} printable ASCII characters")
    return data


def _check_range(address: int, length: int) -> None:
    if address < 0 or length < 0 or address + length > _U64 + 1:
        raise UsageError(f"address {address:#x} with {length} bytes is outside a 64-bit address space")


def _config(config: Config) -> Any:
    raw = ffi.new("struct vmk_config *")
    raw.memory, raw.rtc_epoch = config.memory, config.rtc_epoch
    raw.cpus, raw.time_mode, raw.sbe_profile = config.cpus, config.time, config.profile
    raw.cpu_model, raw.quantum, raw.msr_ignore = config.cpu_model, config.quantum, config.msr_ignore
    raw.direct, raw.smp = config.direct, config.smp
    raw.debug_exit_port = config.debug_exit_port
    raw.trace_mask = sum(1 << kind for kind in config.trace)
    if len(config.scsi) > len(raw.scsi_model):
        raise UsageError(f"{len(config.scsi)} SCSI adapters: a VM has at most {len(raw.scsi_model)}")
    raw.scsi_adapters = len(config.scsi)
    raw.scsi_model[0 : len(config.scsi)] = config.scsi
    if len(config.nics) > MAX_NICS:
        raise UsageError(f"{len(config.nics)} NICs: a VM has at most {MAX_NICS}")
    raw.nics = len(config.nics)
    for slot, nic in zip(raw.nic, config.nics, strict=False):
        if len(nic.mac) != MAC_BYTES:
            raise UsageError(f"a MAC address has {MAC_BYTES} bytes, not {len(nic.mac)}")
        slot.model, slot.mac = nic.model, nic.mac
    return raw
