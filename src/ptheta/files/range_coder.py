"""A range coder (Martin 1979): symbols of known probability to bytes and back, in whole numbers.

Every symbol has a part of `TOTAL`: where it starts, and how much it has, at least 1. An interval of
numbers below 2^64 is narrowed to that part, and its leading bytes are written once they are
settled; a carry goes back into those that are written. Whole numbers of Python are exact, so a
stream is the same on any machine. The code is longer than -log2 of the product of the parts by two
bytes at most, and by 2^-31 of itself for what is lost where an interval does not divide evenly.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

BITS = 24  # of the sum of all parts
TOTAL = 1 << BITS
WIDTH = 64  # bits of the interval
LEAST = 1 << (WIDTH - 8)  # width from which on the first byte is settled, but for a carry
LOW = (1 << (WIDTH - 8)) - 1
ALL = (1 << WIDTH) - 1


class Encoder:
    """Writes symbols, the first of them first."""

    def __init__(self) -> None:
        self.low, self.span = 0, ALL
        self.written = bytearray()

    def put(self, parts: Iterable[tuple[int, int]]) -> None:
        """parts: (start, size) of each symbol, 0 <= start, 1 <= size, start + size <= `TOTAL`"""
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
        """All bytes: of the numbers in the interval the one with the fewest that are not 0, which
        `Decoder` supplies."""
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
    """Reads what an `Encoder` has written."""

    def __init__(self, code: bytes) -> None:
        self.code = code + bytes(WIDTH // 8)
        self.at = WIDTH // 8
        self.value, self.span = int.from_bytes(self.code[: self.at], "big"), ALL

    def get(self, starts: Sequence[int]) -> int:
        """The number of the next symbol. starts: of the part of each, the first 0, and `TOTAL`"""
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
