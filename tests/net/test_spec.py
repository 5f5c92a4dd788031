"""Proves that what is written for a NIC is read, or refused in one line that says what to write."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.machine.program import SPIN, program
from vmm import Machine, Switch
from vmm.cli import main
from vmm.errors import UsageError, VmmError
from vmm.monitor import NicModel
from vmm.net.spec import check_nics, parse_nic, parse_share, parse_time


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("user", {"kind": "user", "model": NicModel.E82545EM, "mac": None}),
        ("none,model=82540em", {"kind": "none", "model": NicModel.E82540EM}),
        ("switch:lab,vlan=10", {"kind": "switch", "target": "lab", "vlan": 10}),
        ("tap:tap0,mac=00:0c:29:01:02:0A", {"target": "tap0", "mac": bytes.fromhex("000c2901020a")}),
        ("boot:/srv/tftp,file=pxelinux.0", {"target": "/srv/tftp", "boot_file": "pxelinux.0"}),
        ("dgram:a,peer=b", {"target": "a", "peer": "b"}),
        (
            "user,loss=1%,corrupt=0.5,delay=10ms,seed=7",
            {"loss": 0.01, "corrupt": 0.5, "delay": 10**7, "seed": 7},
        ),
        ("user,pcap=x.pcapng", {"pcap": Path("x.pcapng")}),
    ],
)
def test_what_is_written_is_read(text: str, fields: dict[str, Any]) -> None:
    spec = parse_nic(text)
    assert {name: getattr(spec, name) for name in fields} == fields


def test_forwards_repeat() -> None:
    spec = parse_nic("user,forward=tcp:8080:80,forward=udp:0.0.0.0:53:5353")
    loopback = 0x7F000001
    assert spec.forwards == ((False, loopback, 8080, 80), (True, 0, 53, 5353))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "write one of user"),
        ("bridge", "write one of user"),
        ("user:x", "write one of user"),
        ("switch", "write one of user"),
        ("switch:", "write one of user"),
        ("switch:../x", "a switch's name has"),
        ("user,foo=1", "unknown key 'foo'"),
        ("user,vlan=1", "vlan= is for switch"),
        ("switch:a,forward=tcp:1:2", "forward= is for user"),
        ("switch:a,vlan=4096", "a number from 0 to 4095"),
        ("user,mac=1", "write six bytes"),
        ("user,mac=01:00:00:00:00:00", "no multicast"),
        ("user,mac=00:00:00:00:00:00", "not all 0"),
        ("user,model=rtl8139", "known are 82545em, 82540em"),
        ("user,loss=2", "more than all"),
        ("user,loss=x", "no share"),
        ("user,delay=5", "not a time"),
        ("user,delay=61s", "longer than a minute"),
        ("user,pcap", "needs a value"),
        ("user,forward=tcp:1", "write tcp:HOSTPORT:GUESTPORT"),
        ("dgram:a", "peer=SOCKET"),
    ],
)
def test_what_cannot_be_is_one_line(text: str, complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_nic(text)
    assert complaint in str(caught.value)
    assert "\n" not in str(caught.value)


def test_shares_and_times() -> None:
    assert (parse_share("0"), parse_share("1"), parse_share("2.5%")) == (0, 1, 0.025)
    assert (parse_time("5ns"), parse_time("2.5us"), parse_time("1s")) == (5, 2500, 10**9)


def test_addresses_are_made_up_and_never_twice() -> None:
    macs = [spec.mac for spec in check_nics(["user", "none", "none,mac=00:0c:29:00:00:03", "user"])]
    assert macs == [bytes.fromhex(f"000c2900000{last}") for last in (1, 2, 3, 4)]
    with pytest.raises(UsageError, match="given to two NICs"):
        check_nics(["user,mac=00:0c:29:00:00:01", "none,mac=00:0c:29:00:00:01"])
    with pytest.raises(UsageError, match="at most 8"):
        check_nics(["none"] * 9)
    shared = [spec.mac for spec in check_nics(["switch:a", "switch:a"])]
    assert shared[0] != shared[1]


def test_a_switch_gives_each_nic_an_address_of_its_own() -> None:
    with Switch("lab", portgroups={"Production": 10}) as lab, Switch("other") as other:
        nics = [lab.nic(), lab.nic("Production"), other.nic()]
        assert len({nic.mac for nic in nics}) == 3
        assert [nic.vlan for nic in nics] == [0, 10, 0]
        with pytest.raises(UsageError, match="already"):
            lab.nic(mac=nics[0].mac)
        with pytest.raises(UsageError, match="no portgroup 'Test'; it has VM Network, Production"):
            lab.nic("Test")
    with Switch("lab") as lab:
        assert lab.nic().mac == nics[0].mac


@pytest.mark.parametrize(
    ("nic", "complaint"),
    [
        ("tap:no/such", "an interface's name"),
        ("stream:{folder}/none", "start the other end first"),
        ("dgram:{folder}/a,peer={folder}/b", "start the other end first"),
        ("dgram:{folder}/no/a,peer={folder}/b", "No such file"),
        ("boot:{folder}/none", "not a folder"),
        ("boot:{folder},file=none", "file=none: not a file"),
        ("none,pcap={folder}/no/x", "No such file"),
    ],
)
def test_what_cannot_be_plugged_in_is_one_line(
    nic: str, complaint: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    image = program(tmp_path, SPIN)
    nic = nic.format(folder=tmp_path)
    assert main(["run", str(image), "--protocol", "flat", "--memory", "16M", "--nic", nic]) == 2
    said = capfd.readouterr().err
    assert complaint in said
    assert said.count("\n") == 1


def test_a_port_of_the_host_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        nic = f"user,forward=tcp:{server.getsockname()[1]}:80"
        with pytest.raises(VmmError, match="Address already in use"):
            Machine(program(tmp_path, SPIN), protocol="flat", memory="16M", nics=[nic])


def test_a_missing_library_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vmm.net import slirp

    monkeypatch.setattr(slirp, "LIBRARY", "libslirp-of-nobody.so")
    slirp._functions.cache_clear()
    try:
        with pytest.raises(VmmError, match="install libslirp0"):
            Machine(program(tmp_path, SPIN), protocol="flat", memory="16M", nics=["user"])
    finally:
        slirp._functions.cache_clear()


def test_the_report_names_each_nic(tmp_path: Path) -> None:
    image, report = program(tmp_path, SPIN), tmp_path / "run.json"
    nics = ("--nic", "none", "--nic", f"boot:{tmp_path},mac=00:0c:29:00:00:07")
    options = ("--protocol", "flat", "--memory", "16M", "--timeout", "0.01", "--json", str(report))
    assert main(["run", str(image), *options, *nics]) == 124
    first, second = json.loads(report.read_text())["nics"]
    assert (first["kind"], first["mac"]) == ("none", "00:0c:29:00:00:01")
    assert (second["kind"], second["target"]) == ("boot", str(tmp_path))
    assert second["rx_frames"] == second["tx_frames"] == 0


def test_roms_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "rom").write_bytes(b"not a ROM" * 100)
    with pytest.raises(UsageError, match="not an option ROM"):
        parse_nic(f"none,rom={tmp_path}/rom")
    with pytest.raises(UsageError, match="No such file"):
        parse_nic(f"none,rom={tmp_path}/none")
    (tmp_path / "rom").write_bytes(b"\x55\xaa" + bytes(1022))
    with pytest.raises(UsageError, match="for firmware to run"):
        Machine(program(tmp_path, SPIN), protocol="flat", memory="16M", nics=[f"none,rom={tmp_path}/rom"])


WORDS = st.sampled_from(
    ["user", "switch:a", "boot:/tmp", "none", "mac=", "rom=", "pcap=", "forward=", "loss=", "tcp:"]
)


@given(st.lists(st.one_of(WORDS, st.text(max_size=12)), max_size=6))
def test_whatever_is_written_is_read_or_refused(words: list[str]) -> None:
    for text in (",".join(words), "user," + "".join(words), "user,rom=" + "".join(words)):
        try:
            parse_nic(text)
        except UsageError as error:
            assert str(error).isprintable()
