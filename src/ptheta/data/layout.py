"""Which folders below a folder of pictures are its splits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ptheta.data.splits import WORDS
from ptheta.data.tree import Tree

SPLIT_OF = {word: split for split, words in WORDS.items() for word in words}
# a word for a split, apart from other letters: trainA, train2017, test_images, DIV2K_valid_HR
NAME = re.compile(
    rf"(?P<before>(?:.*[^A-Za-z])?)(?P<word>(?i:{'|'.join(sorted(SPLIT_OF, key=len)[::-1])}))"
    r"(?P<after>(?![a-z]).*)"
)
MASKS = re.compile(r"(^|[^a-z])(masks?|annotations?|labels?|segmentations?)([^a-z]|$)")
PICTURES = re.compile(r"(^|[^a-z])(images?|imgs?|pictures|pics|photos|jpegimages)([^a-z]|$)")


@dataclass(frozen=True)
class Root:
    """A folder with pictures of one split. label: label of all of them; None if the subfolders are
    the labels.
    """

    path: Tree
    label: str | None = None


@dataclass(frozen=True)
class Layout:
    """The folders of each split, which other folders there are, and a line for the user or none."""

    parts: dict[str, tuple[Root, ...]]
    outside: tuple[Tree, ...] = ()
    note: str = ""


def layout(folder: Tree, paired: bool = False) -> Layout:
    """The splits of a folder; the folder itself as train if it has none.

    paired: whether every subfolder counts, since two of them hold inputs and targets

    Splits are subfolders with split names that agree in the rest of the name, one of them train.
    They may be one level down: in the only subfolder with pictures (or the one called images), or
    in every subfolder, which then are the classes. A subfolder `train` among others without split
    names is a class (of trains).
    """
    below = folder.folders()
    if parts := _splits(below):
        return _made(parts, below)
    if not folder.has_pictures():
        full = [path for path in below if path.holds_pictures()]
        called = [path for path in full if PICTURES.search(path.name.lower())]
        one = full[0] if len(full) == 1 else called[0] if len(called) == 1 else None
        if paired and len(full) == 2:
            one = None
        if one is not None and (parts := _splits(one.folders())):
            return _made(parts, [*(p for p in below if p != one), *one.folders()])
        each = {path: _splits(path.folders()) for path in full}
        if len(full) > 1 and all(each.values()):
            return _by_class(each)
    odd = [p.name for p in below if NAME.fullmatch(p.name)]
    note = f"{', '.join(odd)}: named like a split but read as a class" if odd else ""
    return Layout({"train": (Root(folder),)}, note=note)


def whole_layout(folder: Tree) -> Layout:
    """The whole folder as one part, without masks next to its pictures."""
    splits = layout(folder)
    masks = tuple(path for path in splits.outside if MASKS.search(path.name.lower()))
    if not masks:
        return Layout({"train": (Root(folder),)})
    others = (Root(path) for path in splits.outside if path not in masks)
    named = (Root(root.path) for roots in splits.parts.values() for root in roots)
    return Layout({"train": (*named, *others)}, masks)


Splits = dict[str, list[Tree]]  # the folders of each split


def _splits(below: Iterable[Tree]) -> dict[str, tuple[Root, ...]]:
    """The splits named by some folders, or none; the rest of their names has to agree."""
    below = list(below)
    by_rest = _by_rest(below)
    whole = {rest: s for rest, s in by_rest.items() if "train" in s and len(s) > 1}
    # those of one letter may lack a held-out part
    letters = {rest: s for rest, s in by_rest.items() if re.fullmatch(r"[A-Z]", rest)}
    domains = {rest: splits for rest, splits in letters.items() if "train" in splits}
    if len(domains) > 1 and "" not in whole:
        return _of_domains(domains)
    if whole:
        rest = min(whole, key=lambda rest: (bool(rest), not PICTURES.search(rest.lower()), rest))
        return {split: tuple(map(Root, paths)) for split, paths in whole[rest].items()}
    if len(below) == 1 and "train" in by_rest.get("", {}):
        return {"train": (Root(below[0]),)}
    return {}


def _by_rest(below: Iterable[Tree]) -> dict[str, Splits]:
    """The folders with split names, grouped by the rest of the name."""
    by_rest: dict[str, Splits] = {}
    for path in below:
        if match := NAME.fullmatch(path.name):
            # years and other numbers differ between the parts of one set
            rest = re.sub(r"\d+$", "", match["before"] + match["after"]).strip("_- .")
            split = SPLIT_OF[match["word"].lower()]
            by_rest.setdefault(rest, {}).setdefault(split, []).append(path)
    return by_rest


def _of_domains(domains: Mapping[str, Splits]) -> dict[str, tuple[Root, ...]]:
    """The splits of trainA, trainB, testA, testB, ...: the letters are labels."""
    parts: dict[str, tuple[Root, ...]] = {}
    for label, splits in sorted(domains.items()):
        for split, paths in splits.items():
            roots = tuple(Root(path, label) for path in paths)
            parts[split] = (*parts.get(split, ()), *roots)
    return parts


def _made(parts: dict[str, tuple[Root, ...]], below: Iterable[Tree]) -> Layout:
    used = {root.path for roots in parts.values() for root in roots}
    return Layout(parts, tuple(path for path in below if path not in used))


def _by_class(each: dict[Tree, dict[str, tuple[Root, ...]]]) -> Layout:
    """Every class has its own splits."""
    parts: dict[str, tuple[Root, ...]] = {}
    for path, splits in each.items():
        for split, roots in splits.items():
            named = tuple(Root(root.path, path.name) for root in roots)
            parts[split] = (*parts.get(split, ()), *named)
    return Layout(parts)
