"""Proves what a report says of our guests: each site with its reason, treatment, traps and cost, in all three
files; and that nothing an image or a map is named can become part of the page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.explain.sarif_shape import Log
from tests.guests_build import guest
from vmm.bench.class_cost import cycles
from vmm.cli import main
from vmm.cli.sbe_report import FILES

RUN = ("--run", "--timeout", "10", "--debug-exit", "0xf4", "--memory", "64M")
EVIL = "</script><script>evil()</script><img/src=x/onerror=evil()>\"'&amp;{{7*7}}\u202e"


class Page(HTMLParser):
    """What a browser would make of the page, as far as it matters here."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@dataclass(frozen=True, slots=True)
class Written:
    """The files of a report."""

    html: str
    report: Mapping[str, Any]
    sarif: Mapping[str, Any]


def report(folder: Path, image: Path, *words: str | Path) -> Written:
    code = main(["sbe", str(image), "--report", str(folder), *map(str, words)])
    assert code == (0x21 if "--run" in words else 0)
    html, plain, sarif = ((folder / name).read_text() for name in FILES)
    return Written(html, json.loads(plain), json.loads(sarif))


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return report(tmp_path_factory.mktemp("walked"), guest("sbe/exceptions.elf"))


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Written:
    return report(tmp_path_factory.mktemp("ran"), guest("sbe/exceptions.elf"), *RUN, "--sbe", "full")


def test_without_a_run_nothing_is_counted(walked: Written) -> None:
    assert walked.report["run"] is None
    assert {site["found"] for site in walked.report["sites"]} == {"walk"}
    assert {site["traps"] for site in walked.report["sites"]} == {None}
    assert "What the static walk missed" not in Page(walked.html).text


def test_each_site_is_explained(ran: Written) -> None:
    for site in ran.report["sites"]:
        assert site["why"]
        assert site["treatment"]
        assert site["policy"] in ("native", "trap", "inline")
        here = [line for line in site["disassembly"] if line[0] == site["address"]]
        assert [line[1] for line in here] == [site["bytes"]]
    places = {site["function"] for site in ran.report["sites"]}
    assert {"print", "main"} <= places


def test_traps_and_costs_add_up(ran: Written) -> None:
    run, classes, sites = (ran.report[name] for name in ("run", "classes", "sites"))
    assert run["traps"] == sum(one["traps"] for one in classes) > 0
    assert run["cycles"] == sum(one["cycles"] for one in classes)
    for one in classes:
        of_class = [site for site in sites if site["class"] == one["name"]]
        assert one["at_sites"] == sum(site["traps"] or 0 for site in of_class)
        assert one["cycles"] == cycles(one["name"], one["traps"])
    costs = [site["cycles"] or 0 for site in sites]
    assert costs == sorted(costs, reverse=True)


def test_what_the_walk_missed_is_told(ran: Written) -> None:
    missed = [site for site in ran.report["sites"] if site["found"] == "missed"]
    assert len({(site["address"], site["bytes"]) for site in missed}) == ran.report["run"]["missed"] > 0
    text = Page(ran.html).text
    section = text[text.index("What the static walk missed") : text.index("Search")]
    for site in missed:
        offset = f"+{site['offset']:#x}" if site["offset"] else ""
        assert f"{site['function']}{offset} " in section
    warnings = [one for one in ran.sarif["runs"][0]["results"] if one["level"] == "warning"]
    assert len(warnings) == len(missed)


def test_policies_are_those_that_are_asked_about(tmp_path: Path) -> None:
    image = guest("sbe/exceptions.elf")
    adaptive = report(tmp_path / "a", image)
    chosen = report(tmp_path / "b", image, "--policy", "CLI=trap")
    full = report(tmp_path / "c", image, "--sbe", "full")

    def policies(written: Written, row: str) -> set[str]:
        return {site["policy"] for site in written.report["sites"] if site["row"] == row}

    assert [policies(one, "CLI") for one in (adaptive, chosen, full)] == [{"native"}, {"trap"}, {"trap"}]
    assert policies(chosen, "STI") == {"native"}


def test_sarif_has_the_shape_of_its_standard(ran: Written) -> None:
    log = Log.model_validate(ran.sarif)
    run = log.runs[0]
    assert len(run.results) == len(ran.report["sites"])
    for result in run.results:
        assert run.tool.driver.rules[result.ruleIndex].id == result.ruleId
        address = result.locations[0].physicalLocation.address
        assert address.parentIndex is not None
        parent = run.addresses[address.parentIndex]
        assert int(parent.name, 16) + (address.offsetFromParent or 0) == int(address.name, 16)
    assert len({result.fingerprints["site/v1"] for result in run.results}) == len(run.results)


def test_page_needs_nothing_and_nobody(ran: Written) -> None:
    page = Page(ran.html)
    assert page.tags.count("script") == page.tags.count("style") == 1
    targets = [value or "" for name, value in page.attributes if name in ("src", "href")]
    assert all(value.startswith("#s") or value == "data:," for value in targets)
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"]
    assert all(site["why"] in page.text for site in ran.report["sites"][:50])


def test_a_page_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vmm.explain.html.page.__defaults__", (7,))
    written = report(tmp_path / "report", guest("sbe/exceptions.elf"), *RUN)
    sites = len(written.report["sites"])
    page = Page(written.html)
    assert page.tags.count("pre") == 7
    assert f"{sites - 7} sites that cost less" in page.text


def test_two_runs_have_one_report(tmp_path: Path) -> None:
    image = guest("sbe/exceptions.elf")
    assert report(tmp_path / "a", image, *RUN) == report(tmp_path / "b", image, *RUN)


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    image = tmp_path / f"{EVIL.replace('/', '')}.elf"
    image.write_bytes(guest("sbe/exceptions.elf").read_bytes())
    symbols = tmp_path / "System.map"
    symbols.write_text(f"0000000000100000 T {EVIL}\n")
    written = report(tmp_path / "report", image, "--symbols", symbols, *RUN)
    page = Page(written.html)
    plain = report(tmp_path / "plain", guest("sbe/exceptions.elf"), *RUN)
    assert set(page.tags) == set(Page(plain.html).tags)
    assert page.tags.count("script") == 1
    assert {name for name, _ in page.attributes} == {name for name, _ in Page(plain.html).attributes}
    assert "</script><script>evil()" in page.text
    assert "\u202e" not in written.html
    assert "{{7*7}}" in page.text
    Log.model_validate(written.sarif)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--report", "{file}"], "is a file"),
        (["--report", "{file}/x/y"], "does not exist"),
        (["--report", "{folder}", "--sbe", "off"], "rewrites nothing"),
        (["--report", "{folder}", "--until", "x"], "--until is for runs"),
        (["--sbe", "full"], "--sbe is for runs"),
        (["--symbols", "{file}"], "add --report or --run"),
        (["--report", "{folder}", "--symbols", "{file}"], "System.map"),
    ],
)
def test_refusals(words: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "file"
    file.write_text("text\n")
    given = [word.format(file=file, folder=tmp_path / "new") for word in words]
    assert main(["sbe", str(guest("sbe/exceptions.elf")), *given]) == 2
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
