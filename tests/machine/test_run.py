"""Proves what ends a run and what can be seen then: signs, limits, stops, input, memory, registers."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.machine.program import ECHO, IDLE, KEYS, SPIN, program, say
from vmm import Machine, Outcome
from vmm.errors import UsageError
from vmm.monitor import TraceEvent, TraceKind

ENTRY = 0x100000


def machine(folder: Path, code: str, **options: object) -> Machine:
    return Machine(program(folder, code), memory="16M", protocol="flat", **options)  # type: ignore[arg-type]


def test_sign_on_the_debug_console(tmp_path: Path) -> None:
    with machine(tmp_path, say("one two") + SPIN) as vm:
        result = vm.run(until="t.o", timeout=1)
        assert (result.outcome, result.match) == (Outcome.UNTIL, "two")
        assert vm.debugcon.text == "one two"


def test_sign_on_the_second_serial_port(tmp_path: Path) -> None:
    with machine(tmp_path, "mov dx, 0x2f8; mov al, 65; out dx, al;" + SPIN) as vm:
        assert vm.run(until="A", timeout=1).match == "A"
        assert vm.serial2.text == "A"


def test_sign_wins_over_the_power_off_behind_it(guests: Path) -> None:
    with Machine(guests / "boot" / "elf64.elf", memory="64M") as vm:
        assert vm.run(until="entries").outcome is Outcome.UNTIL


def test_condition_on_the_machine(tmp_path: Path) -> None:
    with machine(tmp_path, "mov ebx, 77;" + SPIN) as vm:
        assert vm.run(until=lambda it: it.registers["rbx"] == 77, timeout=1).outcome is Outcome.UNTIL


def test_timeout_is_exact_guest_time(tmp_path: Path) -> None:
    with machine(tmp_path, SPIN) as vm:
        result = vm.run(until="never", timeout=0.25)
        assert result.outcome is Outcome.TIMEOUT
        assert result.guest_seconds == pytest.approx(0.25, abs=1e-5)
        assert vm.run(timeout=0.1).guest_seconds == pytest.approx(0.1, abs=1e-5)


def test_instruction_budget(tmp_path: Path) -> None:
    with machine(tmp_path, SPIN) as vm:
        result = vm.run(instructions=12_345)
        assert result.outcome is Outcome.INSTRUCTIONS
        assert 12_345 <= result.instructions < 12_345 + 600


def test_idle_guest_sleeps_to_the_timeout_at_once(tmp_path: Path) -> None:
    with machine(tmp_path, IDLE) as vm:
        result = vm.run(timeout=1e6)
        assert result.outcome is Outcome.TIMEOUT
        assert result.guest_seconds == pytest.approx(1e6)
        assert result.wall_seconds < 5


def test_idle_guest_without_a_timeout_waits_for_nothing(tmp_path: Path) -> None:
    with machine(tmp_path, IDLE) as vm:
        result = vm.run()
        assert result.outcome is Outcome.DIED
        assert result.diagnosis is not None
        assert "input that will never come" in result.diagnosis.cause


def test_idle_guest_in_real_time_waits(tmp_path: Path) -> None:
    with machine(tmp_path, IDLE, time="real") as vm:
        result = vm.run(timeout=0.2)
        assert result.outcome is Outcome.TIMEOUT
        assert result.wall_seconds >= 0.2


def test_debug_exit(tmp_path: Path) -> None:
    with machine(tmp_path, say("\x2a", port=0xF4) + SPIN, debug_exit=0xF4) as vm:
        result = vm.run(timeout=1)
        assert (result.outcome, result.exit_value) == (Outcome.DEBUG_EXIT, 0x2A)


def test_ended_guest_does_not_run_again(tmp_path: Path) -> None:
    with machine(tmp_path, "cli; hlt") as vm:
        assert vm.run().outcome is Outcome.DIED
        with pytest.raises(UsageError, match="the guest has ended"):
            vm.run()


def test_reset_is_an_end(tmp_path: Path) -> None:
    with machine(tmp_path, "mov al, 0xfe; out 0x64, al;" + SPIN) as vm:
        assert vm.run(timeout=1).outcome is Outcome.RESET


@pytest.mark.parametrize("time", ["virtual", "real"])
def test_stop_from_another_thread(tmp_path: Path, time: str) -> None:
    with machine(tmp_path, SPIN, time=time) as vm:
        timer = threading.Timer(0.05, vm.stop)
        timer.start()
        assert vm.run(timeout=1000).outcome is Outcome.STOPPED
        timer.join()
        assert vm.run(timeout=0.01).outcome is Outcome.TIMEOUT


def test_serial_input_of_any_length_arrives_whole(tmp_path: Path) -> None:
    text = "".join(f"line {number}\n" for number in range(1000))
    with machine(tmp_path, ECHO) as vm:
        vm.serial.send(text)
        assert vm.run(until="line 999\n", timeout=10).outcome is Outcome.UNTIL
        assert vm.serial.text == text


def test_each_wait_sees_only_new_output(tmp_path: Path) -> None:
    with machine(tmp_path, ECHO) as vm:
        for _ in range(3):
            vm.serial.send("ok\n")
            assert vm.run(until="ok\n", timeout=1).outcome is Outcome.UNTIL
        assert vm.run(until="ok", timeout=0.01).outcome is Outcome.TIMEOUT
        assert vm.serial.read() == "ok\n" * 3


def test_input_from_another_thread_wakes_an_idle_guest_in_real_time(tmp_path: Path) -> None:
    with machine(tmp_path, ECHO, time="real") as vm:
        timer = threading.Timer(0.05, vm.serial.send, ["x"])
        timer.start()
        assert vm.run(until="x", timeout=10).outcome is Outcome.UNTIL
        timer.join()


def test_typed_keys_reach_the_guest(tmp_path: Path) -> None:
    with machine(tmp_path, KEYS) as vm:
        vm.run(timeout=0.1)
        vm.debugcon.read()
        vm.keyboard.type("a\n")
        vm.run(timeout=1)
        assert vm.debugcon.log.data.endswith(b"\x1e\x9e\x1c\x9c")


def test_memory_registers_and_code(tmp_path: Path) -> None:
    with machine(tmp_path, "mov eax, [0x8000]; inc eax; mov [0x8004], eax;" + SPIN) as vm:
        vm.memory[0x8000:0x8004] = b"\x01\x02\x00\x00"
        vm.run(instructions=100)
        assert vm.memory[0x8004:0x8008] == b"\x02\x02\x00\x00"
        assert vm.memory[0x8004] == 2
        assert vm.memory.read_linear(0x8004, 1) == b"\x02"
        assert (vm.registers["rax"], vm.registers["cs"], vm.registers.bits) == (0x202, 0x10, 32)
        assert [one.text for one in vm.disassemble(ENTRY, 2)] == ["mov eax, dword ptr [0x8000]", "inc eax"]


@pytest.mark.parametrize("where", [slice(0, None), slice(8, 4), slice(0, 8, 2)])
def test_slice_that_is_no_range(tmp_path: Path, where: slice) -> None:
    with machine(tmp_path, SPIN) as vm, pytest.raises(UsageError, match="a slice of guest memory"):
        vm.memory[where]


def test_wrong_values_for_memory(tmp_path: Path) -> None:
    with machine(tmp_path, SPIN) as vm:
        with pytest.raises(UsageError, match="4 bytes"):
            vm.memory[0:4] = b"abc"
        with pytest.raises(UsageError, match="0 to 255"):
            vm.memory[0] = 256


def test_watching_changes_nothing(guests: Path) -> None:
    def fingerprint(**options: object) -> tuple[int, str]:
        seen: list[TraceEvent] = []
        with Machine(guests / "sbe" / "user_mode.elf", memory="64M", debug_exit=0xF4, **options) as vm:  # type: ignore[arg-type]
            vm.on_trace = seen.append if options else None
            result = vm.run(timeout=60)
            assert bool(seen) == bool(options)
            return result.instructions, vm.state_sha256

    assert fingerprint() == fingerprint(trace="all")


def test_watching_does_not_move_the_sign(tmp_path: Path) -> None:
    slowly = "again: mov ecx, 3000; wait: loop wait; mov al, 65; out 0xe9, al; jmp again"

    def seen_at(**options: object) -> int:
        with machine(tmp_path, slowly, **options) as vm:
            vm.on_trace = (lambda event: None) if options else None
            return vm.run(until="AAA", timeout=1).instructions

    assert seen_at() == seen_at(trace="ports")


def test_trace_gives_what_was_asked_for_and_all_of_it(tmp_path: Path) -> None:
    events: list[TraceEvent] = []
    count = "mov ecx, 20000; again: mov al, 65; out 0xe9, al; dec ecx; jnz again; cli; hlt"
    with machine(tmp_path, count, trace="ports") as vm:
        vm.on_trace = events.append
        vm.run(timeout=10)
        assert vm.trace_gaps == 0
    assert {event.kind for event in events} == {TraceKind.PORT_WRITE}
    assert len([event for event in events if (event.a, event.b) == (0xE9, 65)]) == 20_000


def test_sites_and_srat(guests: Path) -> None:
    with Machine(guests / "boot" / "elf64.elf", memory="64M", sbe="full") as vm:
        vm.run()
        assert any(site.class_name == "IO" and site.hits for site in vm.sites)
        assert all(len(site.code) == len(site.replacement) for site in vm.sites)
        assert vm.stats.sbe_sites == len(vm.sites)
        assert vm.srat.pages["guest_ram"] == (64 << 20) // 4096
        assert vm.symbols is not None and "hello" in " ".join(vm.symbols)
