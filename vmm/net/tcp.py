"""The server's side of TCP (RFC 9293), as much as an HTTP server on a short cable needs.

Segments in, segments out, deadlines: no sockets, no clock of its own. In order only (what comes out of order
is acknowledged again and so comes once more), the window is the client's up to a limit, three equal
acknowledgements or a deadline send again from the first unacknowledged byte (RFC 6298 without its estimate:
the cable's delay is known). Leaves out SACK, timestamps, urgent data and congestion control.
"""

from __future__ import annotations

from collections.abc import Callable

from vmm.net.packets import ACK, FIN, PSH, RST, SYN, Segment

MSS = 1460
RETRY_NS = 200_000_000
MAX_TRIES = 8
_WINDOW = 65535
_IN_FLIGHT = 256 << 10
_MODULUS = 1 << 32
_DUPLICATES = 3

Serve = Callable[[bytes], tuple[bytes | None, int, bool]]
"""Given what has come in: (an answer or None for more, bytes used up, whether to close after it)."""


class Connection:
    """One client; `take` and `expire` return what to send. `first_seq` is ours."""

    def __init__(self, syn: Segment, first_seq: int, serve: Serve) -> None:
        self.closed = False
        self.deadline: int | None = None
        self._serve = serve
        self._local, self._remote = syn.to, syn.source
        self._mss = max(min(syn.mss or 536, MSS), 64)
        self._scale = syn.scale
        self._window = syn.window
        self._expected = (syn.seq + 1) % _MODULUS
        self._first = first_seq
        # Bytes since the SYN, which is number 0: acknowledged, sent next, and sent at most.
        self._una = self._next = self._most = 0
        self._incoming = b""
        self._outgoing = b""  # starts at byte `_base`
        self._base = 1
        self._fin: int | None = None  # the FIN's number, once it is known
        self._fin_got = False
        self._same = self._tries = 0

    def open(self, now: int) -> list[Segment]:
        """The answer to the SYN."""
        self._next = self._most = 1
        self.deadline = now + RETRY_NS
        return [self._syn_ack()]

    def _syn_ack(self) -> Segment:
        scale = 0 if self._scale is not None else None
        return self._segment(0, SYN | ACK)._replace(mss=MSS, scale=scale)

    def _segment(self, number: int, flags: int, payload: bytes = b"") -> Segment:
        seq = (self._first + number) % _MODULUS
        return Segment(self._local, self._remote, seq, self._expected, flags, _WINDOW, payload)

    def take(self, segment: Segment, now: int) -> list[Segment]:
        """What a segment of this connection is answered with."""
        if segment.flags & RST:
            self.closed = True
            return []
        if segment.flags & SYN:
            return [self._syn_ack()] if self._una == 0 else [self._segment(self._next, ACK)]
        if not segment.flags & ACK:
            return []
        again = self._acknowledged(segment, now)
        news = self._accept(segment)
        if self._is_finished():
            self.closed = True
            return [self._segment(self._next, ACK)] if news else []
        out = self._resend(now) if again else self._send(now)
        if news and not out:
            out = [self._segment(self._next, ACK)]
        return out

    def _acknowledged(self, segment: Segment, now: int) -> bool:
        """Note what has arrived there; whether something is missing there."""
        number = (segment.ack - self._first) % _MODULUS
        if number > self._most:
            return False
        # The scale counts from the segment on that answers our SYN.
        window, before = segment.window << (self._scale or 0), self._window
        self._window = window
        if number > self._una:
            self._una, self._same, self._tries = number, 0, 0
            self._next = max(self._next, number)
            self._forget()
            self.deadline = now + RETRY_NS if self._una < self._next else None
            return False
        if number == self._una < self._next and not segment.payload and window == before:
            self._same += 1
        return self._same == _DUPLICATES

    def _forget(self) -> None:
        """Drop what has arrived, in pieces so large that a long file is not copied for each of them."""
        gone = min(self._una - self._base, len(self._outgoing))
        if 2 * gone >= len(self._outgoing) > 0:
            self._outgoing, self._base = self._outgoing[gone:], self._base + gone

    def _accept(self, segment: Segment) -> bool:
        """Take what comes next; whether there was anything to acknowledge."""
        if not segment.payload and not segment.flags & FIN:
            return False
        skip = (self._expected - segment.seq) % _MODULUS
        if skip <= len(segment.payload) and not self._fin_got:
            fresh = segment.payload[skip:]
            self._incoming += fresh
            self._expected = (self._expected + len(fresh)) % _MODULUS
            if segment.flags & FIN:
                self._fin_got = True
                self._expected = (self._expected + 1) % _MODULUS
            self._answer()
        return True

    def _answer(self) -> None:
        while self._fin is None:
            data, used, close = self._serve(self._incoming)
            self._incoming = self._incoming[used:]
            if data is None:
                break
            self._outgoing += data
            if close:
                self._fin = self._base + len(self._outgoing)
        if self._fin_got and self._fin is None:
            self._fin = self._base + len(self._outgoing)

    def _is_finished(self) -> bool:
        return self._fin is not None and self._una == self._fin + 1 and self._fin_got

    def _send(self, now: int) -> list[Segment]:
        """As much as the client's window takes."""
        out = []
        end = self._base + len(self._outgoing)
        limit = self._una + min(self._window, _IN_FLIGHT)
        while self._una and self._next < min(end, limit):
            start = self._next - self._base
            length = min(self._mss, limit - self._next, end - self._next)
            flags = ACK | PSH if self._next + length == end else ACK
            out.append(self._segment(self._next, flags, self._outgoing[start : start + length]))
            self._next += length
        if self._una and self._fin == self._next:
            out.append(self._segment(self._next, FIN | ACK))
            self._next += 1
        self._most = max(self._most, self._next)
        # Also with a closed window: its opening may get lost, and then somebody must ask.
        waits = self._una < self._next or self._next < end
        if waits and (self.deadline is None or out):
            self.deadline = now + RETRY_NS
        return out

    def _resend(self, now: int) -> list[Segment]:
        self._next = max(self._una, 1)
        self._same = 0
        if self._una == 0:
            self.deadline = now + RETRY_NS
            return [self._syn_ack()]
        return self._send(now)

    def expire(self, now: int) -> list[Segment]:
        """The deadline has come: once more, or give up."""
        self.deadline = None
        self._tries += 1
        if self._tries > MAX_TRIES:
            self.closed = True
            return [self._segment(self._next, RST | ACK)]
        if self._window == 0 and self._una == self._next:
            self._window = 1  # a probe
        return self._resend(now)


def refuse(segment: Segment) -> Segment | None:
    """The answer to a segment for which there is no connection."""
    if segment.flags & RST:
        return None
    if segment.flags & ACK:
        return Segment(segment.to, segment.source, segment.ack, 0, RST, 0)
    length = len(segment.payload) + bool(segment.flags & SYN) + bool(segment.flags & FIN)
    return Segment(segment.to, segment.source, 0, (segment.seq + length) % _MODULUS, RST | ACK, 0)
