"""The score that selects the best checkpoint during training."""

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

AT_ONCE = 256  # number of images to encode


class Selection:
    """Score a model on held-out images by the first of these that is defined: likelihood or bound
    (if it needs no estimate of log Z), error of deterministic translations, kernel distance of
    samples in features, reconstruction error of an autoencoder, error of completed images; None if
    the model supports none of these.

    The kernel distance is used since its expectation does not depend on the number of images, while
    the Frechet distance is biased for few. A conditional model is sampled with labels in the
    proportions of the held-out ones.
    """

    def __init__(
        self, held_out: Dataset, extractor: str | Extractor | None = None, seed: int = 0
    ) -> None:
        self.held_out, self.extractor, self.seed = held_out, extractor, seed
        self.reference: Features | None = None

    @torch.no_grad()
    def __call__(self, model: nn.Module) -> Scored | None:
        # the ELBO (k = 1) suffices to compare checkpoints of one model
        found = likelihood(model, self.held_out, is_k=1, effort=0.0, seed=self.seed)
        if (
            found is not None and found.partition is None
        ):  # a rough estimate of log Z has an error of tens of nats
            if found.density:  # bits/dim are not defined there
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
        """The error of the translations of held-out inputs; None if the model is not trained on
        pairs, or is stochastic.

        The number of pairs is often too small for a feature distance, which needs hundreds of
        images; a deterministic output can be compared with its target directly.
        """
        if not isinstance(model, Translates) or model.domains() or model.varied():
            return None
        data, total = self.held_out, 0.0
        name, compare = _comparison(data.spec)
        for x, given in batches(model, data, AT_ONCE, "translations"):
            assert given is not None  # the model is trained on pairs
            made = model.translate(tensor_of(given, "image"))
            total += compare(made, x).flatten(1).mean(1).cpu().double().sum().item()
        return Scored(name, total / len(data), True)

    def _rebuilt(self, model: nn.Module) -> Scored | None:
        """The mean squared reconstruction error of held-out images in network scale; None if the
        model does not encode and decode."""
        if not isinstance(model, Autoencodes):
            return None
        data, total = self.held_out.with_fixed_binarisation(), 0.0
        spec = data.spec
        for x, y in batches(model, data, AT_ONCE, "reconstructions"):
            wanted = spec.scaled(x)
            lost = wanted - spec.scaled(model.decode(model.encode(x, y), y))
            # ignore missing cells; NaN from the model remains and is never the best
            lost = lost.masked_fill(wanted.isnan(), 0.0)
            total += lost.square().flatten(1).mean(1).cpu().double().sum().item()
        return Scored("reconstruction_mse", total / len(data), True)

    def _completed(self, model: nn.Module) -> Scored | None:
        """PSNR on the unknown pixels of held-out images, with the masks in turn; None if the model
        cannot complete images."""
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
    """The error measure of images and its name: for label maps the fraction of pixels with a wrong
    label, else the absolute difference, 0 to 255."""
    if isinstance(spec, LabelMapSpec):
        return "wrong_labels", lambda made, x: (spec.numbers(made) != spec.numbers(x)).float()
    return "translation_l1", lambda made, x: (made.float() - x.float()).abs()
