"""What is made of pictures goes to files of their names, of which no two are one."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from ptheta.api.given import names_of_results
from ptheta.api.pictures import Named
from ptheta.api.places import names_of

FOLDERS = (
    (("cat.jpg", "dog.png"), {"cat.png", "dog.png"}),
    (("a.jpg", "a.png"), {"a.jpg.png", "a.png.png"}),
    (("a.jpg", "a.png", "a.jpg.png"), {"a.jpg.png", "a.png.png", "a.jpg.png.png"}),
)


@pytest.mark.parametrize(("pictures", "names"), FOLDERS)
@pytest.mark.parametrize("each", [1, 3])
def test_no_answer_is_written_over_another(pictures, names, each):
    for order in permutations(pictures):
        paths = [Path(name) for name in order]
        translated = [n for of in names_of([Named(p.name, p) for p in paths], each) for n in of]
        for made in (translated, list(names_of_results(paths, each))):
            assert len(set(made)) == len(pictures) * each
            assert each > 1 or set(made) == names
