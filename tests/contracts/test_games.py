"""The game of every model: a move changes its player, all of it, and nothing else."""

from __future__ import annotations

import pytest
import torch
from lightning_fabric import Fabric

from ptheta.games import Game, Move, Player
from ptheta.pixels import Batch, ImageSpec
from ptheta.training.engine import Engine
from tests.conftest import MODELS, tiny

SPEC = ImageSpec(1, 16, 16, 2)


def batch(n: int = 8) -> Batch:
    torch.manual_seed(5)
    x = torch.randint(0, 2, (n, *SPEC.shape), dtype=torch.uint8) * 255
    return Batch(x, torch.arange(n) % 3)


def engine(model: torch.nn.Module, game: Game, **options) -> Engine:
    return Engine(model, game, Fabric(accelerator="cpu", devices=1), **options)


def snapshot(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in model.state_dict().items()}


@pytest.mark.parametrize("name", MODELS)
def test_losses_are_per_example_and_named(name):
    model = tiny(name, SPEC)
    shared = batch()
    for move in model.game().moves:
        terms = move.loss(shared)
        assert terms
        for term in terms.values():
            assert len(term) == 8
            assert term.ndim in (1, 2)


@pytest.mark.parametrize("name", MODELS)
def test_a_move_changes_only_its_player(name):
    model = tiny(name, SPEC)
    game = model.game()
    e = engine(model, game)
    shared = batch()
    for step, move in enumerate([*game.moves, *game.moves], start=1):
        e.step = step
        own = {id(p) for p in game.players[move.player].parameters()}
        own_buffers = {id(b) for b in game.players[move.player].buffers()}
        before = snapshot(model)
        e.gradients(move, shared)
        assert all(p.grad is None for p in model.parameters() if id(p) not in own and step == 1)
        e.update(move.player)
        after = model.state_dict()
        still = []
        for key, parameter in model.named_parameters():
            same = torch.equal(before[key], after[key])
            if id(parameter) in own and same:  # such as a critic's last bias, which cancels
                assert not parameter.grad.any(), key
                still.append(key)
            assert same or id(parameter) in own, key
        assert len(still) <= 1
        for key, tensor in model.named_buffers():
            if key in after and id(tensor) not in own_buffers:
                assert torch.equal(before[key], after[key]), key
        assert all(p.requires_grad for p in model.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_every_parameter_has_one_player_and_every_player_moves(name):
    model = tiny(name, SPEC)
    game = model.game()
    owners = [id(p) for player in game.players.values() for p in player.parameters()]
    assert sorted(owners) == sorted(id(p) for p in model.parameters())
    assert {move.player for move in game.moves} == set(game.players)


class Toy(torch.nn.Module):
    """min_a max_b a b + a^2 / 2: gradients a + b and -a, known at every point."""

    def __init__(self) -> None:
        super().__init__()
        self.a = torch.nn.ParameterDict({"w": torch.nn.Parameter(torch.tensor(1.0))})
        self.b = torch.nn.ParameterDict({"w": torch.nn.Parameter(torch.tensor(2.0))})
        self.seen: list[tuple[float, float]] = []

    def value(self) -> torch.Tensor:
        a, b = self.a["w"], self.b["w"]
        self.seen.append((a.item(), b.item()))
        return (a * b + a.square() / 2).expand(2)

    def game(self) -> Game:
        return Game(
            {"a": Player((self.a,), lr=0.1), "b": Player((self.b,), lr=0.1)},
            (
                Move("a", lambda batch: {"v": self.value()}),
                Move("b", lambda batch: {"v": -self.value()}),
            ),
        )


@pytest.mark.parametrize(
    ("rule", "seen"),
    [
        # Adam's first step is lr * sign(gradient)
        ("alternating", [(1.0, 2.0), (0.9, 2.0)]),
        ("simultaneous", [(1.0, 2.0), (1.0, 2.0)]),
        ("extragradient", [(1.0, 2.0), (1.0, 2.0), (0.9, 2.1), (0.9, 2.1)]),
    ],
)
def test_dynamics_take_gradients_where_they_should(rule, seen):
    from ptheta.dynamics import DYNAMICS

    toy = Toy()
    game = toy.game()
    DYNAMICS[rule](engine(toy, game), game, 1, batch(2))
    assert [(round(a, 5), round(b, 5)) for a, b in toy.seen] == seen
    # extragradient's second Adam step starts from the old weights
    assert toy.a["w"].item() == pytest.approx(0.9, abs=2e-3)
    assert toy.b["w"].item() == pytest.approx(2.1, abs=2e-3)


def test_every_skips_moves():
    toy = Toy()
    game = Game(toy.game().players, (Move("a", lambda b: {}), Move("b", lambda b: {}, every=3)))
    assert [[m.player for m in game.due(step)] for step in (1, 2, 3, 4)] == [
        ["a"],
        ["a"],
        ["a", "b"],
        ["a"],
    ]


def test_gradient_clipping_bounds_the_norm():
    model = tiny("vae", SPEC)
    game = model.game()
    e = engine(model, game, clip=0.5)
    e.gradients(game.moves[0], batch())
    norm = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm()
    assert norm.item() == pytest.approx(0.5, rel=1e-3)
    assert e.averages()["vae/gradient_norm"] > 0.5
