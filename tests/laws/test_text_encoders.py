"""What every network that reads captions keeps to."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import pad

from ptheta.conditions import Text
from ptheta.errors import PthetaError
from ptheta.nets.text import ENCODERS, new_encoder

TEXT = Text(("a", "red", "blue", "circle", "square", "above"), 8)
CAPTIONS = ["a red circle above a blue square", "a blue circle above a red square", "a", ""]


@pytest.fixture(params=sorted(ENCODERS))
def encoder(request):
    torch.manual_seed(0)
    return new_encoder(TEXT, request.param, 12).double()


@pytest.fixture
def tokens():
    return TEXT.encode(CAPTIONS)


def test_shapes(encoder, tokens):
    sentence, words, there = encoder(tokens)
    assert sentence.shape == (4, 12)
    assert words.shape == (4, 8, 12)
    assert there.sum(1).tolist() == [7, 7, 1, 0]
    assert sentence.isfinite().all()
    assert words.isfinite().all()


def test_nothing_behind_the_end_changes_anything(encoder, tokens):
    sentence, words, _ = encoder(tokens)
    longer = encoder(pad(tokens, (0, 5)))
    torch.testing.assert_close(longer.sentence, sentence)
    torch.testing.assert_close(longer.words[:, :8], words)
    assert not longer.words[~longer.there].any()
    assert not longer.there[:, 8:].any()
    alone = encoder(tokens[2:3, :1])  # one word, and no place behind it
    torch.testing.assert_close(alone.sentence, sentence[2:3])
    torch.testing.assert_close(alone.words, words[2:3, :1])


def test_a_caption_does_not_depend_on_its_batch(encoder, tokens):
    sentence, words, _ = encoder(tokens)
    for i in range(len(tokens)):
        one = encoder(tokens[i : i + 1])
        torch.testing.assert_close(one.sentence[0], sentence[i])
        torch.testing.assert_close(one.words[0], words[i])


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_all_but_the_bag_see_the_order_of_words(name, tokens):
    torch.manual_seed(0)
    first, second = new_encoder(TEXT, name, 12).double()(tokens[:2]).sentence
    assert torch.allclose(first, second) == (name == "bag")


def test_every_weight_learns(encoder, tokens):
    encoded = encoder(tokens)
    (encoded.sentence.square().sum() + encoded.words.square().sum()).backward()
    odd = [n for n, p in encoder.named_parameters() if p.grad is None or not p.grad.any()]
    assert odd == []


def test_a_name_of_no_encoder():
    with pytest.raises(PthetaError, match=r"text_encoder 'bog'.*bag"):
        new_encoder(TEXT, "bog", 12)
