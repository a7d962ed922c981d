"""Clusters: measures against scikit-learn, well apart codes found, and chance told as chance."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from ptheta import tasks
from ptheta.data.image_data import ImageDataset
from ptheta.errors import PthetaError
from ptheta.measures import clustering as measures
from ptheta.specs import ImageSpec
from ptheta.tasks.cluster import METHODS, grouped
from tests.conftest import VECTORS, examples, tiny
from tests.laws.test_outliers import dataset

SPEC = ImageSpec(1, 8, 8, 2)


@pytest.mark.parametrize(("k", "c"), [(3, 3), (2, 5), (6, 2), (1, 1)])
def test_measures_are_those_of_scikit_learn(k, c):
    rng = np.random.default_rng(k)
    found, labels = rng.integers(0, k, 200), rng.integers(0, c, 200)
    labels[: 100 * (c > 1)] = np.minimum(found[:100], c - 1)[: 100 * (c > 1)]
    found[:k], labels[:c] = np.arange(k), np.arange(c)
    counts = measures.table(torch.from_numpy(found), torch.from_numpy(labels))
    assert measures.nmi(counts) == pytest.approx(normalized_mutual_info_score(labels, found))
    assert measures.ari(counts) == pytest.approx(adjusted_rand_score(labels, found))
    best = max(
        sum(counts[i, j] for i, j in zip(rows, columns, strict=True))
        for rows, columns in _matchings(k, c)
    )
    assert measures.accuracy(counts) == pytest.approx(best / 200)


def _matchings(k: int, c: int) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    from itertools import permutations

    if k <= c:
        return [(tuple(range(k)), p) for p in permutations(range(c), k)]
    return [(p, tuple(range(c))) for p in permutations(range(k), c)]


def test_chance_is_what_clusters_without_knowledge_reach_and_intervals_hold_the_truth():
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 4, (400,), generator=draw)
    random = [torch.randint(0, 4, (400,), generator=draw) for _ in range(60)]
    told = measures.by_chance(random[0], labels)
    assert abs(told["ARI"].value) < 0.005
    values = [measures.matched_accuracy(found, labels) for found in random]
    assert told["accuracy"].value == pytest.approx(float(np.mean(values)), abs=0.01)
    inside = [told["accuracy"].low <= v <= told["accuracy"].high for v in values]
    assert np.mean(inside) > 0.85
    # of a truth of 0.7 + 0.3 / 4, drawn again and again
    held = 0
    for seed in range(30):
        draw = torch.Generator().manual_seed(seed)
        y = torch.randint(0, 4, (400,), generator=draw)
        moved = torch.rand(400, generator=draw) < 0.3
        found = torch.where(moved, torch.randint(0, 4, (400,), generator=draw), y)
        one = measures.measured([measures.table(found, y)], seed)["accuracy"]
        held += one.low <= 0.775 <= one.high
    assert held >= 25


@pytest.mark.parametrize("method", METHODS)
def test_rows_that_lie_apart_are_found_whatever_the_seed(method):
    draw = torch.Generator().manual_seed(0)
    y = torch.arange(90) % 3
    h = torch.randn(90, 4, generator=draw) + 30 * torch.nn.functional.one_hot(y, 4)
    found = grouped(h, 3, method, "rows", 4, 7)
    assert measures.matched_accuracy(found.found, y) == 1.0
    assert len(found.starts) == 4
    assert found.starts[0].cost == min(start.cost for start in found.starts)
    for k in range(3):
        at = found.typical(k, 5)
        assert (found.found[at] == k).all()
        assert found.starts[0].away[at].tolist() == sorted(found.starts[0].away[at].tolist())


def test_codes_of_a_model_are_clustered_and_its_own_categories_are_taken():
    x = examples(SPEC, 40)
    data = dataset(x)
    model = tiny("vae", SPEC).eval()
    found = tasks.cluster(model, data, 3, restarts=2, seed=5)
    with torch.no_grad():
        wanted = grouped(model.encode(x), 3, "kmeans", "codes", 2, 5)
    assert torch.equal(found.found, wanted.found)
    own = tiny("infogan", SPEC).eval()
    got = tasks.cluster(own, data)
    with torch.no_grad():
        assert torch.equal(got.found, own.cluster(x))
    assert got.how == "the model's own categories"
    assert (
        tasks.cluster(tiny("vae", VECTORS).eval(), dataset(examples(VECTORS, 30)), 2).clusters == 2
    )


def test_what_cannot_be_clustered_is_told_why():
    data = ImageDataset("some", "test", examples(SPEC, 9).numpy(), levels=2)
    vae = tiny("vae", SPEC).eval()
    for model, asked, how, words in (
        (tiny("nade", SPEC), 2, "auto", "cannot cluster: it has no `encode`"),
        (tiny("cvae", SPEC), 2, "auto", "conditional on labels, so its codes depend on it"),
        (tiny("infogan", SPEC), 2, "auto", "--clusters 2: this model has its own categories"),
        (vae, None, "auto", "give --clusters"),
        (vae, 10, "auto", "10 clusters of 9 examples"),
        (vae, 2, "own", "cannot cluster by itself: it has no `cluster`"),
        (vae, 2, "dbscan", "unknown way to cluster 'dbscan'"),
    ):
        with pytest.raises(PthetaError, match=words):
            tasks.cluster(model.eval(), data, asked, by=how)


def test_intervals_of_few_examples_hold_what_many_reach():
    """NMI of a sample is too high by what chance adds, and of a sample of it by twice that."""
    rng = np.random.default_rng(0)
    law = (np.full((5, 5), 0.02) + 0.1 * np.eye(5)).ravel()
    truth = measures.nmi(1e6 * law.reshape(5, 5))
    drawn = [rng.multinomial(200, law).reshape(5, 5) for _ in range(40)]
    told = [measures.measured([counts], seed)["NMI"] for seed, counts in enumerate(drawn)]
    assert np.mean([measures.nmi(counts) for counts in drawn]) > truth + 0.02
    assert sum(one.low <= truth <= one.high for one in told) >= 34
