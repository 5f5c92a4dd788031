"""Download over HTTP through Debian's e1000 driver: ours against QEMU's TCG, in interleaved boots.

`python -m bench.net [--runs N] [--mib N] [--json FILE]`. The server is a process of the host; both contenders
reach it through a user-mode network (libslirp). The runs in virtual time load a file of the same size, once,
from vmm's own boot server, whose network is part of the machine and as reproducible.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench import rates
from bench.boot import OURS, QEMU
from tests.net import linux

DOWNLOAD = "download"
QEMU_DEVICES = ("-netdev", "user,id=n", "-device", "e1000,netdev=n,romfile=")
SERVER = """\
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def log_message(self, *_):
        pass
data = bytes(int(sys.argv[1]))
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
"""


@contextmanager
def server(size: int) -> Iterator[int]:
    """The port of a process that answers every GET with `size` bytes."""
    command = [sys.executable, "-c", SERVER, str(size)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


def initrd(url: str, rounds: int) -> Path:
    """An initramfs that downloads `url` so many times."""
    lines = f"/timed {DOWNLOAD} wget -q -O /dev/null {url}\n" * rounds
    return rates.initrd(("e1000",), linux.DHCP + lines, {"etc/lease": linux.LEASE})


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; exit code 1 if a contender fails or our runs in virtual time differ."""
    options = rates.parser("bench.net", __doc__).parse_args(arguments)
    size = options.mib * rates.MIB
    image, amounts = rates.kernel(), {DOWNLOAD: size}
    with server(size) as port, tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "file").write_bytes(bytes(size))
        outside = initrd(f"http://10.0.2.2:{port}/file", rates.ROUNDS)
        inside = initrd("http://10.0.2.2/file", 1)
        contenders = {
            OURS: lambda: rates.rates(OURS, rates.ours(image, outside, nics=["user"]), amounts),
            QEMU: lambda: rates.rates(QEMU, rates.theirs(image, outside, QEMU_DEVICES), amounts),
        }
        cable = f"boot:{scratch}"
        return rates.compare(
            options, contenders, lambda runs: rates.same_figures(image, inside, runs, nics=[cable])
        )


if __name__ == "__main__":
    sys.exit(main())
