"""Proves the comparison of reports over arbitrary ones: it fails exactly when a figure rose."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from vmm.bench import baseline, cost
from vmm.bench.exact import EVENTS

NAMES = ("instructions", "monitor_entries", "tlb_fills")
CLASSES = ("CR", "IO")
COUNTS = st.integers(0, 3)
FIGURES = st.fixed_dictionaries(
    {
        **dict.fromkeys(NAMES, COUNTS),
        "traps": st.dictionaries(st.sampled_from(CLASSES), st.integers(1, 3)),
        "sites": st.dictionaries(
            st.sampled_from(["event+0x0 CLTS", "entry+0x3 IN"]),
            st.fixed_dictionaries(
                {"class": st.just("CR"), "bytes": st.just("0f06"), "hits": st.integers(1, 3)}
            ),
        ),
    }
)
KERNELS = st.dictionaries(
    st.sampled_from(["one", "two"]),
    st.fixed_dictionaries(
        {
            "classes": st.just(["CR"]),
            "techniques": st.fixed_dictionaries({"trap": st.builds(dict, exact=FIGURES)}),
        }
    ),
    min_size=1,
)


def report(kernels: Any) -> dict[str, Any]:
    return {"events": EVENTS, "kernels": kernels}


def rose(before: Any, now: Any) -> bool:
    plain = any(now[name] > before[name] for name in NAMES)
    return plain or any(now["traps"].get(name, 0) > before["traps"].get(name, 0) for name in CLASSES)


@given(before=KERNELS, now=KERNELS)
def test_it_fails_exactly_when_something_rose(before: Any, now: Any) -> None:
    findings = baseline.compare(report(before), report(now))
    for name in before:
        mine = [one for one in findings if one.text.startswith(name)]
        if name not in now:
            assert [one.worse for one in mine] == [True]
            continue
        figures = [each[name]["techniques"]["trap"]["exact"] for each in (before, now)]
        assert any(one.worse for one in mine) == rose(*figures)
        for site in figures[0]["sites"].keys() ^ figures[1]["sites"].keys():
            assert not mine or site in mine[0].text


@given(kernels=KERNELS)
def test_a_report_equals_itself(kernels: Any) -> None:
    assert baseline.compare(report(kernels), report(kernels)) == []


@given(st.fixed_dictionaries(dict.fromkeys(cost.CYCLES, COUNTS)), st.sampled_from(list(cost.CYCLES)))
def test_every_counter_costs_something(counters: dict[str, int], name: str) -> None:
    more = {**counters, name: counters[name] + 1}
    assert cost.cycles(more) - cost.cycles(counters) == cost.CYCLES[name] > 0
