"""What stands between images in a picture of many."""

import torch

from ptheta.files.images import grid


def test_lines_are_seen_between_images_that_are_white_at_their_edges():
    white = torch.full((3, 1, 4, 4), 250, dtype=torch.uint8)
    picture = grid(white, 2)
    assert (picture[4] < 200).all()
    assert (picture[:, 4] < 200).all()
    assert (grid(torch.zeros_like(white), 2)[4] == 255).all()
    assert (grid(white, 2, background=128)[4] == 128).all()
