"""What `--nic` plugs in: switches between VMs and processes, the user-mode network, TAPs, the boot server.

Reading order: `spec.py` (what a user writes), `adapters.py` (from that to cables), `switch.py` and
`meeting.py` (a switch here, and one that processes share), `slirp.py`, `tap.py`; `boot_server.py` with the
protocols it speaks: `packets.py`, `dhcp.py`, `tftp.py`, `tcp.py`, `http.py`, `router6.py`. Frames are moved
in C, csrc/net/.
"""
