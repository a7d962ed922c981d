"""Image grids with captions for the rows, and hatching of unknown pixels."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

MOST_ROWS = 24  # maximum rows with captions; more conditions are shown in a plain grid
LARGEST, SMALLEST = 15, 9  # font size in pixels
WIDEST = 240  # width in pixels of the margin for captions
PAD = 6
LEADING = 1.2  # line spacing, relative to the font size
NARROW, READ = 390, 11  # width in pixels of a phone screen, and minimum font size there
INK = 40  # grey value of the text, out of 255
STRIPES, STRIPE = 16, 2  # hatching: stripes per image, minimum width in pixels
DARK, LIGHT = 96, 176


def rows_in_turn(x: Tensor, rows: int) -> tuple[Tensor, int]:
    """Reorder images of `rows` conditions in turn (0, 1, ..., 0, 1, ...) to one row per condition,
    padded with white images; also returns the number of columns."""
    columns = -(-len(x) // rows)
    missing = rows * columns - len(x)
    full = torch.cat([x, x.new_full((missing, *x.shape[1:]), 255)])
    return full.unflatten(0, (columns, rows)).transpose(0, 1).flatten(0, 1), columns


def in_rows(count: int, n: int) -> bool:
    """Whether n images of `count` conditions in turn are shown with one row per condition."""
    return 1 < count <= MOST_ROWS and n >= count


def captioned(image: Image.Image, texts: Sequence[str]) -> Image.Image:
    """Add a text to the left of each row of an image, wrapped to the height of the row, with a
    common font size at which the longest text fits. Rows have equal heights."""
    height = image.height / len(texts)
    size = int(min(LARGEST, max(SMALLEST, 0.6 * height)))
    while size > SMALLEST and not all(_fits(text, size, height) for text in texts):
        size -= 1
    font, most = _font(size), _most_lines(size, height)
    shown = [_lines(text, font, most) for text in texts]
    margin = int(max(font.getlength(line) for lines in shown for line in lines)) + 2 * PAD
    grey = image.mode == "L"
    canvas = Image.new(
        image.mode, (image.width + margin, image.height), 255 if grey else (255, 255, 255)
    )
    canvas.paste(image, (margin, 0))
    draw = ImageDraw.Draw(canvas)
    for row, lines in enumerate(shown):
        for i, line in enumerate(lines):
            y = (row + 0.5) * height + (i - (len(lines) - 1) / 2) * LEADING * size
            at = (margin - PAD, int(y))
            draw.text(at, line, fill=INK if grey else (INK, INK, INK), font=font, anchor="rm")
    return canvas


def headed(image: Image.Image, texts: Sequence[str], left: int = 0) -> Image.Image:
    """Add a text above each column of an image, one word per line, in a font that is legible if the
    image is displayed `NARROW` pixels wide. Columns have equal widths.

    left: width in pixels of the left margin
    """
    width = (image.width - left) / len(texts)
    words = [text.split() for text in texts]
    size = max(READ, math.ceil(READ * image.width / NARROW))
    font = _font(size)
    longest = max(font.getlength(word) for column in words for word in column)
    if longest > width - 2:  # a smaller font is more legible than half a word
        size = max(SMALLEST, int(size * (width - 2) / longest))
        font = _font(size)
    line = round(1.25 * size)
    height = line * max(map(len, words)) + line // 2
    grey = image.mode == "L"
    canvas = Image.new(
        image.mode, (image.width, image.height + height), 255 if grey else (255, 255, 255)
    )
    canvas.paste(image, (0, height))
    draw = ImageDraw.Draw(canvas)
    for column, text in enumerate(words):
        for i, word in enumerate(reversed(text)):
            at = (left + int((column + 0.5) * width), height - line // 4 - i * line)
            draw.text(at, word, fill=INK if grey else (INK, INK, INK), font=font, anchor="md")
    return canvas


def titled(image: Image.Image, text: str) -> Image.Image:
    """Add a title above an image, wrapped without truncation."""
    size = max(READ, math.ceil(READ * image.width / NARROW))
    font = _font(size)
    wide = min(max(image.width - 2 * PAD, WIDEST), math.ceil(font.getlength(text)))
    lines = _wrapped(text, font, wide)
    line = round(1.25 * size)
    height = line * len(lines) + line // 2
    grey = image.mode == "L"
    width = max(image.width, wide + 2 * PAD)
    canvas = Image.new(image.mode, (width, image.height + height), 255 if grey else (255, 255, 255))
    canvas.paste(image, (0, height))
    draw, fill = ImageDraw.Draw(canvas), INK if grey else (INK, INK, INK)
    for i, words in enumerate(lines):
        at = (PAD, line // 4 + i * line + line // 2)
        draw.text(at, words, fill=fill, font=font, anchor="lm")
    return canvas


def hatched(x: Tensor, known: Tensor) -> Tensor:
    """Draw stripes over the unknown pixels of images uint8 (B, C, H, W). known: bool,
    broadcastable"""
    h, w = x.shape[2:]
    across, wide = (
        torch.arange(h)[:, None] + torch.arange(w),
        max(STRIPE, min(h, w) // 2 // STRIPES),
    )
    stripes = torch.where(across // wide % 2 == 0, DARK, LIGHT).to(torch.uint8)
    return torch.where(known, x, stripes.expand_as(x))


def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which is bundled with matplotlib: Latin, Greek, Cyrillic and more."""
    import matplotlib  # slow to import

    file = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(file), size)


def _most_lines(size: int, height: float) -> int:
    """Maximum number of lines of a font size in a row."""
    return max(1, int(height / (LEADING * size)))


def _fits(text: str, size: int, height: float) -> bool:
    """Whether a text of a font size fits next to a row."""
    return len(_wrapped(text, _font(size), WIDEST)) <= _most_lines(size, height)


def _lines(text: str, font: ImageFont.FreeTypeFont, most: int) -> list[str]:
    """Wrap the text to at most `most` lines, truncated if it is too long."""
    lines = [""]
    words = text.split()
    for i, word in enumerate(words):
        longer = f"{lines[-1]} {word}".strip()
        if not lines[-1] or font.getlength(longer) <= WIDEST:
            lines[-1] = longer
        elif len(lines) < most:
            lines.append(word)
        else:
            lines[-1] = " ".join([lines[-1], *words[i:]])
            break
    return [_fitting(line, font) for line in lines]


def _fitting(text: str, font: ImageFont.FreeTypeFont) -> str:
    """A line, truncated if it is too long."""
    if font.getlength(text) <= WIDEST:
        return text

    def too_long(letters: int) -> bool:
        return font.getlength(f"{text[:letters]}…") > WIDEST

    return f"{text[: bisect_left(range(1, len(text)), True, key=too_long)]}…"


def _wrapped(text: str, font: ImageFont.FreeTypeFont, wide: float) -> list[str]:
    """Wraps the text to a width in pixels; breaks longer words."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) <= wide:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and font.getlength(lines[-1] + letter) > wide:
                lines.append("")
            lines[-1] += letter
    return lines
