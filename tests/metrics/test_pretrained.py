"""Extractors with weights from elsewhere: what they read, what they give, and when they refuse."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import save

from ptheta.data import open_data
from ptheta.data.cache import cache_folder
from ptheta.errors import PthetaError
from ptheta.extractors import pretrained
from ptheta.extractors.features import extract
from ptheta.extractors.inception import Inception2015
from ptheta.extractors.pretrained import EfficientNetLite0, Inception, Own, three_channels
from ptheta.extractors.reference import reference
from ptheta.extractors.table import load_extractor
from ptheta.metrics.evaluate import evaluate_images, real_baseline


def test_images_become_three_channels_of_the_asked_size():
    x = torch.randint(0, 256, (2, 1, 28, 28), dtype=torch.uint8)
    u = three_channels(x, 28)
    assert torch.equal(u, x.float().expand(-1, 3, -1, -1))
    assert three_channels(x, 56).shape == (2, 3, 56, 56)
    flat = three_channels(torch.full((1, 3, 9, 14), 70, dtype=torch.uint8), 32)
    torch.testing.assert_close(flat, torch.full((1, 3, 32, 32), 70.0))
    with pytest.raises(PthetaError, match="images of 2 channels"):
        three_channels(torch.zeros(1, 2, 8, 8, dtype=torch.uint8), 28)


def test_efficientnet_is_the_published_network():
    pytest.importorskip("efficientnet_lite_pytorch")
    by = EfficientNetLite0()
    assert load_extractor("efficientnet-lite0").digest == by.digest
    x = open_data("shapes", "test").batch(slice(0, 3)).x
    with torch.no_grad():
        features, logits = by(x)
        wanted = by.network((three_channels(x, 224) - 127) / 128)
    assert features.shape == (3, 1280)
    torch.testing.assert_close(logits, wanted)
    assert len(by.digest) == 12
    found = extract(x, by)
    assert found.features.dtype == torch.float32


def test_inception_has_the_published_shape():
    network = Inception2015().eval()
    assert sum(p.numel() for p in network.parameters()) == 23_850_960
    with torch.no_grad():
        features, logits = network(torch.rand(1, 3, 299, 299) * 2 - 1)
    assert features.shape == (1, 2048)
    assert logits.shape == (1, 1008)


def test_inception_reads_its_file_and_no_other(tmp_path, monkeypatch):
    file = tmp_path / pretrained.INCEPTION_FILE
    monkeypatch.setenv("PTHETA_INCEPTION", str(file))
    with pytest.raises(PthetaError, match="releases of pytorch-fid"):
        Inception()
    torch.manual_seed(0)
    network = Inception2015().eval()
    torch.save(network.state_dict(), file)
    with pytest.raises(PthetaError, match="another file or damaged"):
        Inception()
    monkeypatch.setattr(pretrained, "sha256", lambda path: "6726825d" + "0" * 56)
    by = Inception()
    x = torch.randint(0, 256, (1, 3, 299, 299), dtype=torch.uint8)
    with torch.no_grad():
        torch.testing.assert_close(by(x)[0], network(x.float() / 127.5 - 1)[0])
    assert by.digest == "6726825d0000"


def test_only_that_network_gives_the_published_names():
    test, train = open_data("digits", "test"), open_data("digits")

    class Disguised:
        name, digest, classes, reads = "inception-2015", "0", 10, "28x28"

        def __call__(self, x):
            return load_extractor("digits")(x)

    some = train.batch(slice(0, 700)).x
    names = {r.metric for r in evaluate_images(some, test, train, extractor=Disguised()).results}
    assert {"fid", "fid_infinity", "kid", "inception_score"} <= names
    plain = {r.metric for r in real_baseline(test, train, n=700).results}
    assert not {"fid", "kid", "inception_score"} & plain
    assert {"fd_digits", "fd_infinity_digits", "kd_digits", "score_digits"} <= plain


def test_any_module_serves_as_an_extractor():
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 5, 4), torch.nn.ReLU())
    by = Own(module, "mine")
    test, train = open_data("digits", "test"), open_data("digits")
    x = train.batch(slice(0, 1200)).x
    found = evaluate_images(x, test, train, extractor=by)
    result = found.get("fd_mine")
    assert result is not None
    assert result.protocol["extractor_digest"] == by.digest
    other = Own(torch.nn.Sequential(torch.nn.Conv2d(1, 3, 5, 4), torch.nn.ReLU()), "mine")
    assert other.digest != by.digest
    for name in ("fid", "two words"):
        with pytest.raises(PthetaError, match="name ="):
            Own(module, name)


def test_reference_features_are_kept_and_what_is_something_else_is_made_anew(monkeypatch):
    data, by = open_data("digits", "test"), load_extractor("digits")
    first = reference(data, by)
    assert torch.equal(first.features, extract(data, by).features)
    calls: list[int] = []

    def counted(*args, **how):
        calls.append(1)
        return extract(*args, **how)

    monkeypatch.setattr("ptheta.extractors.reference.extract", counted)
    again = reference(data, by)
    assert torch.equal(again.features, first.features)
    assert again.logits is not None
    assert not calls
    for other in (
        lambda: reference(data.subset(slice(0, 100)), by),
        lambda: reference(data, load_extractor("pixels")),
        lambda: reference(open_data("digits"), by),
    ):
        before = len(calls)
        other()
        assert len(calls) == before + 1
    files = sorted((cache_folder() / "reference").iterdir())
    assert len(files) == 4
    for damage in (b"", b"nonsense", save({"features": torch.zeros(3, 64)}, {"data": "else"})):
        for file in files:  # what another program, or a fault, may have put under that name
            file.write_bytes(damage)
        assert torch.equal(reference(data, by).features, first.features)
