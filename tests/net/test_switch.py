"""Proves the switch with ports that are Python: flooding, learning, VLANs, bounds."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.machine.program import SPIN, program
from vmm import Machine, Outcome
from vmm.errors import HostError, UsageError
from vmm.monitor import ends
from vmm.monitor.cables import TRUNK, SwitchHandle, SwitchJack, plug_python

BROADCAST = b"\xff" * 6


def mac(number: int) -> bytes:
    return b"\x02\0\0\0\0" + bytes([number])


def frame(to: bytes, source: bytes, payload: bytes = b"hello", vlan: int | None = None) -> bytes:
    tag = b"" if vlan is None else b"\x81\x00" + vlan.to_bytes(2, "big")
    return to + source + tag + b"\x88\xb5" + payload


class Bench:
    """A switch whose ports note what comes out of them."""

    def __init__(self, *vlans: int, latency: int = 0) -> None:
        self.switch = SwitchHandle(latency)
        self.seen: list[list[tuple[bytes, int]]] = []
        self.jacks = [self.add(vlan) for vlan in vlans]

    def add(self, vlan: int) -> SwitchJack:
        jack = SwitchJack(self.switch, vlan)
        seen: list[tuple[bytes, int]] = []
        self.seen.append(seen)
        plug_python(jack, lambda data, when: seen.append((data, when)))
        return jack

    def send(self, port: int, data: bytes, when: int = 0) -> list[list[bytes]]:
        """What came out of each port for one frame into one port."""
        for seen in self.seen:
            seen.clear()
        self.jacks[port].give(data, when)
        return [[data for data, _ in seen] for seen in self.seen]


def test_unknown_addresses_are_flooded_and_known_ones_are_not() -> None:
    bench = Bench(0, 0, 0)
    there = frame(mac(2), mac(1))
    assert bench.send(0, there) == [[], [there], [there]]
    back = frame(mac(1), mac(2))
    assert bench.send(1, back) == [[back], [], []]
    assert bench.send(0, there) == [[], [there], []]


def test_broadcasts_and_multicasts_reach_all_but_their_sender() -> None:
    bench = Bench(0, 0, 0)
    for to in (BROADCAST, b"\x01\0\x5e\0\0\1"):
        data = frame(to, mac(1))
        assert bench.send(0, data) == [[], [data], [data]]


def test_an_address_that_moves_is_found_again() -> None:
    bench = Bench(0, 0, 0)
    bench.send(0, frame(BROADCAST, mac(1)))
    bench.send(1, frame(BROADCAST, mac(1)))
    data = frame(mac(1), mac(3))
    assert bench.send(2, data) == [[], [data], []]


def test_a_frame_to_where_it_comes_from_goes_nowhere() -> None:
    bench = Bench(0, 0)
    bench.send(0, frame(BROADCAST, mac(1)))
    assert bench.send(0, frame(mac(1), mac(1))) == [[], []]


def test_portgroups_do_not_hear_each_other() -> None:
    bench = Bench(10, 20, 10, 0)
    data = frame(BROADCAST, mac(1))
    assert bench.send(0, data) == [[], [], [data], []]
    assert bench.send(3, data) == [[], [], [], []]


def test_a_trunk_carries_every_vlan_with_its_tag() -> None:
    bench = Bench(10, 0, TRUNK)
    plain, tagged = frame(BROADCAST, mac(1)), frame(BROADCAST, mac(1), vlan=10)
    assert bench.send(0, plain) == [[], [], [tagged]]
    assert bench.send(1, plain) == [[], [], [plain]]
    assert bench.send(2, tagged) == [[plain], [], []]
    assert bench.send(2, plain) == [[], [plain], []]


def test_tags_from_a_port_that_is_no_trunk_are_dropped() -> None:
    bench = Bench(10, 10, 0, TRUNK)
    for port in (0, 2):
        assert bench.send(port, frame(BROADCAST, mac(1), vlan=10)) == [[], [], [], []]
    assert bench.switch.counters(bench.jacks[0].port).dropped == 1


def test_a_priority_tag_is_no_vlan() -> None:
    bench = Bench(10, 10)
    assert bench.send(0, frame(BROADCAST, mac(1), vlan=0)) == [[], [frame(BROADCAST, mac(1))]]


def test_one_address_in_two_vlans_is_two() -> None:
    bench = Bench(10, 20, TRUNK)
    bench.send(0, frame(BROADCAST, mac(1)))
    bench.send(1, frame(BROADCAST, mac(1)))
    for port, vlan in ((0, 10), (1, 20)):
        out = bench.send(2, frame(mac(1), mac(2), vlan=vlan))
        assert [len(frames) for frames in out] == [port == 0, port == 1, 0]


def test_frames_arrive_after_the_latency() -> None:
    bench = Bench(0, 0, latency=1000)
    bench.send(0, frame(BROADCAST, mac(1)), when=5)
    assert [when for _, when in bench.seen[1]] == [1005]


def test_a_removed_port_is_forgotten_and_its_number_not_used_again() -> None:
    bench = Bench(0, 0)
    bench.send(1, frame(BROADCAST, mac(2)))
    gone = bench.jacks[1].port
    bench.switch.remove(gone)
    bench.jacks[1] = bench.add(0)
    assert bench.jacks[1].port not in (gone, bench.jacks[0].port)
    data = frame(mac(2), mac(1))
    assert bench.send(0, data) == [[], [], [data]]
    with pytest.raises(UsageError):
        bench.switch.counters(gone)


def test_frames_of_no_possible_size_are_refused() -> None:
    bench = Bench(0, 0)
    for size in (0, 13, 16385):
        with pytest.raises(UsageError):
            bench.send(0, b"\xff" * size)
    largest = frame(BROADCAST, mac(1), bytes(16384 - 14))
    assert bench.send(0, largest) == [[], [largest]]


def test_a_frame_that_its_tag_makes_too_long_is_dropped() -> None:
    bench = Bench(10, TRUNK)
    assert bench.send(0, frame(BROADCAST, mac(1), bytes(16384 - 14))) == [[], []]
    assert bench.switch.counters(bench.jacks[1].port).dropped == 1


def test_65_ports_are_one_too_many() -> None:
    bench = Bench(*([0] * 64))
    with pytest.raises(Exception, match="no free port"):
        bench.add(0)


def test_a_vlan_that_is_none() -> None:
    with pytest.raises(UsageError, match="VLAN 4096"):
        Bench(4096)


def test_endless_answers_end() -> None:
    switch = SwitchHandle(0)
    jacks = [SwitchJack(switch), SwitchJack(switch)]
    for jack in jacks:
        plug_python(jack, jack.give)
    jacks[0].give(frame(BROADCAST, mac(1)), 0)
    assert sum(switch.counters(jack.port).dropped for jack in jacks) == 1


def test_an_end_whose_cable_is_pulled_is_forgotten() -> None:
    before = len(ends._ends)
    bench = Bench(0, 0)
    assert len(ends._ends) == before + 2
    bench.switch.remove(bench.jacks[0].port)
    assert len(ends._ends) == before + 1
    bench.switch.close()
    assert len(ends._ends) == before


def test_what_an_end_raises_is_not_lost(tmp_path: Path) -> None:
    bench = Bench(0)
    jack = SwitchJack(bench.switch)

    def fail(_data: bytes, _when: int) -> None:
        raise ValueError("no such frame")

    plug_python(jack, fail)
    bench.send(0, frame(BROADCAST, mac(1)))
    with Machine(program(tmp_path, SPIN), protocol="flat", memory="16M") as vm:
        with pytest.raises(HostError, match="the far end of a cable failed: ValueError: no such frame"):
            vm.run(timeout=0.01)
        assert vm.run(timeout=0.01).outcome is Outcome.TIMEOUT


@settings(max_examples=60, deadline=None)
@given(
    vlans=st.lists(st.sampled_from([0, 10, 20, TRUNK]), min_size=2, max_size=5),
    frames=st.lists(
        st.tuples(
            st.integers(0, 4), st.integers(0, 5), st.integers(1, 5), st.sampled_from([None, 0, 10, 30])
        ),
        max_size=30,
    ),
)
def test_like_a_model(vlans: list[int], frames: list[tuple[int, int, int, int | None]]) -> None:
    """The same as a switch of a dictionary and a few lines."""
    bench = Bench(*vlans)
    known: dict[tuple[int, int], int] = {}
    for port, to, source, tag in frames:
        if port >= len(vlans):
            continue
        trunk = vlans[port] == TRUNK
        destination = BROADCAST if to == 0 else mac(to)
        got = bench.send(port, frame(destination, mac(source), vlan=tag))
        want: list[list[bytes]] = [[] for _ in vlans]
        if trunk or not tag:
            vlan = (tag or 0) if trunk else vlans[port]
            known[vlan, source] = port
            target = known.get((vlan, to)) if to else None
            for other, its in enumerate(vlans):
                if other == port or its not in (vlan, TRUNK) or target not in (None, other):
                    continue
                shown = vlan if its == TRUNK and vlan else None
                want[other] = [frame(destination, mac(source), vlan=shown)]
        assert got == want
