"""How much of the labels a representation holds: needs `Encodes`.

Three classifiers for each number of labels: a linear one on the codes of the trained encoder; the
encoder and a linear head, trained together from the trained weights; the same network trained from
fresh weights. The second against the third is what training without labels was worth.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ptheta.capabilities import Encodes, conditional
from ptheta.compute.streams import seeded, undisturbed
from ptheta.errors import PthetaError

WAYS = ("linear", "fine-tuned", "from scratch")


@dataclass(frozen=True)
class Probe:
    """Accuracy on the test images. accuracy: one value for each draw of the labelled images."""

    way: str
    labels: int
    accuracy: tuple[float, ...]

    @property
    def mean(self) -> float:
        return float(np.mean(self.accuracy))

    @property
    def spread(self) -> float:
        """Standard deviation over the draws; 0 for one draw."""
        return float(np.std(self.accuracy, ddof=1)) if len(self.accuracy) > 1 else 0.0


@undisturbed()
def probe(
    trained: nn.Module,
    fresh: Callable[[], nn.Module],
    train: tuple[Tensor, Tensor],
    test: tuple[Tensor, Tensor],
    labels: Sequence[int],
    *,
    draws: int = 3,
    steps: int = 300,
    seed: int = 0,
    tell: Callable[[str], None] = lambda text: None,
) -> list[Probe]:
    """trained: a model that encodes; fresh: gives the same model with new weights
    train, test: image batches with int64 labels (N,)
    labels: how many labelled images to learn from, the same number of each class where possible;
        a number of at least all images takes all, once
    steps: Adam steps of the second and third way, batches of at most 64

    Raises PthetaError where the model cannot encode or is conditional, for fewer labels than
    classes, and for draws or steps below 1.
    """
    if not isinstance(trained, Encodes):
        raise PthetaError("this model has no representation to probe: it has no `encode`")
    if conditional(trained):
        raise PthetaError("this model is told the label (or attributes): there is nothing to probe")
    if draws < 1 or steps < 1:
        raise PthetaError(f"draws = {draws}, steps = {steps}: ask for at least one of each")
    classes = int(train[1].max()) + 1
    for count in labels:
        if count < classes:
            raise PthetaError(f"{count} labels for {classes} classes: give at least one of each")
    found = []
    with torch.no_grad(), seeded(seed):
        codes = torch.cat([trained.encode(part).float() for part in train[0].split(500)])
        test_codes = torch.cat([trained.encode(part).float() for part in test[0].split(500)])
    for count in labels:
        every = count >= len(train[0])
        accuracy: dict[str, list[float]] = {way: [] for way in WAYS}
        for draw in range(1 if every else draws):
            rows = torch.arange(len(train[0])) if every else balanced(train[1], count, seed + draw)
            accuracy["linear"].append(_linear(codes[rows], train[1][rows], test_codes, test[1]))
            for way, start in (("fine-tuned", lambda: copy.deepcopy(trained)), (WAYS[2], fresh)):
                with seeded(seed + draw):
                    accuracy[way].append(
                        _tuned(start(), train[0][rows], train[1][rows], test, classes, steps)
                    )
        for way in WAYS:
            one = Probe(way, len(train[0]) if every else count, tuple(accuracy[way]))
            tell(f"{one.labels} labels, {way}: {one.mean:.3f}")
            found.append(one)
    return found


def balanced(y: Tensor, count: int, seed: int) -> Tensor:
    """`count` rows, the same number of each class but for the remainder."""
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(seed))
    classes = int(y.max()) + 1
    rank = torch.empty_like(y)
    for c in range(classes):
        mine = order[y[order] == c]
        rank[mine] = torch.arange(len(mine))
    # first of each class, second of each class, ...
    return order[torch.argsort(rank[order], stable=True)][:count]


def _linear(x: Tensor, y: Tensor, test_x: Tensor, test_y: Tensor) -> float:
    """Accuracy of a logistic regression on standardised codes, its penalty chosen by 3-fold cross
    validation where every class has three examples."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    if int(torch.bincount(y).min()) >= 3 and len(y) <= 5000:
        penalties = {"logisticregression__C": [0.01, 0.1, 1.0, 10.0]}
        model = GridSearchCV(model, penalties, cv=3)
    model.fit(x.numpy(), y.numpy())
    return float(model.score(test_x.numpy(), test_y.numpy()))


def _tuned(
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    test: tuple[Tensor, Tensor],
    classes: int,
    steps: int,
) -> float:
    """Accuracy of the model's encoder with a linear head, both trained on (x, y)."""
    encode = model.encode
    with torch.no_grad():
        head = nn.Linear(encode(x[:2]).shape[1], classes)  # type: ignore[operator]
    model.train()
    parameters = [*model.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=1e-3)
    size = min(64, len(x))
    for _ in range(steps):
        rows = torch.randint(len(x), (size,))
        loss = cross_entropy(head(encode(x[rows])), y[rows])  # type: ignore[operator]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        hits = [
            (head(encode(part)).argmax(1) == wanted).float()  # type: ignore[operator]
            for part, wanted in zip(test[0].split(500), test[1].split(500), strict=True)
        ]
    return torch.cat(hits).mean().item()
