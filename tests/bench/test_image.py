"""Proves the account of a guest's traps: by class, function and site, as table, JSON and flame graph, for our
guests with ELF symbols and for a kernel that only has kallsyms."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.bench.test_kallsyms import debian_kernel, debian_kernel_path
from tests.boot.cloud_kernel import command
from tests.guest_images import LINUX_CONSOLE
from tests.guests_build import guest
from tests.initramfs import MARKER, marker_initramfs
from vmm import Machine
from vmm.bench.class_cost import WORK, cycles
from vmm.bench.flame import frames, svg
from vmm.bench.image_profile import Profile, profile
from vmm.bench.symbols import UNKNOWN, USER, Names, guest_names, windows
from vmm.cli import main
from vmm.loader import SymbolTable
from vmm.monitor import Policy, Site, library
from vmm.sbe.insn_table import InsnTable

GUEST = ("sbe/exceptions.elf", "--debug-exit", "0xf4", "--timeout", "10", "--memory", "64M")
SVG = "{http://www.w3.org/2000/svg}"
EVIL = "</title><script>alert('x')</script>&\"\x1b"


def site(pc: int, hits: int, class_name: str = "CPUID", cpl: int = 0) -> Site:
    return Site(pc, class_name, class_name, 64, cpl, Policy.TRAP, b"\x0f\xa2", b"\x3e\xee", hits)


def small_profile(name: str = "f") -> Profile:
    names = Names(SymbolTable([(name, 0x1000), ("g", 0x2000)]), "a test", 0x100)
    sites = [
        site(0x1104, 3),
        site(0x1108, 4),
        site(0x2100, 5, "RDTSC"),
        site(0x50, 1),
        site(0x1104, 2, cpl=3),
    ]
    return profile({"CPUID": 10, "RDTSC": 5, "IO": 7}, sites, names)


def test_by_class_function_and_site() -> None:
    found = small_profile()
    classes = {one.name: (one.sites, one.traps, one.at_sites) for one in found.classes}
    assert classes == {"CPUID": (4, 10, 10), "RDTSC": (1, 5, 5), "IO": (0, 7, 0)}
    functions = {one.name: (one.sites, one.traps) for one in found.functions}
    assert functions == {"f": (2, 7), "g": (1, 5), UNKNOWN: (1, 1), USER: (1, 2)}
    assert {one.place for one in found.sites} == {"f+0x4", "f+0x8", "g", f"{UNKNOWN} 0x50", f"{USER} 0x1104"}
    assert [one.cycles for one in found.sites] == sorted((one.cycles for one in found.sites), reverse=True)
    assert found.cycles == cycles("CPUID", 10) + cycles("RDTSC", 5) + cycles("IO", 7)


def test_flame_boxes_add_up_and_names_are_only_text() -> None:
    found = small_profile(EVIL)
    root = frames(found, EVIL)
    assert root.cycles == found.cycles
    assert root.cycles == sum(child.cycles for child in root.children.values())
    assert root.children["IO"].children["[native code]"].traps == 7
    drawn = ET.fromstring(svg(root, EVIL))
    assert {one.tag for one in drawn.iter()} == {
        SVG + tag for tag in ("svg", "style", "text", "g", "title", "rect")
    }
    titles = [one.text or "" for one in drawn.iter(SVG + "title")]
    assert any(title.startswith("</title><script>") and "\x1b" not in title for title in titles)
    assert len(titles) == 1 + 3 + 5 + 5


def test_an_empty_profile_can_be_drawn() -> None:
    empty = profile({}, [], Names())
    assert ET.fromstring(svg(frames(empty, "nothing"), "nothing")).tag == SVG + "svg"


def test_the_cost_model_knows_only_classes_of_the_table() -> None:
    assert WORK.keys() <= InsnTable(*library()).classes.keys()


def test_windows_cover_and_overlap() -> None:
    spans = list(windows([(0x1000, 0x2000), (1 << 32, 200 << 20)]))
    assert spans[0] == (0x1000, 0x2000)
    assert spans[-1][0] + spans[-1][1] == (1 << 32) + (200 << 20)
    for low, high in pairwise(spans[1:]):
        assert high[0] < low[0] + low[1]


def bench(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str]:
    code = main(["bench", "image", *map(str, words)])
    return code, capsys.readouterr().out


def test_our_guest_by_its_elf_symbols(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    json_file, flame = tmp_path / "traps.json", tmp_path / "traps.svg"
    image, *options = GUEST
    code, table = bench(capsys, guest(image), *options, "--json", json_file, "--flame", flame, "--top", "3")
    assert code == 0x21
    assert "print+0x" in table
    assert "names: the image's symbols" in table
    report = json.loads(json_file.read_text())
    assert report["profile"]["traps"] == sum(report["traps"].values())
    assert "print" in {one["name"] for one in report["profile"]["functions"]}
    assert b"<svg" in flame.read_bytes()


def test_a_system_map_names_functions(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    symbols = tmp_path / "System.map"
    symbols.write_text("0000000000100000 T everything\n")
    image, *options = GUEST
    assert "everything+0x" in bench(capsys, guest(image), *options, "--symbols", symbols)[1]
    symbols.write_text("no map\n")
    assert bench(capsys, guest(image), *options, "--symbols", symbols)[0] == 2


def test_two_runs_have_one_profile(capsys: pytest.CaptureFixture[str]) -> None:
    image, *options = GUEST
    assert bench(capsys, guest(image), *options) == bench(capsys, guest(image), *options)


def test_debians_kernel_by_its_kallsyms(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    report = tmp_path / "traps.json"
    kernel, *options = command(marker_initramfs())
    code, table = bench(capsys, kernel, *options, "--until", MARKER, "--timeout", "60", "--json", report)
    assert code == 0
    assert "names: kallsyms in guest memory" in table
    found: dict[str, Any] = json.loads(report.read_text())["profile"]
    traps = {one["name"]: one["traps"] for one in found["functions"]}
    assert traps["io_serial_out"] > 1000
    assert traps["native_write_msr"] > 100
    unknown = traps.get(UNKNOWN, 0)
    assert unknown < found["traps"] / 100


def test_a_kernel_that_moved_itself_is_named_alike_from_memory_and_from_a_file() -> None:
    kernel, found = debian_kernel_path(), debian_kernel()[0]
    with Machine(kernel, memory="512M", append=LINUX_CONSOLE, protocol="linux32", sbe="full") as vm:
        assert vm.run(until="Linux version", timeout=60).outcome == "until"
        in_memory = guest_names(vm)
        from_file = guest_names(vm, Names(SymbolTable(found.text()), "System.map"))
        sites = [site for site in vm.sites if in_memory.function(site.pc)]
    assert (in_memory.source, in_memory.slide) == ("kallsyms in guest memory", 0)
    assert from_file.slide % (2 << 20) == 0
    assert from_file.slide > 0
    assert len(sites) > 50
    assert [in_memory.of_site(site) for site in sites] == [from_file.of_site(site) for site in sites]


def test_written_memory() -> None:
    with Machine(guest("sbe/exceptions.elf"), memory="64M") as vm:
        vm.memory.write(0x200_0000, b"x")
        vm.memory.write(0x200_1FFF, b"x")
        vm.memory.write(0x3FF_F000, b"x")
        runs = vm.memory.written()
    assert (0x200_0000, 0x2000) in runs
    assert runs[-1] == (0x3FF_F000, 0x1000)
    assert runs == sorted(runs)
    assert runs[0][0] >= 1 << 20
