"""The HTTP server of network boots (RFC 9110, 9112): GET, HEAD, ranges, persistent connections."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import unquote

PORT = 80
_MAX_HEAD = 16384
_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})")
_REASONS = {
    200: "OK",
    206: "Partial Content",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    416: "Range Not Satisfiable",
    431: "Request Header Fields Too Large",
}

ReadFile = Callable[[str], bytes | None]


class _Request(NamedTuple):
    method: str
    path: str
    version: str
    headers: dict[str, str]


def serve(read_file: ReadFile) -> Callable[[bytes], tuple[bytes | None, int, bool]]:
    """A server for `tcp.Connection` of the files that `read_file` knows by path."""

    def answer(incoming: bytes) -> tuple[bytes | None, int, bool]:
        end = incoming.find(b"\r\n\r\n")
        if end < 0:
            if len(incoming) > _MAX_HEAD:
                return _response(431, close=True), len(incoming), True
            return None, 0, False
        request = _read_head(incoming[:end].decode("latin-1"))
        if request is None:
            return _response(400, close=True), len(incoming), True
        close = _closes(request)
        return _answer(request, read_file, close), end + 4, close

    return answer


def _read_head(text: str) -> _Request | None:
    first, *lines = text.split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1."):
        return None
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            return None
        headers[name.lower()] = value.strip()
    # A body would follow that nobody here reads.
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        return None
    method, path, version = words
    return _Request(method, path, version, headers)


def _closes(request: _Request) -> bool:
    wish = request.headers.get("connection", "").lower()
    return wish == "close" or (request.version == "HTTP/1.0" and wish != "keep-alive")


def _answer(request: _Request, read_file: ReadFile, close: bool) -> bytes:
    if request.method not in ("GET", "HEAD"):
        return _response(405, close=close)
    path = re.sub(r"^https?://[^/]*", "", request.path).partition("?")[0]
    data = read_file(unquote(path))
    if data is None:
        return _response(404, close=close, with_body=request.method == "GET")
    code, part, extra = _part(data, request.headers.get("range"))
    return _response(code, part, extra, close=close, with_body=request.method == "GET")


def _part(data: bytes, wanted: str | None) -> tuple[int, bytes, str]:
    """(status, body, headers) for a `Range` header, if it is one we understand."""
    match = _RANGE.fullmatch(wanted) if wanted else None
    if match is None or match[0] == "bytes=-":
        return 200, data, ""
    size = len(data)
    if match[1]:
        first, last = int(match[1]), min(int(match[2]), size - 1) if match[2] else size - 1
    else:
        first, last = max(size - int(match[2]), 0), size - 1
    if first >= size or last < first:
        return 416, b"", f"Content-Range: bytes */{size}\r\n"
    return 206, data[first : last + 1], f"Content-Range: bytes {first}-{last}/{size}\r\n"


def _response(
    code: int, body: bytes | None = None, extra: str = "", *, close: bool, with_body: bool = True
) -> bytes:
    reason = _REASONS[code]
    content = f"{code} {reason}\n".encode() if body is None else body
    head = (
        f"HTTP/1.1 {code} {reason}\r\nServer: vmm\r\nAccept-Ranges: bytes\r\n"
        f"Content-Type: application/octet-stream\r\nContent-Length: {len(content)}\r\n{extra}"
        f"Connection: {'close' if close else 'keep-alive'}\r\n\r\n"
    )
    return head.encode() + (content if with_body else b"")
