"""The number that chooses the best checkpoint during training."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ptheta.capabilities import Completes, Samples, Translates
from ptheta.conditions.base import tensor_of
from ptheta.data.dataset import Dataset
from ptheta.extractors.base import Extractor
from ptheta.extractors.features import Features, extract
from ptheta.extractors.table import choose_extractor
from ptheta.masks import unknown_parts
from ptheta.measures.errors import decibels, squared_error
from ptheta.measures.inception_score import effective_classes
from ptheta.measures.kernel import kernel_distance
from ptheta.metrics.conditions import draw
from ptheta.metrics.likelihood import batches, likelihood
from ptheta.specs import DataSpec, ImageSpec, LabelMapSpec
from ptheta.tasks.needs import Autoencodes
from ptheta.training.scoring import Scored

AT_ONCE = 256  # images whose codes are taken


class Selection:
    """Scores a model on held-out images: likelihood or bound where it has one that needs no
    estimate of log Z, else the distance of
    translations to their targets where there is one answer, else that of samples in features, or
    what an autoencoder loses, or how far completed images are from the true ones; None for a model
    that can do none of these.

    The distance is the kernel distance: its expectation does not depend on how few the images are,
    while the Frechet distance is biased by it. A conditional model is asked for labels in the
    proportions of the held-out ones.
    """

    def __init__(
        self, held_out: Dataset, extractor: str | Extractor | None = None, seed: int = 0
    ) -> None:
        self.held_out, self.extractor, self.seed = held_out, extractor, seed
        self.reference: Features | None = None

    @torch.no_grad()
    def __call__(self, model: nn.Module) -> Scored | None:
        # k = 1: the ELBO suffices to compare a model with itself
        found = likelihood(model, self.held_out, is_k=1, effort=0.0, seed=self.seed)
        if found is not None and found.partition is None:  # a rough log Z is off by tens of nats
            if found.density:  # bits have no meaning there
                return Scored("nll", found.nats, True)
            return Scored("bits_per_dim", found.bits(self.held_out.spec.dims)[0], True)
        if not isinstance(model, Samples):
            return self._rebuilt(model) or self._completed(model)
        if (scored := self._carried_over(model)) is not None:
            return scored
        extractor = choose_extractor(self.held_out, self.extractor)[0]
        if self.reference is None:
            self.reference = extract(self.held_out.with_fixed_binarisation(), extractor)
        fakes = extract(
            draw(model, self.held_out, max(2, len(self.held_out)), self.seed), extractor
        )
        value, _ = kernel_distance(fakes.features, self.reference.features)
        others = {}
        if fakes.logits is not None:
            others[f"classes_{extractor.name}"] = effective_classes(fakes.logits)[0]
        if self.reference.logits is not None:
            others[f"real_classes_{extractor.name}"] = effective_classes(self.reference.logits)[0]
        return Scored(f"kd_{extractor.name}", value, True, others)

    def _carried_over(self, model: nn.Module) -> Scored | None:
        """How far the translations of held-out inputs are from their targets; None for a model that
        learned from no pairs, or has several answers to an input.

        Pairs are few, and a distance of features needs hundreds of images; where there is but one
        answer, the target is what it should be.
        """
        if not isinstance(model, Translates) or model.domains() or model.varied():
            return None
        data, total = self.held_out, 0.0
        name, compare = _comparison(data.spec)
        for x, given in batches(model, data, AT_ONCE, "translations"):
            assert given is not None  # it learned from pairs
            made = model.translate(tensor_of(given, "image"))
            total += compare(made, x).flatten(1).mean(1).double().sum().item()
        return Scored(name, total / len(data), True)

    def _rebuilt(self, model: nn.Module) -> Scored | None:
        """The mean squared error of what the codes of the held-out images give back, as a network
        sees both; None where there are no codes."""
        if not isinstance(model, Autoencodes):
            return None
        data, total = self.held_out.with_fixed_binarisation(), 0.0
        spec = data.spec
        for x, y in batches(model, data, AT_ONCE, "reconstructions"):
            wanted = spec.scaled(x)
            lost = wanted - spec.scaled(model.decode(model.encode(x, y), y))
            # of a missing cell nothing can be lost; NaN of the model stays, and never is the best
            lost = lost.masked_fill(wanted.isnan(), 0.0)
            total += lost.square().flatten(1).mean(1).double().sum().item()
        return Scored("reconstruction_mse", total / len(data), True)

    def _completed(self, model: nn.Module) -> Scored | None:
        """PSNR of held-out images where pixels were unknown, masks in turn; None where the model
        completes no images."""
        spec, data = self.held_out.spec, self.held_out.with_fixed_binarisation()
        if not isinstance(model, Completes) or not isinstance(spec, ImageSpec):
            return None
        unknown = unknown_parts(len(data), spec.height, spec.width, self.seed)
        errors, start = [], 0
        for x, y in batches(model, data, AT_ONCE, "completions"):
            open_ = unknown[start : start + len(x)].to(x.device)[:, None].expand_as(x)
            start += len(x)
            errors.append(squared_error(model.complete(x, ~open_, y), x, open_))
        return Scored("completion_psnr", decibels(torch.cat(errors).mean().item()), False)


def _comparison(spec: DataSpec) -> tuple[str, Callable[[Tensor, Tensor], Tensor]]:
    """How images are compared with what they should be, and what it is called: of label maps the
    share of pixels with another label, else the absolute difference, 0 to 255."""
    if isinstance(spec, LabelMapSpec):
        return "wrong_labels", lambda made, x: (spec.numbers(made) != spec.numbers(x)).float()
    return "translation_l1", lambda made, x: (made.float() - x.float()).abs()
