"""Griffe extension that converts docstrings for the API reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from griffe import Class, Docstring, Extension, Function

from scripts.docstrings import sectioned


class Sections(Extension):
    """Convert the docstrings of functions and classes to Google style."""

    def on_function(self, *, func: Function, **kwargs: Any) -> None:
        if func.docstring is not None:
            names = [p.name.lstrip("*") for p in func.parameters]
            _sectioned(func.docstring, names, "Args:")

    def on_class(self, *, cls: Class, **kwargs: Any) -> None:
        if cls.docstring is None:
            return
        init = cls.members.get("__init__")
        names = [p.name.lstrip("*") for p in init.parameters] if isinstance(init, Function) else []
        heading = "Args:" if names else "Attributes:"
        _sectioned(cls.docstring, names or list(cls.members), heading)


def _sectioned(docstring: Docstring, names: Sequence[str], heading: str) -> None:
    docstring.value = sectioned(docstring.value, names, heading)
