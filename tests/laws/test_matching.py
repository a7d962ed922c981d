"""The contrastive loss against its definition, and the matcher on images it can tell apart."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn.functional import cross_entropy, logsigmoid, normalize

from ptheta.compute import streams
from ptheta.conditions import Text
from ptheta.losses.matching import contrastive, same_rows, words_told
from ptheta.nets.text import Matcher
from ptheta.specs import ImageSpec

B = 6


@pytest.fixture
def pair():
    torch.manual_seed(0)
    return normalize(torch.randn(2, B, 4, dtype=torch.float64), dim=2).unbind(0)


def test_the_loss_is_that_of_naming_the_caption_and_the_image(pair):
    a, b = pair
    s, right = 7 * a @ b.T, torch.arange(B)
    both = [cross_entropy(s, right, reduction="none"), cross_entropy(s.T, right, reduction="none")]
    torch.testing.assert_close(contrastive(a, b, 7), sum(both) / 2)


def test_the_loss_is_log_b_where_nothing_is_told_apart(pair):
    a, _ = pair
    torch.testing.assert_close(contrastive(a, a, 0.0), torch.full((B,), math.log(B)).double())


def test_the_same_caption_is_no_wrong_one(pair):
    a, b = pair
    b = b.clone()
    b[1] = b[0]
    same = same_rows(torch.tensor([[1, 2], [1, 2], [3, 0], [4, 0], [5, 0], [2, 1]]))
    assert same.sum() == B + 2
    without = contrastive(torch.cat([a[:1], a[2:]]), torch.cat([b[:1], b[2:]]), 7)
    found = contrastive(a, b, 7, same)
    # the image of the same caption is no candidate for this one, and goes on to be for the others
    assert found[0] < contrastive(a, b, 7)[0]
    torch.testing.assert_close(found[0], without[0])


def test_every_example_counts_alike(pair):
    a, b = pair
    order = torch.randperm(B)
    torch.testing.assert_close(contrastive(a[order], b[order], 7), contrastive(a, b, 7)[order])


def test_the_words_that_are_told_are_a_coin_each():
    logits, present = torch.randn(B, 5).double(), torch.randint(0, 2, (B, 5)).double()
    of_each = present * logsigmoid(logits) + (1 - present) * logsigmoid(-logits)
    torch.testing.assert_close(words_told(logits, present), -of_each.sum(1))


COLOURS = {"black": 0, "grey": 120, "white": 255}
TEXT = Text((*COLOURS, "all", "above"), 3)


def planes(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of two halves, and what they show: the order of words matters."""
    names = [(tuple(COLOURS)[i % 3], tuple(COLOURS)[i // 3 % 3]) for i in range(n)]
    halves = torch.tensor([[COLOURS[a], COLOURS[b]] for a, b in names], dtype=torch.uint8)
    x = halves.repeat_interleave(4, 1)[:, None, :, None].expand(-1, 1, 8, 8)
    return x, TEXT.encode([f"{a} above {b}" for a, b in names])


@pytest.mark.parametrize("encoder", ["gru", "transformer"])
def test_a_matcher_learns_which_caption_is_right(encoder):
    torch.manual_seed(0)
    matcher = Matcher(ImageSpec(1, 8, 8), TEXT, encoder, width=16, features=8)
    x, tokens = planes(9)
    start = matcher.match(x, tokens).detach()
    assert start.shape == (9, 9)
    assert start.abs().max() <= 1 + 1e-5
    optimizer = torch.optim.Adam(matcher.parameters(), 1e-2)
    for _ in range(40):
        loss = matcher.loss(x, tokens)
        optimizer.zero_grad()
        loss.mean().backward()
        optimizer.step()
    assert loss.shape == (9,)
    assert (matcher.match(x, tokens).argmax(1) == torch.arange(9)).all()


def test_a_word_that_comes_twice_is_told_once_and_padding_never():
    matcher = Matcher(ImageSpec(1, 8, 8), TEXT, "bag", width=16, features=8)
    points = normalize(torch.randn(3, 16))
    once, twice, none = TEXT.encode(["grey", "grey grey", ""])[:, None]
    told = matcher.word_loss(points, torch.cat([once, twice, none]))
    torch.testing.assert_close(told[1:2], matcher.word_loss(points[1:2], once))
    logits = matcher.words(10 * points[2:])
    torch.testing.assert_close(told[2], -logsigmoid(-logits).sum())


def test_what_does_not_tell_a_batch_apart_is_learned_all_the_same():
    """Each image of the batch has a half of its own, so that captions are found by this alone; what
    the other half shows must be told as well."""
    torch.manual_seed(0)
    matcher = Matcher(ImageSpec(1, 8, 8), TEXT, "gru", width=16, features=8)
    x, tokens = planes(9)
    optimizer = torch.optim.Adam(matcher.parameters(), 1e-2)
    for step in range(60):
        rows = torch.arange(3) * 4 if step % 2 else torch.tensor([1, 5, 6])
        optimizer.zero_grad()
        matcher.loss(x[rows], tokens[rows]).mean().backward()
        optimizer.step()
    with torch.no_grad():
        logits = matcher.words(10 * matcher.images(matcher.spec.scaled(x[[0, 1, 4, 5, 6, 8]])))
    present = matcher.condition.vector(tokens[[0, 1, 4, 5, 6, 8]]) > 0
    assert ((logits > 0) == present).all()


def test_two_processes_have_the_loss_of_one():
    torch.manual_seed(0)
    matcher = Matcher(ImageSpec(1, 8, 8), TEXT, "gru", width=16, features=8)
    x, tokens = planes(8)
    whole = matcher.loss(x, tokens)
    for rank in range(2):
        with streams.shared(rank, 2, _everything(matcher, x, tokens)):
            torch.testing.assert_close(matcher.loss(x[rank::2], tokens[rank::2]), whole[rank::2])


def _everything(matcher, x, tokens):
    """What the processes together have, in the order in which it is asked for."""
    with torch.no_grad():
        a = matcher.images(matcher.spec.scaled(x))
        parts = iter([a, matcher.captions(tokens), tokens])
    return lambda _: next(parts)
