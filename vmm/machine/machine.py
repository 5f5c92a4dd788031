"""A virtual machine as one Python object: what tests, scripts and the command line use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from vmm.config.quantity import check_seconds
from vmm.errors import UsageError
from vmm.loader import BootPlan, SymbolTable
from vmm.machine.boot import power_on
from vmm.machine.disassembly import Instruction, disassemble
from vmm.machine.keyboard import Keyboard
from vmm.machine.memory import Memory
from vmm.machine.options import NONE, MachineOptions, ModuleLike, PathLike, check_options
from vmm.machine.run import FINAL, Limits, Outcome, RunLoop, RunResult
from vmm.machine.screen import Screen
from vmm.machine.serial import OutputChannel, SerialPort
from vmm.machine.state_hash import state_sha256
from vmm.machine.until import Pattern, ScreenSearch, Search, compile_sign
from vmm.monitor import Channel, Monitor, NetCounters, Registers, Site, SratSummary, Stats, TraceEvent
from vmm.monitor.vm import FOREVER, TRACE_RING

if TYPE_CHECKING:
    from datetime import datetime

    from vmm.machine.disks import DiskLike, Disks, DiskSpec
    from vmm.monitor import DiskStats
    from vmm.net.adapters import Adapters
    from vmm.net.spec import NicSpec

Until = Pattern | Callable[["Machine"], bool]


class Machine:
    """A PC with one image loaded, stopped before its first instruction.

        with Machine("vmlinuz", initrd="initrd.gz", append="console=ttyS0", memory="256M") as vm:
            vm.run(until="login:", timeout=60).require()
            vm.serial.send("root\\n")

    `memory` is bytes or `512M`; `cpus` 1 to 64; `cpu` a name from `vmm models`; `time` `virtual` (the VM's
    own clock: two runs are equal) or `real`; `smp` how several CPUs run, by `turns` on one host thread or, in
    real time, on `threads` of their own; `sbe` `full`, `adaptive` or `off`; `direct` whether hot loops run on
    the host's own processor, `on` or `off` (the guest cannot tell), or `eager` at the first sight of each;
    `policies` what becomes of single instructions instead, as in `{"WBINVD": "inline", "CPUID": "trap"}`
    (`vmm insns` lists names and what each allows: `native`, `trap`, `inline`); `debug_exit` a port: what is
    written there ends the run; `msr` what unknown MSRs do, `fault` or `zero`; `trace` names of events to
    record (`vmm.machine.trace.TRACE_NAMES`) for `on_trace`; `protocol` insists on a boot protocol; `rtc` is
    the date at power-on, by default 2000-01-01 in virtual time and now in real time; `nics` network adapters,
    as `vmm run --nic` takes them (`"user"`) or from a switch of this process (`vmm.Switch("lab").nic()`);
    `scsi` the SCSI adapters, each `lsilogic` or `lsisas1068`, as many as the disks need if none are named;
    `disks` and `cdroms` image files as `vmm run --disk` takes them (`"web.vmdk,snapshot"`); `boot` what
    firmware tries, as in `cdrom,disk`.

    Raises UsageError and ImageError for what cannot be booted, HostError for failures of our own.
    """

    def __init__(
        self,
        image: PathLike,
        *,
        memory: str | int = "512M",
        cpus: int = 1,
        append: str = "",
        initrd: PathLike | None = None,
        modules: Sequence[ModuleLike] = (),
        cpu: str | None = None,
        time: str = "virtual",
        smp: str = "turns",
        sbe: str = "adaptive",
        direct: str = "on",
        policies: Mapping[str, str] = NONE,
        debug_exit: int | None = None,
        msr: str = "fault",
        trace: str | Iterable[str] = (),
        protocol: str | None = None,
        rtc: datetime | None = None,
        nics: Sequence[str | NicSpec] = (),
        scsi: Sequence[str] = (),
        disks: Sequence[DiskLike] = (),
        cdroms: Sequence[DiskLike] = (),
        boot: str | None = None,
    ) -> None:
        options = check_options(
            image,
            memory=memory,
            cpus=cpus,
            append=append,
            initrd=initrd,
            modules=modules,
            cpu=cpu,
            time=time,
            smp=smp,
            sbe=sbe,
            direct=direct,
            policies=policies,
            debug_exit=debug_exit,
            msr=msr,
            trace=trace,
            protocol=protocol,
            rtc=rtc,
            nics=nics,
            scsi=scsi,
            disks=disks,
            cdroms=cdroms,
            boot=boot,
        )
        self._set_up(options)

    def _set_up(self, options: MachineOptions) -> None:
        self.options = options
        self.monitor: Monitor
        self.plan: BootPlan
        self._disks = _open_disks(options)
        self._adapters: Adapters | None = None
        try:
            self.monitor, self.plan = power_on(options)
        except BaseException:
            if self._disks is not None:
                self._disks.close()
            raise
        self._plug_in_disks()
        self._adapters = self._plug_in(options)
        self.serial = SerialPort(
            lambda data, when: self.monitor.post_serial(Channel.COM1, data, when), self._wake
        )
        self.serial2 = SerialPort(
            lambda data, when: self.monitor.post_serial(Channel.COM2, data, when), self._wake
        )
        self.debugcon = OutputChannel()
        self.keyboard = Keyboard(self.monitor.post_keys, self._wake)
        self.screen = Screen(self.monitor)
        self.memory = Memory(self.monitor)
        self.on_trace: Callable[[TraceEvent], None] | None = None
        # How often more was recorded between two looks than the monitor keeps: events are missing there.
        self.trace_gaps = 0
        # Called when an idle VM in virtual time can only be woken by input: False if none will ever come.
        self.wait_for_input: Callable[[], bool] | None = None
        self._outcome: Outcome | None = None
        self._stop_asked = False
        self._running = False
        self._seen_screen = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Free the VM, its cables and its disks; again is nothing."""
        self.monitor.close()
        disks, self._disks = self._disks, None
        if disks is not None:
            disks.close()
        if self._adapters is not None:
            self._adapters.close()

    def _plug_in_disks(self) -> None:
        if self._disks is None:
            return
        try:
            self._disks.attach(self.monitor)
        except BaseException:
            self.close()
            raise

    def _plug_in(self, options: MachineOptions) -> Adapters | None:
        if not options.nics:
            return None
        from vmm.net.adapters import Adapters  # noqa: PLC0415 (most machines have none)

        try:
            return Adapters(self.monitor, options.nics)
        except BaseException:
            self.close()
            raise

    # Running

    def run(
        self, until: Until | None = None, timeout: float | None = None, instructions: int | None = None
    ) -> RunResult:
        """Run until a sign, a limit, or the end of the guest.

        `until` is a regular expression looked for in what serial ports and debug console say from the last
        sign on and in what the screen shows, or a function of the machine asked whenever it stops: at output,
        in idle, every 50 ms. `timeout` counts guest seconds in virtual time and wall seconds in real time.
        UsageError once the guest has ended.
        """
        with self.running(until, timeout, instructions) as loop:
            return loop.run()

    @contextmanager
    def running(
        self, until: Until | None, timeout: float | None, instructions: int | None = None
    ) -> Iterator[RunLoop]:
        """The loop of a run, for whoever drives several; `run` has the words for the arguments."""
        if self._outcome in FINAL:
            raise UsageError(f"the guest has ended ({self._outcome}); make a new Machine")
        if self._disks is not None:
            self._disks.allow_waiting()
        loop = RunLoop(self, self._sign(until), self._limits(timeout, instructions))
        self._running = True
        try:
            yield loop
        finally:
            self._running = False
            self._finish_trace()
            self._outcome = loop.outcome

    def stop(self) -> None:
        """End the current run, or else the next, with outcome `stopped`; from any thread or signal."""
        self._stop_asked = True
        self.monitor.stop()
        if self._disks is not None:
            self._disks.end_waiting()

    def _wake(self) -> None:
        """Something was queued for the guest: let a VM that idles in real time look."""
        if self._running:
            self.monitor.stop()

    def _limits(self, timeout: float | None, instructions: int | None) -> Limits:
        if instructions is not None and instructions <= 0:
            raise UsageError(f"a run of {instructions} instructions: give 1 or more")
        span = None if timeout is None else round(check_seconds(timeout, "a timeout") * 1e9)
        return Limits(
            time=FOREVER if span is None else self.monitor.now() + span,
            instructions=FOREVER if instructions is None else self.monitor.instructions() + instructions,
        )

    def _sign(self, until: Until | None) -> Callable[[], str | None]:
        if until is None:
            return lambda: None
        if callable(until):
            condition = until
            return lambda: "" if condition(self) else None
        pattern = compile_sign(until)
        searches = [Search(pattern, channel.log) for channel in self._channels().values()]
        screen = ScreenSearch(pattern, self._seen_screen)
        return lambda: self._look(searches, screen)

    def _look(self, searches: list[Search], screen: ScreenSearch) -> str | None:
        for search in searches:
            if (match := search.seen()) is not None:
                return match
        cells, columns = self.monitor.screen_cells()
        match = screen.seen(cells, columns)
        if match is not None:
            self._seen_screen = cells
        return match

    # What the run loop calls between two stretches of guest time

    def pump(self, now: int) -> None:
        """Hand waiting input to the VM, whose time is `now`."""
        self.serial.input.pump(now)
        self.serial2.input.pump(now)
        self.keyboard.pump(now)

    def collect(self) -> None:
        """Take what the guest has sent."""
        for channel, port in self._channels().items():
            data = self.monitor.output(channel)
            if data:
                port.log.append(data)

    def drain_trace(self) -> int:
        """Hand recorded events to `on_trace`; the number of events that were new."""
        if self.on_trace is None:
            return 0
        events = self.monitor.trace(fresh=True)
        self.trace_gaps += len(events) == TRACE_RING
        for event in events:
            if event.kind in self.options.trace:
                self.on_trace(event)
        return len(events)

    def take_stop(self) -> bool:
        """Whether `stop` was called since the last time this was asked."""
        asked, self._stop_asked = self._stop_asked, False
        return asked

    def _finish_trace(self) -> None:
        if not self.monitor.closed:
            self.drain_trace()

    def _channels(self) -> dict[Channel, OutputChannel]:
        return {Channel.COM1: self.serial, Channel.COM2: self.serial2, Channel.DEBUGCON: self.debugcon}

    # Input beside serial ports and keyboard

    def nmi(self, cpu: int = 0) -> None:
        """Raise NMI on a CPU."""
        self.monitor.post_nmi(1 << cpu)

    def press_power_button(self) -> None:
        """Press the ACPI power button: guests that listen shut down."""
        self.monitor.post_power_button()

    def set_link(self, nic: int, up: bool) -> None:
        """Pull a network adapter's cable, or plug it in again."""
        self.monitor.net_link(nic, up)

    # Looking

    @property
    def nic_counters(self) -> list[NetCounters]:
        """What went through each network adapter since power-on."""
        return [self.monitor.net_counters(nic) for nic in range(len(self.options.nics))]

    @property
    def registers(self) -> Registers:
        """Registers of CPU 0; `cpu(n)` has the others'."""
        return self.monitor.registers(0)

    def cpu(self, number: int) -> Registers:
        """Registers of a CPU."""
        return self.monitor.registers(number)

    @property
    def stats(self) -> Stats:
        """Counters since power-on."""
        return self.monitor.stats()

    @property
    def waits_on_full_disk(self) -> bool:
        """Whether it has disks with `werror=stop`."""
        return self._disks is not None and self._disks.patient

    @property
    def waits_for_room(self) -> list[Path]:
        """Disks with `werror=stop` for which the VM waits now: the host's disk is full. From any thread."""
        return [] if self._disks is None else self._disks.waiting()

    @property
    def disks(self) -> list[tuple[DiskSpec, DiskStats]]:
        """Its disks and what each has done."""
        return [] if self._disks is None else self._disks.stats(self.monitor)

    @property
    def sites(self) -> list[Site]:
        """Instructions that scan-before-execution has rewritten."""
        return self.monitor.sites()

    @property
    def srat(self) -> SratSummary:
        """The account of guest pages."""
        return self.monitor.srat()

    @property
    def symbols(self) -> SymbolTable | None:
        """The image's symbols, if it has them."""
        return self.plan.symbols

    @property
    def guest_seconds(self) -> float:
        """VM time since power-on."""
        return self.monitor.now() / 1e9

    @property
    def state_sha256(self) -> str:
        """Hash of CPUs, chips, clock and RAM; equal for equal runs."""
        return state_sha256(self.monitor)

    def trace(self, limit: int = 32) -> list[TraceEvent]:
        """The last recorded events: traps, exceptions, interrupts and what `trace` asked for."""
        return self.monitor.trace(limit)

    def disassemble(self, address: int | None = None, count: int = 8, cpu: int = 0) -> list[Instruction]:
        """Instructions at a linear address, by default at the CPU's RIP; fewer where memory ends."""
        registers = self.monitor.registers(cpu)
        where = registers.pc if address is None else address
        return disassemble(self.monitor.linear_read(cpu, where, 16 * count), where, registers.bits, count)


def _open_disks(options: MachineOptions) -> Disks | None:
    if not options.disks:
        return None
    from vmm.machine.disks import Disks  # noqa: PLC0415 (most machines have none)

    return Disks(options.disks)
