"""The game of every model: a move changes its player, all of it, and nothing else."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from ptheta.batch import Batch
from ptheta.capabilities import capabilities
from ptheta.dynamics import DYNAMICS
from ptheta.errors import PthetaError
from ptheta.games import Clock, Game, Move, Phase, Player, unchanged
from ptheta.models import registry
from ptheta.optimizers import Adam
from ptheta.specs import DataSpec, ImageSpec
from ptheta.training.engine import Engine, Weighing
from ptheta.training.group import Group
from tests.conftest import PLAYED, VECTORS, conditions, config_options, examples, pairs, tiny

SPEC = ImageSpec(1, 16, 16, 2)


def batch(spec: DataSpec = SPEC, n: int = 8, model: Any = None) -> Batch:
    """Of examples with conditions of a model, or with labels."""
    asked = None if model is None else conditions(model, n)
    return Batch(examples(spec, n, seed=5), torch.arange(n) % 3 if asked is None else asked)


def engine(model: torch.nn.Module, game: Game[Any], **options) -> Engine:
    return Engine(model, game, Group(), Weighing(**options))


def begin(e: Engine, move: Move[Any]) -> None:
    """Goes to the first share of a run in which the move is made."""
    e.share = move.span[0]


def is_judge(move: Move[Any]) -> bool:
    return move.player.endswith(("discriminator", "critic"))


def at_once(name: str) -> dict[str, Any]:
    """Options of a model of which all weights learn from the first step on."""
    return {"stages": 1} if "stages" in config_options(name) else {}


def snapshot(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {k: v.clone() for k, v in model.state_dict().items()}


@pairs(PLAYED, SPEC, VECTORS)
def test_losses_are_per_example_and_named(name, spec):
    model = tiny(name, spec)
    game, images = model.game(), batch(spec, model=model)
    step = max(move.every for move in game.moves)
    e = engine(model, game)
    for move in game.moves:
        begin(e, move)
        terms = move.loss(images, e.prepare(game, step, images))
        assert terms
        for term in terms.values():
            assert len(term) == 8
            assert term.ndim in (1, 2)


WITH_POSTERIOR = [m for m in PLAYED if "posterior" in capabilities(registry.entry(m).load_model())]


@pairs(WITH_POSTERIOR, SPEC, VECTORS)
def test_a_model_with_a_posterior_logs_both_counts_of_active_units(name, spec):
    model = tiny(name, spec)
    game, images = model.game(), batch(spec, model=model)
    shared = engine(model, game).prepare(game, max(move.every for move in game.moves), images)
    for move in game.moves:
        move.loss(images, shared)
    assert 0 <= images.logs["active_units"] <= images.logs["active_by_variance"]


@pairs(PLAYED, SPEC, VECTORS)
def test_a_move_changes_only_its_player(name, spec):
    model = tiny(name, spec, **at_once(name))
    game = model.game()
    e = engine(model, game)
    images = batch(spec, model=model)
    last = max(move.every for move in game.moves)
    for turn, move in enumerate([*game.moves, *game.moves], start=1):
        e.step = turn
        begin(e, move)
        shared = e.prepare(game, last, images)  # a step in which all move whose time it is
        own = {id(p) for p in game.players[move.player].parameters()}
        own_buffers = {id(b) for b in game.players[move.player].buffers()}
        before = snapshot(model)
        e.gradients(move, images, shared)
        assert all(p.grad is None for p in model.parameters() if id(p) not in own and turn == 1)
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


@pairs(PLAYED, SPEC, VECTORS)
def test_every_parameter_has_one_player_and_every_player_moves(name, spec):
    model = tiny(name, spec)
    game = model.game()
    owners = [id(p) for player in game.players.values() for p in player.parameters()]
    assert sorted(owners) == sorted(id(p) for p in model.parameters())
    assert {move.player for move in game.moves} == set(game.players)


SEVERAL = [name for name in PLAYED if len(tiny(name, SPEC).game().players) > 1]


@pytest.mark.parametrize("name", SEVERAL)
def test_what_is_shared_changes_no_weights_and_no_statistics_of_who_rests(name):
    model = tiny(name, SPEC)
    game = model.game()
    e = engine(model, game)
    last = max(move.every for move in game.moves)
    for step, share in ((step, move.span[0]) for move in game.moves for step in (1, last)):
        e.share = share
        e.prepare(game, last, batch(model=model))  # of this part of the run, before it is looked at
        movers = {move.player for move in game.due(step, share)}
        before = snapshot(model)
        e.prepare(game, step, batch(model=model))
        owners = {id(b): n for n, player in game.players.items() for b in player.buffers()}
        for key, tensor in [*model.named_parameters(), *model.named_buffers()]:
            if key in before and owners.get(id(tensor)) not in movers:
                assert torch.equal(before[key], tensor), key


@pytest.mark.parametrize("name", SEVERAL)
def test_a_step_is_one_batch_and_the_judge_moves_in_each_of_them(name):
    moves = tiny(name, SPEC).game().moves
    players = [move.player for move in moves]
    assert len(set(players)) == len(players)  # nobody moves twice on one batch
    judges = [move for move in moves if is_judge(move)]
    assert judges == list(moves[: len(judges)])
    assert {move.every for move in judges} == {1}


@pytest.mark.parametrize("name", [n for n in SEVERAL if "critic_steps" in config_options(n)])
def test_critic_steps_are_the_steps_of_a_judge_for_one_of_the_others(name):
    game = tiny(name, SPEC, critic_steps=3).game()
    for share in sorted({move.span[0] for move in game.moves if is_judge(move)}):
        playing = [move for move in game.moves if move.within(share)]
        assert [move.every for move in playing] == [1, 3]


def trained(name: str, rule: str, steps: int = 2) -> torch.Tensor:
    """All weights after some steps."""
    model = tiny(name, SPEC)
    game = model.game()
    e = engine(model, game)
    every = max(move.every for move in game.moves)
    begin(e, game.moves[0])  # where a judge plays, not where one learns alone
    torch.manual_seed(0)
    for step in range(every, (steps + 1) * every, every):
        DYNAMICS[rule].rule(e, game, step, batch(model=model))
        with torch.no_grad():
            if game.after is not None:
                game.after(step)
    return torch.cat([p.detach().flatten() for p in model.parameters()])


@pytest.mark.parametrize("name", SEVERAL)
def test_the_dynamics_are_different_algorithms(name):
    found = {rule: trained(name, rule) for rule in DYNAMICS}
    for rule, weights in found.items():
        assert torch.equal(weights, trained(name, rule)), rule
        others = [w for other, w in found.items() if other != rule]
        assert all((weights - w).abs().max() > 1e-7 for w in others), rule


@pytest.mark.parametrize("name", SEVERAL)
def test_judges_read_detached_fakes_and_the_others_move_against_what_judges_have_become(name):
    """The gradients of each player, taken again by autograd alone."""
    model = tiny(name, SPEC)
    game, images = model.game(), batch(model=model)
    e = engine(model, game)
    step = max(move.every for move in game.moves)
    torch.manual_seed(0)
    for move in game.moves:
        if e.share != move.span[0] or move is game.moves[0]:
            begin(e, move)
            shared = e.prepare(game, step, images)
        noise = torch.get_rng_state()
        own = game.players[move.player].parameters()
        judge = is_judge(move)
        others = [p for p in model.parameters() if all(p is not q for q in own)]
        with unchanged(list(model.buffers())):
            loss = sum(term.float().mean(0).sum() for term in move.loss(images, shared).values())
            grads = torch.autograd.grad(
                loss, [*own, *(others if judge else [])], retain_graph=True, allow_unused=True
            )
        assert all(g is None for g in grads[len(own) :])  # none of the way back to the fakes
        torch.set_rng_state(noise)
        e.gradients(move, images, shared)
        for p, g in zip(own, grads, strict=False):
            torch.testing.assert_close(p.grad, g)
        e.update(move.player)  # the next move is against these weights


def test_extragradient_draws_the_same_noise_twice():
    drawn: list[float] = []

    class Noisy(Toy):
        def game(self) -> Game[float]:
            def prepare(batch: Batch, clock: Clock) -> float:
                drawn.append(torch.randn(()).item())
                return drawn[-1]

            def loss(batch: Batch, shared: float) -> dict[str, torch.Tensor]:
                drawn.append(torch.randn(()).item())
                return {"v": self.value()}

            return Game(super().game().players, (Move("a", loss), Move("b", loss)), prepare)

    toy = Noisy()
    game = toy.game()
    DYNAMICS["extragradient"].rule(engine(toy, game), game, 1, batch(n=2))
    assert len(drawn) == 6
    assert drawn[:3] == drawn[3:]


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

    def game(self) -> Game[Any]:
        return Game(
            {"a": Player((self.a,), Adam(0.1)), "b": Player((self.b,), Adam(0.1))},
            (
                Move("a", lambda batch, shared: {"v": self.value()}),
                Move("b", lambda batch, shared: {"v": -self.value()}),
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
    toy = Toy()
    game = toy.game()
    DYNAMICS[rule].rule(engine(toy, game), game, 1, batch(n=2))
    assert [(round(a, 5), round(b, 5)) for a, b in toy.seen] == seen
    # extragradient's second Adam step starts from the old weights
    assert toy.a["w"].item() == pytest.approx(0.9, abs=2e-3)
    assert toy.b["w"].item() == pytest.approx(2.1, abs=2e-3)


def test_every_skips_moves():
    toy = Toy()
    moves: tuple[Move[None], ...] = (
        Move("a", lambda batch, shared: {}),
        Move("b", lambda batch, shared: {}, every=3),
    )
    game = Game(toy.game().players, moves)
    assert [[m.player for m in game.due(step)] for step in (1, 2, 3, 4)] == [
        ["a"],
        ["a"],
        ["a", "b"],
        ["a"],
    ]


def test_a_span_is_the_part_of_a_run_in_which_a_move_is_made():
    def nothing(batch: Batch, shared: None) -> dict[str, torch.Tensor]:
        return {}

    moves: tuple[Move[None], ...] = (
        Move("a", nothing, span=(0.0, 0.25)),
        Move("b", nothing, every=2, span=(0.25, 1.0)),
    )
    game = Game(Toy().game().players, moves)
    for share, players in ((0.0, "a"), (0.249, "a"), (0.25, "b"), (0.9, "b"), (1.0, "b")):
        assert [move.player for move in game.due(2, share)] == [players]
    assert game.due(1, 0.5) == []
    turns = (Phase(frozenset("b"), 3), Phase(frozenset("a"), 1))
    game = dataclasses.replace(game, phases=turns)
    assert [[m.player for m in game.due(step, 0.5)] for step in (1, 3, 4)] == [["b"], ["b"], []]
    for span in ((0.5, 0.5), (0.5, 0.2), (-0.1, 1.0), (0.0, 1.1)):
        with pytest.raises(PthetaError, match="of the run: want increasing shares"):
            Game({"a": Player((ONE,))}, (Move("a", nothing, span=span),))


def test_gradient_clipping_bounds_the_norm():
    model = tiny("vae", SPEC)
    game = model.game()
    e = engine(model, game, clip=0.5)
    e.gradients(game.moves[0], batch(), None)
    norm = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm()
    assert norm.item() == pytest.approx(0.5, rel=1e-3)
    assert e.averages.take()["vae/gradient_norm"] > 0.5


ONE = nn.Linear(1, 1)
FAULTY: dict[str, tuple[Callable[[Batch, None], Any], str]] = {
    "nothing": (lambda batch, _: {}, "returned dict"),
    "a tensor": (lambda batch, _: ONE.weight.sum(), "returned Parameter|returned Tensor"),
    "one number": (
        lambda batch, _: {"e": ONE.weight.sum()},
        r"'e' of a is \(\): return one value for",
    ),
    "another length": (lambda batch, _: {"e": ONE.weight.expand(9, 1)}, r"for each of the 4"),
    "no tensor": (lambda batch, _: {"e": 1.0}, "'e' of a is float"),
    "no gradient": (lambda batch, _: {"e": torch.zeros(4)}, "depends on its weights: compute"),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_faulty_loss_is_one_line(fault):
    loss, words = FAULTY[fault]
    game = Game({"a": Player((ONE,))}, (Move("a", loss),))
    e = engine(ONE, game)
    with pytest.raises(PthetaError, match=words) as error:
        e.gradients(game.moves[0], Batch(torch.zeros(4, 1)), None)
    assert "\n" not in str(error.value)


def test_a_game_names_players_that_move_and_no_others():
    move: Move[None] = Move("a", lambda batch, _: {"e": ONE(batch.x).squeeze(1)})
    with pytest.raises(PthetaError, match="unknown player of a move"):
        Game({"b": Player((ONE,))}, (move,))
    with pytest.raises(PthetaError, match="player b has no move"):
        Game({"a": Player((ONE,)), "b": Player((ONE,))}, (move,))
    with pytest.raises(PthetaError, match="every 0 steps"):
        Game({"a": Player((ONE,))}, (dataclasses.replace(move, every=0),))
