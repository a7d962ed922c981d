"""What packages give by their own names, and that losses need nothing else of ptheta."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

import ptheta
from ptheta import losses

PACKAGES = ("metrics", "losses", "nets", "tasks", "extractors")


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_gives_what_it_says(name):
    package = importlib.import_module(f"ptheta.{name}")
    assert getattr(ptheta, name) is package
    for each in package.__all__:
        assert getattr(package, each) is not None
    assert set(package.__all__) <= set(dir(package))
    assert len(set(package.__all__)) == len(package.__all__)


def test_no_metric_is_called_as_a_module_beside_it():
    """The module would take its place as soon as it is imported."""
    from ptheta import metrics

    modules = {file.stem for file in Path(metrics.__file__).parent.glob("*.py")}
    assert not modules & set(metrics.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'frechet'"):
        _ = metrics.frechet


ALONE = """
import sys
import ptheta.losses
mine = {name.split(".")[1] for name in sys.modules if name.startswith("ptheta.")}
assert mine <= {"losses", "compute"}, mine
import ptheta.metrics
assert not {"ptheta.metrics.table", "scipy"} & sys.modules.keys()
"""


def test_losses_bring_nothing_else_of_ptheta():
    subprocess.run([sys.executable, "-c", ALONE], check=True)


class Flat(nn.Module):
    """d(x), (B,)."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(2, 16), nn.Softplus(), nn.Linear(16, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)[:, 0]


@pytest.mark.parametrize("penalty", losses.PENALTIES)
@pytest.mark.parametrize("loss", losses.LOSSES)
def test_losses_train_two_plain_modules(loss, penalty):
    """A loop of anyone's own, with vectors: the generator's mean goes to that of the data."""
    torch.manual_seed(0)
    game, cost = losses.LOSSES[loss], losses.PENALTIES[penalty]
    generator, discriminator = nn.Linear(3, 2), Flat()
    of_g, of_d = (
        torch.optim.Adam(net.parameters(), 0.02, (0.5, 0.9)) for net in (generator, discriminator)
    )
    goal = torch.tensor([1.0, -1.0])
    before = (generator(torch.randn(500, 3)).mean(0) - goal).norm().item()
    for _ in range(40):
        real, fake = goal + 0.3 * torch.randn(64, 2), generator(torch.randn(64, 3))
        on_real, on_fake = discriminator(real), discriminator(fake.detach())
        d_loss = game.discriminator(on_real, on_fake)
        d_loss = d_loss + losses.penalise(cost, discriminator, real, fake.detach())
        assert d_loss.shape == (64,)
        of_d.zero_grad()
        d_loss.mean().backward()
        of_d.step()
        g_loss = game.generator(discriminator(fake), discriminator(real))
        assert g_loss.shape == (64,)
        of_g.zero_grad()
        g_loss.mean().backward()
        of_g.step()
    after = (generator(torch.randn(500, 3)).mean(0) - goal).norm().item()
    assert after < before
