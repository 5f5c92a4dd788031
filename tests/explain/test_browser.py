"""Proves the report in a real browser: no complaint on its console and no request to anybody, search, filters
and order, without scripts, on a phone, on paper; for Debian's kernel with its thousands of sites, and for an
image whose names attack the page."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import packages
from tests.boot.cloud_kernel import command
from tests.explain.browser import Browser, browser
from tests.explain.test_report import EVIL, RUN, report
from tests.guests_build import guest
from tests.initramfs import MARKER, marker_initramfs
from vmm.cli import main

PNG, PDF = b"\x89PNG\r\n", b"%PDF-"
PHONE_WIDTH, A4_WIDTH = 390, 794
SHOWN = "[...document.querySelectorAll('#list > li')].filter(e => !e.hidden)"
PLACES = f"{SHOWN}.map(e => e.querySelector('.place').textContent)"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    packages.require_program("chromium")
    with browser() as one:
        one.screen(1280, 900)
        yield one


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of Debian's kernel, walked and run."""
    packages.require_program("chromium")
    folder = tmp_path_factory.mktemp("debian") / "report"
    image, *options = command(marker_initramfs())
    words = ["sbe", image, "--run", *options, "--until", MARKER, "--timeout", "60", "--report", folder]
    assert main([str(word) for word in words]) == 0
    return folder


def choose(chromium: Browser, control: str, value: str, event: str = "change") -> None:
    """Set a control as a user does, and wait for two frames."""
    script = (
        f"(() => {{ const c = document.getElementById({json.dumps(control)}); c.value = {json.dumps(value)};"
        f" c.dispatchEvent(new Event({json.dumps(event)})); }})();"
        "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"
    )
    assert chromium.value(script) is True


def test_debians_kernel(chromium: Browser, kernel: Path) -> None:
    written: dict[str, Any] = json.loads((kernel / "report.json").read_text())
    page = (kernel / "report.html").as_uri()
    chromium.requests.clear()
    chromium.open(page)
    assert chromium.complaints == []
    assert chromium.requests == [page]
    sites = written["sites"]
    assert len(sites) > 4000
    assert (
        chromium.value("document.getElementById('count').value") == f"{len(sites):,} of {len(sites):,} sites"
    )
    # List items are numbered anew for each one that is hidden, which takes minutes with so many.
    assert chromium.value("getComputedStyle(document.querySelector('#list > li')).display") == "block"

    choose(chromium, "search", "native_read_msr rdmsr", "input")
    found = chromium.value(PLACES)
    assert found
    assert all(place.startswith("native_read_msr") for place in found)
    choose(chromium, "search", "", "input")

    choose(chromium, "class", "CPUID")
    assert len(chromium.value(PLACES)) == sum(site["class"] == "CPUID" for site in sites)
    choose(chromium, "found", "both")
    both = [site for site in sites if site["class"] == "CPUID" and site["found"] == "both"]
    assert len(chromium.value(PLACES)) == len(both)
    choose(chromium, "found", "")
    choose(chromium, "class", "")

    choose(chromium, "order", "traps")
    order = chromium.value(f"{SHOWN}.map(e => Number(e.dataset.traps))")
    assert order == sorted((site["traps"] or 0 for site in sites), reverse=True)
    choose(chromium, "order", "address")
    shown = chromium.value(f"{SHOWN}.map(e => BigInt(e.querySelector('.address').textContent).toString())")
    assert [int(address) for address in shown] == sorted(site["address"] for site in sites)
    assert chromium.complaints == []


def test_debians_kernel_is_named_and_counted(kernel: Path) -> None:
    written = json.loads((kernel / "report.json").read_text())
    assert written["names"] == "the image's kallsyms"
    assert written["run"]["traps"] == sum(one["traps"] for one in written["classes"]) > 50_000
    kernel_sites = [site for site in written["sites"] if site["found"] in ("walk", "both")]
    named = [site for site in kernel_sites if site["function"]]
    assert len(named) > 0.99 * len(kernel_sites)
    # The kernel's first code runs where it is loaded, not where it is linked; it is the image's all the same.
    assert {site["cpl"] for site in written["sites"] if site["found"] == "outside"} == {3}
    assert "startup_64" in {site["function"] for site in kernel_sites if site["found"] == "both"}
    dearest = {site["function"] for site in written["sites"][:10]}
    assert "delay_tsc" in dearest


def test_a_link_opens_its_site(chromium: Browser, tmp_path: Path) -> None:
    report(tmp_path / "report", guest("sbe/exceptions.elf"), *RUN, "--sbe", "full")
    chromium.open((tmp_path / "report" / "report.html").as_uri())
    chromium.value("document.querySelector('.missed a').click()")
    chromium.value("new Promise(done => requestAnimationFrame(() => setTimeout(done, 0)))")
    assert chromium.value("document.querySelector(':target details').open") is True
    assert chromium.complaints == []


def test_phone_dark_paper_and_no_scripts(chromium: Browser, tmp_path: Path) -> None:
    report(tmp_path / "report", guest("sbe/exceptions.elf"), *RUN)
    page = (tmp_path / "report" / "report.html").as_uri()
    chromium.screen(PHONE_WIDTH, 844, scale=2, mobile=True)
    chromium.open(page)
    assert chromium.value("document.documentElement.scrollWidth") <= PHONE_WIDTH
    assert chromium.screenshot().startswith(PNG)
    light = chromium.value("getComputedStyle(document.body).backgroundColor")
    chromium.media(scheme="dark")
    assert chromium.value("getComputedStyle(document.body).backgroundColor") != light
    chromium.media()
    chromium.screen(1280, 900)
    chromium.media(kind="print")
    assert chromium.value("getComputedStyle(document.querySelector('.controls')).display") == "none"
    # On a sheet of A4 a site's summary is one line, not the stack that a phone has.
    chromium.screen(A4_WIDTH, 1123)
    lines = "new Set([...document.querySelectorAll('#list summary')[0].children].map(e => e.offsetTop)).size"
    assert chromium.value(lines) < 4
    chromium.screen(1280, 900)
    chromium.media()
    assert chromium.pdf().startswith(PDF)
    chromium.scripts(run=False)
    chromium.open(page)
    chromium.scripts(run=True)
    assert chromium.value("document.querySelector('.controls').hidden") is True
    chromium.value("document.querySelector('#list summary').click()")
    assert chromium.value("document.querySelector('#list details').open") is True
    assert chromium.complaints == []


def test_hostile_names_do_nothing(chromium: Browser, tmp_path: Path) -> None:
    symbols = tmp_path / "System.map"
    symbols.write_text(f"0000000000100000 T {EVIL}\n")
    report(tmp_path / "report", guest("sbe/exceptions.elf"), "--symbols", symbols, *RUN)
    chromium.requests.clear()
    page = (tmp_path / "report" / "report.html").as_uri()
    chromium.open(page)
    assert chromium.value("document.querySelectorAll('script, img').length") == 1
    assert "</script><script>evil()" in chromium.value("document.querySelector('.place').textContent")
    assert chromium.complaints == []
    assert chromium.requests == [page]


def test_complaints_are_heard(chromium: Browser, tmp_path: Path) -> None:
    bad = tmp_path / "bad.html"
    bad.write_text(
        "<script>console.log('heard'); undefined_function()</script><img src='http://127.0.0.1:9/x'>"
    )
    chromium.open(bad.as_uri())
    heard = " ".join(chromium.complaints)
    chromium.complaints.clear()
    assert "heard" in heard
    assert "undefined_function" in heard
    assert "http://127.0.0.1:9/x" in chromium.requests
