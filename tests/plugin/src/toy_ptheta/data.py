"""A source of data: a text file, `.lines`, with an image in each line, as hexadecimal bytes."""

from pathlib import Path

import numpy as np

from ptheta.data.image_data import ImageDataset
from ptheta.data.reader import SourceReader
from ptheta.data.request import Request
from ptheta.data.sources import PathKind
from ptheta.data.splits import Part


def read(path: Path) -> SourceReader:
    def part(request: Request) -> tuple[ImageDataset, Part]:
        rows = [bytes.fromhex(line) for line in path.read_text().split()]
        side = int(len(rows[0]) ** 0.5)
        images = np.frombuffer(b"".join(rows), np.uint8).reshape(-1, 1, side, side)
        return ImageDataset(path.stem, request.split, images), Part("train", divide=True)

    return SourceReader("file of lines", part)


LINES = PathKind.of_files(".lines", open=read)
