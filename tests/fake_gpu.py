"""A GPU that is none: its tensors are on a device of their own, and the CPU computes their numbers.

As on a GPU, an operation on tensors of both devices is an error. So it tests, without a GPU, that
everything is placed where it belongs, and that nothing else changes: noise and numbers are those of
the CPU. Torch has one such device in a process, for good: see `apart`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import cache
from multiprocessing import get_context
from typing import Any, TypeVar, TypeVarTuple

import pytest
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as tree
from torch.utils import backend_registration
from torch.utils._python_dispatch import TorchDispatchMode

from ptheta.training import processes

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
NAME, CPU = "fake", torch.device("cpu")
ACROSS = ("aten::copy_", "aten::_to_copy")  # operations that move tensors
PACKED = "aten::_pack_padded_sequence"  # lengths stay in ordinary memory
# operations on a tensor of a GPU that take indices in ordinary memory
INDEXED = (
    *("aten::index", "aten::index_put", "aten::index_put_", "aten::_index_put_impl_"),
    PACKED,
)
# torch before this has no devices that are written in Python
MISSING = not hasattr(backend_registration, "_setup_privateuseone_for_python_backend")


def apart(work: Callable[[*Ts], T], *args: *Ts) -> T:
    """The result of work(*args) in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, *args).result()


class OnGpu(Tensor):
    """A tensor of the GPU. own: its numbers"""

    own: Tensor

    @staticmethod
    def __new__(cls, own: Tensor) -> OnGpu:
        made: OnGpu = Tensor._make_wrapper_subclass(
            cls,
            own.size(),
            strides=own.stride(),
            storage_offset=own.storage_offset(),
            dtype=own.dtype,
            device=gpu(),
        )
        made.own = own
        return made

    def tolist(self) -> Any:
        return self.own.tolist()

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return f"OnGpu({self.own!r})"

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return computed(func, args, kwargs or {})


def gpu() -> torch.device:
    return torch.device(NAME, 0)


def own(x: Any) -> Any:
    return x.own if isinstance(x, OnGpu) else x


def on_gpu(x: Any) -> Any:
    return OnGpu(x) if isinstance(x, Tensor) and not isinstance(x, OnGpu) else x


def computed(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
    """An operation, where its tensors are. Raises RuntimeError if they are on both devices."""
    name, asked = func._schema.name, kwargs.get("device")
    tensors = [x for x in tree.tree_leaves((args, kwargs)) if isinstance(x, Tensor)]
    there = any(isinstance(x, OnGpu) for x in tensors)
    if there and name not in ACROSS:
        # numbers may be in ordinary memory
        placed = tensors[:1] if name in INDEXED else [x for x in tensors if x.dim()]
        if not all(isinstance(x, OnGpu) for x in placed):
            raise RuntimeError(f"{name}: tensors are on the CPU and on the GPU")
    where = torch.device(asked).type if asked is not None else NAME if there else "cpu"
    noise = kwargs.get("generator")
    if noise is not None and noise.device.type != where:
        raise RuntimeError(f"{name} on {where} with a generator of {noise.device.type}")
    numbers, options = tree.tree_map(own, (args, dict(kwargs)))
    found = func(*numbers, **options | ({} if asked is None else {"device": CPU}))
    if where == "cpu":
        return found
    if name == PACKED:
        return on_gpu(found[0]), found[1]
    same = changed(func, args)
    return tree.tree_map(on_gpu, found) if same is None else same


def changed(func: Any, args: tuple[Any, ...]) -> Any:
    """The tensor that an operation in place has changed and returns."""
    for given, x in zip(func._schema.arguments, args, strict=False):
        if given.alias_info is not None and given.alias_info.is_write:
            assert x.shape == own(x).shape
            return x
    return None


class Made(TorchFunctionMode):
    """Context in which tensors of given numbers can be made on the GPU, and lists be indices."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor):
            device = kwargs.pop("device", None)
            made = func(*args, **kwargs)
            return made if device is None else made.to(device)
        if func is Tensor.new_tensor:
            like, values = args
            return torch.tensor(values, dtype=kwargs.get("dtype", like.dtype)).to(like.device)
        if func is Tensor.__getitem__:
            x, at = args
            each = at if isinstance(at, tuple) else (at,)
            return func(x, tuple(torch.tensor(i) if isinstance(i, list) else i for i in each))
        return func(*args, **kwargs)


class Mode(TorchDispatchMode):
    """Context in which tensors can be made on the GPU."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        return computed(func, args, kwargs or {})


@cache
def _register() -> None:
    module: Any = backend_registration._DummyBackendModule()
    module.get_amp_supported_dtype = lambda: [torch.float16, torch.bfloat16]
    backend_registration._setup_privateuseone_for_python_backend(NAME, module)


@contextmanager
def fake_gpu() -> Iterator[None]:
    """Context in which there is a GPU, `--device fake`."""
    _register()
    kept = torch.__future__.get_overwrite_module_params_on_conversion()
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(processes.DEVICES, NAME, processes.Device(lambda: True, own=True))
        patch.setattr(processes, "CHOICES", (*processes.CHOICES, NAME))
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        try:
            with Mode(), Made(), torch.autograd.set_multithreading_enabled(False):
                yield
        finally:
            torch.__future__.set_overwrite_module_params_on_conversion(kept)
