"""A range coder (Martin 1979) in integer arithmetic: symbols of known probability to bytes and
back.

Every symbol has an interval of `TOTAL`: its start and its size, at least 1. An interval of integers
below 2^64 is narrowed in proportion, and its leading bytes are written once they are determined; a
carry is propagated into written bytes. Python integers are exact, so a stream is the same on any
machine. The code exceeds -log2 of the product of the probabilities by at most two bytes, and by a
fraction of 2^-31 for intervals that do not divide evenly.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

BITS = 24  # bits of the sum of all frequencies
TOTAL = 1 << BITS
WIDTH = 64  # bits of the interval
LEAST = 1 << (WIDTH - 8)  # below this width the first byte is determined, except for a carry
LOW = (1 << (WIDTH - 8)) - 1
ALL = (1 << WIDTH) - 1


class Encoder:
    """Encodes symbols in order."""

    def __init__(self) -> None:
        self.low, self.span = 0, ALL
        self.written = bytearray()

    def put(self, parts: Iterable[tuple[int, int]]) -> None:
        """Encode symbols. parts: (start, size) of each, 0 <= start, 1 <= size, start + size <=
        `TOTAL`"""
        for start, size in parts:
            unit = self.span >> BITS
            self.low += unit * start
            self.span = unit * size
            if self.low > ALL:
                self._carry()
            while self.span < LEAST:
                self.written.append(self.low >> (WIDTH - 8))
                self.low = (self.low & LOW) << 8
                self.span <<= 8

    def _carry(self) -> None:
        self.low &= ALL
        at = len(self.written) - 1
        while self.written[at] == 255:
            self.written[at] = 0
            at -= 1
        self.written[at] += 1

    def finished(self) -> bytes:
        """Finish and return all bytes: the number in the interval with the fewest bytes, without
        trailing zeros, which `Decoder` supplies."""
        for kept in range(0, WIDTH + 1, 8):
            unit = 1 << (WIDTH - kept)
            number = -(-self.low // unit) * unit
            if number < self.low + self.span:
                break
        self.low = number
        if self.low > ALL:
            self._carry()
        return bytes(self.written + self.low.to_bytes(WIDTH // 8, "big")).rstrip(b"\0")


class Decoder:
    """Decodes the output of an `Encoder`."""

    def __init__(self, code: bytes) -> None:
        self.code = code + bytes(WIDTH // 8)
        self.at = WIDTH // 8
        self.value, self.span = int.from_bytes(self.code[: self.at], "big"), ALL

    def get(self, starts: Sequence[int]) -> int:
        """Decode the next symbol. starts: start of each symbol, from 0, followed by `TOTAL`"""
        unit = self.span >> BITS
        found = bisect_right(starts, min(self.value // unit, TOTAL - 1)) - 1
        start = starts[found]
        self.value -= unit * start
        self.span = unit * (starts[found + 1] - start)
        while self.span < LEAST:
            byte = self.code[self.at] if self.at < len(self.code) else 0
            self.value = (self.value << 8) | byte
            self.span <<= 8
            self.at += 1
        return found
