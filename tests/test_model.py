"""The model against its slow oracle (tests/reference.py), and what must hold whatever the weights."""

import math
from dataclasses import fields
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import reference
from cases import (
    GATES,
    TOPOLOGIES,
    arrays,
    close,
    config,
    followed,
    length_lists,
    option_sets,
    padded,
    random_bags,
    random_labels,
    random_model,
    seeds,
)
from refinevad.errors import InputError
from refinevad.evidence import DirectEvidence, PromptPrior, Prompts, labels_as_targets
from refinevad.model import MoTAR, RefineVAD
from refinevad.model_config import RefineVADConfig
from refinevad.model_output import Output
from refinevad.smoothing import smooth
from refinevad.training.losses import category_loss, gmm_loss, inheritance_loss, mil_loss, posterior_loss
from refinevad.transformer import RelativePosition

BY_SEGMENT = ("logits", "scores", "coarse", "segment_logits", "category_scores", "shift_ratio", "refined", "evidence")
BY_VIDEO = ("category_logits", "presence", "mixture", "embedding", "video_evidence")


def on_a_floor(model: RefineVAD, bags: list[np.ndarray]) -> bool:
    """Whether some r_t D / K lies so near a whole number that float32 may floor it to the other side."""
    options, weights = followed(model.config), arrays(model)
    if options["gate"] != "hard":
        return False
    for bag in bags:
        for ratio in reference.shift_ratio(reference.standardise(bag, weights, options), weights, options):
            reach = ratio * len(model.config.selected) / options["folding"]
            if abs(reach - round(reach)) < 1e-4:
                return True
    return False


def equals_reference(model: RefineVAD, bags: list[np.ndarray], labels: np.ndarray | None, tolerance: float) -> None:
    """Hold a padded batch against the oracle, which sees one video at a time and no padding."""
    values, mask = padded(bags, beyond=2, filling=3.0)
    dtype = model.input_mean.dtype
    given_labels = None if labels is None else torch.from_numpy(labels).to(dtype)
    output = model(values.to(dtype), mask, given_labels)
    for row, bag in enumerate(bags):
        told = labels[row].tolist() if labels is not None and model.training else None
        expected = reference.run(bag, arrays(model), followed(model.config), told)
        for name in BY_SEGMENT:
            close(getattr(output, name)[row, : len(bag)], getattr(expected, name), tolerance)
        for name in BY_VIDEO:
            close(getattr(output, name)[row], getattr(expected, name), tolerance)


@pytest.mark.parametrize("gate", ["soft", "hard", "fixed"])
@pytest.mark.parametrize(("folding", "temperature"), [(2, 0.3), (4, 0.3), (8, 1.0), (4, 1000.0)])
def test_channels_out_of_the_shifts_reach_are_left_alone_and_nothing_else_is(
    gate: str, folding: int, temperature: float
) -> None:
    """Where a gate is narrow for the width, the shift is computed on part of the channels: the oracle takes all."""
    channels, segments = 96, 7
    torch.manual_seed(folding)
    motar = MoTAR(config(channels=channels, gate=gate, folding=folding, gate_temperature=temperature)).double()
    with torch.no_grad():
        motar.ratio[-1].bias.fill_(0.4)
    x = torch.randn(1, segments, channels, dtype=torch.float64)
    found, ratio = motar(x, torch.ones(1, segments, dtype=torch.bool))
    options = {"gate": gate, "folding": folding, "gate_temperature": temperature}
    expected = reference.shift(x[0].tolist(), ratio[0].tolist(), options)
    np.testing.assert_allclose(found[0].detach().numpy(), expected, atol=1e-7)


def test_the_oracle_follows_every_option() -> None:
    """A new option of the model needs its loop in tests/reference.py, or its name among those that have none there."""
    names = {field.name for field in fields(RefineVADConfig)}
    assert names >= reference.OPTIONS
    assert names <= reference.OPTIONS | reference.WITHOUT_ORACLE


@given(option_sets, length_lists, seeds, st.booleans())
def test_float32_equals_the_reference(options: dict[str, Any], lengths: list[int], seed: int, constant: bool) -> None:
    model = random_model(RefineVADConfig(**options), seed)
    bags = random_bags(lengths, options["channels"], seed, constant)
    assume(not on_a_floor(model, bags))
    equals_reference(model, bags, None, 1e-5)


@given(option_sets, length_lists, seeds, st.booleans(), st.booleans())
def test_training_with_labels_equals_the_reference_in_float64(
    options: dict[str, Any], lengths: list[int], seed: int, constant: bool, normal: bool
) -> None:
    model = random_model(RefineVADConfig(**options), seed).double().train()
    bags = random_bags(lengths, options["channels"], seed, constant)
    labels = random_labels(len(bags), len(options["categories"]), seed, normal)
    equals_reference(model, bags, labels, 1e-10)


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_each_gate_with_each_topology_equals_the_reference(gate: Any, topology: Any) -> None:
    model = random_model(config(gate=gate, topology=topology, layers=2), 7)
    equals_reference(model, random_bags([1, 6, 3], 6, 7), None, 1e-5)


def test_labels_change_nothing_outside_training() -> None:
    model, (values, mask) = random_model(config(label_injection=True), 1), padded(random_bags([4, 5], 6, 1))
    labels = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]])
    assert torch.equal(model(values, mask, labels).logits, model(values, mask).logits)
    model.train()
    assert not torch.allclose(model(values, mask, labels).logits, model(values, mask).logits)


def test_label_injection_adds_the_mean_prototype_and_nothing_to_normal_videos() -> None:
    """With w and e_y as weights of prototypes: labels {b, c} add half of each."""
    seen: list[torch.Tensor] = []
    model = random_model(config(label_injection=True), 2).train()
    model.core.inject.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[2]))
    values, mask = padded(random_bags([3, 3], 6, 2))
    output = model(values, mask, torch.tensor([[0.0, 1.0, 1.0], [0.0, 0.0, 0.0]]))
    torch.testing.assert_close(seen[0][0] - output.mixture[0], torch.tensor([0.0, 0.5, 0.5]))
    assert torch.equal(seen[0][1], output.mixture[1])


# --- MoTAR by hand ----------------------------------------------------------------------------------------------


def test_hard_shift_by_hand() -> None:
    """D = 6, K = 2, r = 0.7: s = floor(2.1) = 2, so two channels from before, two from after, two its own."""
    motar = MoTAR(config(gate="hard", folding=2))
    with torch.no_grad():
        for parameter in motar.ratio.parameters():
            parameter.zero_()
        motar.ratio[4].bias.fill_(math.log(0.7 / 0.3))
    x = torch.arange(18.0).view(1, 3, 6)  # rows 0..5, 6..11, 12..17
    y, ratio = motar(x, torch.ones(1, 3, dtype=torch.bool))
    torch.testing.assert_close(ratio, torch.full((1, 3), 0.7))
    expected = [[0, 1, 8, 9, 4, 5], [0, 1, 14, 15, 10, 11], [6, 7, 14, 15, 16, 17]]
    assert y[0].tolist() == expected


def test_fixed_shift_is_tsm() -> None:
    """r = 0.5, K = 4, D = 8: always one channel from each side."""
    y, _ = MoTAR(config(channels=8, gate="fixed"))(torch.arange(16.0).view(1, 2, 8), torch.ones(1, 2, dtype=torch.bool))
    assert y[0].tolist() == [[0, 9, 2, 3, 4, 5, 6, 7], [0, 9, 10, 11, 12, 13, 14, 15]]


def test_motion_is_the_variance_over_channels_of_the_step() -> None:
    """Steps (1, 3) and (0, 0): variances 1 and 0; the first segment takes the second's."""
    x = torch.tensor([[[0.0, 0.0], [1.0, 3.0], [1.0, 3.0]]])
    found = MoTAR.log_variance(x, torch.ones(1, 3, dtype=torch.bool)).exp() - 1e-6
    torch.testing.assert_close(found, torch.tensor([[1.0, 1.0, 0.0]]), atol=1e-6, rtol=0.0)


@given(seeds, st.integers(2, 9), st.integers(2, 5))
def test_soft_gate_becomes_the_hard_one_as_its_temperature_falls(seed: int, channels: int, folding: int) -> None:
    options = {"channels": channels, "folding": folding}
    hard = random_model(config(gate="hard", **options), seed)
    bags = random_bags([5, 1, 3], channels, seed)
    assume(not on_a_floor(hard, bags))
    soft = RefineVAD(config(gate="soft", gate_temperature=1e-6, **options)).eval()
    soft.load_state_dict(hard.state_dict())
    values, mask = padded(bags)
    torch.testing.assert_close(soft.motar(values, mask)[0], hard.motar(values, mask)[0])


def test_relative_positions_tell_distances_apart_by_powers_of_two() -> None:
    """Signed bit length: 0, 1, 2-3, 4-7, ..., all from 2048 on alike."""
    position = RelativePosition(1)
    with torch.no_grad():
        position.bias.copy_(torch.arange(25.0)[None])
    table = position(2100)[0].detach()
    for distance in (0, 1, 2, 3, 4, 7, 8, 1023, 1024, 2047, 2048, 2099):
        power = min(distance.bit_length(), 12)
        assert (table[0, distance], table[distance, 0]) == (12 + power, 12 - power)
        assert reference.bucket(distance) == 12 + power


@torch.no_grad()
def test_long_attention_equals_the_reference_and_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    """From LONG segments on, scoring reads the biases from a view with its queries reversed."""
    model, (bag,) = random_model(config(layers=2), 6), random_bags([13], 6, 6)
    expected = reference.run(bag, arrays(model), followed(model.config)).logits
    monkeypatch.setattr("refinevad.transformer.LONG", 1)
    close(model(*padded([bag])).logits[0], expected, 1e-5)
    equals_reference(model, random_bags([11, 2, 7], 6, 5), None, 1e-5)  # padded: the table after all
    long = padded(random_bags([1300], 6, 7))
    viewed = model(*long).logits
    monkeypatch.setattr("refinevad.transformer.LONG", 9999)
    torch.testing.assert_close(viewed, model(*long).logits, rtol=0.0, atol=1e-6)


# --- what holds whatever the weights ----------------------------------------------------------------------------


def of_video(output: Output, row: int, length: int) -> list[torch.Tensor]:
    """All that an output says of one video's real segments."""
    by_segment = [getattr(output, name)[row, :length] for name in BY_SEGMENT]
    return by_segment + [getattr(output, name)[row] for name in BY_VIDEO]


@given(option_sets, length_lists, seeds, st.floats(-1e4, 1e4), st.integers(1, 9))
@settings(max_examples=30)
@torch.no_grad()
def test_a_video_scores_the_same_alone_padded_and_beside_any_neighbour(
    options: dict[str, Any], lengths: list[int], seed: int, filling: float, beyond: int
) -> None:
    model = random_model(RefineVADConfig(**options), seed)
    bags = random_bags(lengths, options["channels"], seed)
    loud = 1e3 * random_bags([9], options["channels"], seed + 1)[0]
    batches = [
        (model(*padded([bag])), model(*padded([bag], beyond, filling)), model(*padded([loud, bag]))) for bag in bags
    ]
    together = model(*padded(bags))
    for row, (bag, (alone, stretched, beside)) in enumerate(zip(bags, batches, strict=True)):
        places = [(stretched, 0), (beside, 1), (together, row)]
        for output, place in places:
            for found, expected in zip(of_video(output, place, len(bag)), of_video(alone, 0, len(bag)), strict=True):
                close(found, expected.double().numpy())


@given(option_sets, length_lists, seeds)
@torch.no_grad()
def test_permuting_a_batch_permutes_its_output(options: dict[str, Any], lengths: list[int], seed: int) -> None:
    model = random_model(RefineVADConfig(**options), seed)
    values, mask = padded(random_bags(lengths, options["channels"], seed))
    order = torch.randperm(len(lengths), generator=torch.Generator().manual_seed(seed))
    one, other = model(values, mask), model(values[order], mask[order])
    for name in BY_SEGMENT + BY_VIDEO:
        close(getattr(other, name), getattr(one, name)[order].double().numpy())


@given(option_sets, length_lists, seeds)
@settings(max_examples=25)
def test_padding_comes_out_as_zero_and_takes_no_gradient(
    options: dict[str, Any], lengths: list[int], seed: int
) -> None:
    model = random_model(RefineVADConfig(**options), seed)
    values, mask = padded(random_bags(lengths, options["channels"], seed), beyond=2)
    values.requires_grad_()
    output = model(values, mask)
    for name in ("logits", "segment_logits", "shift_ratio", "coarse", "evidence"):
        assert not getattr(output, name)[~mask].any()
    (gradient,) = torch.autograd.grad(output.logits.sum() + output.category_logits.sum(), values)
    assert not gradient[~mask].any()


def wild_bags(generator: np.random.Generator, videos: int, channels: int) -> list[np.ndarray]:
    """Bags as they come from the worst of cameras: still, black, one segment long, huge, tiny, or with one jump."""
    kinds = (
        lambda bag: bag,
        lambda bag: np.repeat(bag[:1], len(bag), axis=0),
        lambda bag: bag * 0,
        lambda bag: bag * 1e4,
        lambda bag: bag * 1e-12,
        lambda bag: np.where(np.arange(len(bag))[:, None] == len(bag) - 1, bag * 1e3, bag[:1]),
    )
    bags = []
    for kind in generator.integers(0, len(kinds), videos):
        bag = generator.normal(size=(generator.integers(1, 8), channels)).astype(np.float32)
        bags.append(kinds[kind](bag).astype(np.float32))
    return bags


def pick(generator: np.random.Generator, choices: tuple[Any, ...]) -> Any:
    return choices[int(generator.integers(len(choices)))]


def test_ten_thousand_random_configurations_stay_finite() -> None:
    """200 draws of options and weights x 50 of bags, labels and lengths; scores, losses and gradients are finite.

    Videos of a batch do not see each other (tested above), so each (model, video) pair is a case of its own.
    """
    generator = np.random.default_rng(0)
    for _ in range(200):
        options = config(
            channels=int(generator.integers(1, 9)),
            categories=tuple("abcd"[: generator.integers(1, 5)]),
            gate=pick(generator, GATES),
            folding=int(generator.integers(2, 9)),
            gate_temperature=pick(generator, (1e-6, 0.1, 4.0, 100.0)),
            layers=int(generator.integers(0, 3)),
            positions=pick(generator, ("relative", "none")),
            topology=pick(generator, TOPOLOGIES),
            weights=pick(generator, ("soft", "hard")),
            category_temperature=pick(generator, (1e-3, 0.2, 10.0)),
            segment_posterior=pick(generator, (True, False)),
            smoothing=int(generator.integers(0, 9)),
            direct=pick(generator, (True, False)),
            centre_head=pick(generator, (True, False)),
            input_clip=pick(generator, (0.0, 5.0)),
        )
        model = random_model(options, int(generator.integers(2**31)), pick(generator, (0.0, 0.1, 1.0, 10.0))).train()
        values, mask = padded(wild_bags(generator, 50, options.channels))
        present = generator.random((50, len(options.categories))) < pick(generator, (0.0, 0.3, 1.0))
        labels = torch.from_numpy(present.astype(np.float32))
        output = model(values, mask, labels)
        for name in ("scores", "presence", "category_scores", "shift_ratio"):
            value = getattr(output, name)
            assert bool(((value >= 0) & (value <= 1)).all()), (name, options)
        assert bool(torch.isfinite(output.embedding).all()), options
        terms = [mil_loss(output, labels, mask), category_loss(output, labels)]
        terms += [posterior_loss(output, labels, mask), gmm_loss(output, labels, mask)]
        terms += [inheritance_loss(output, labels, mask)]
        total = torch.stack(terms).sum()
        assert bool(torch.isfinite(total)), options
        total.backward()
        for name, parameter in model.named_parameters():
            assert parameter.grad is None or bool(torch.isfinite(parameter.grad).all()), (name, options)


# --- the gate learns, or cannot ---------------------------------------------------------------------------------


def train_gate(gate: Any) -> tuple[RefineVAD, list[torch.Tensor]]:
    """Thirty steps on videos that one channel tells apart; return the model and the gate's weights before them."""
    torch.manual_seed(0)
    model = RefineVAD(config(gate=gate, gate_temperature=1.0, layers=0, topology="none"))
    before = [parameter.detach().clone() for parameter in model.motar.ratio.parameters()]
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    values = torch.randn(16, 8, 6)
    labels = torch.zeros(16, 3)
    labels[:8, 0] = 1.0
    values[:8, 3] += 3.0
    mask = torch.ones(16, 8, dtype=torch.bool)
    for _ in range(30):
        optimizer.zero_grad()
        mil_loss(model(values, mask, labels), labels, mask).backward()
        optimizer.step()
    return model, before


def test_the_soft_gate_receives_gradient_and_moves() -> None:
    model, before = train_gate("soft")
    for now, then in zip(model.motar.ratio.parameters(), before, strict=True):
        assert now.grad is not None
        assert float(now.grad.abs().max()) > 0
        assert float((now.detach() - then).abs().max()) > 1e-2


@pytest.mark.parametrize("gate", ["hard", "fixed", "none"])
def test_no_other_gate_receives_any_gradient(gate: str) -> None:
    """The paper's floor only indexes: its gate stays where it was initialised, weight decay and all."""
    model, before = train_gate(gate)
    for now, then in zip(model.motar.ratio.parameters(), before, strict=True):
        assert now.grad is None
        assert torch.equal(now, then)


def test_a_constant_video_trains() -> None:
    """Its motion is 0: the gradient of its logarithm with respect to the input is finite, and 0."""
    model = random_model(config(), 3).train()
    values, mask = padded(random_bags([6, 6], 6, 3, constant=True))
    values.requires_grad_()
    MoTAR.log_variance(values, mask).sum().backward()
    assert values.grad is not None
    assert not values.grad.any()
    labels = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    mil_loss(model(values.detach(), mask, labels), labels, mask).backward()
    assert all(bool(torch.isfinite(p.grad).all()) for p in model.parameters() if p.grad is not None)


# --- statistics, smoothing, options -----------------------------------------------------------------------------


def test_statistics_come_from_real_segments_alone() -> None:
    bags = random_bags([4, 7, 2], 6, 5)
    model = RefineVAD(config())
    model.fit_statistics(*padded(bags, beyond=3, filling=1e6))
    joined = np.concatenate(bags).astype(np.float64)
    close(model.input_mean, joined.mean(0))
    close(model.input_scale, joined.std(0))
    weights, options = arrays(model), followed(model.config)
    motion = np.concatenate([reference.motion(reference.standardise(bag, weights, options)) for bag in bags])
    close(model.motar.motion_mean, np.array(motion.mean()))
    close(model.motar.motion_scale, np.array(motion.std()))


def test_smoothing_by_hand() -> None:
    """Half-width 1 over 3, 6, 0 and a padded 9: ends average what is there."""
    values = torch.tensor([[[3.0], [6.0], [0.0], [9.0]]])
    mask = torch.tensor([[True, True, True, False]])
    torch.testing.assert_close(smooth(values, mask, 1)[0, :, 0], torch.tensor([4.5, 3.0, 3.0, 0.0]))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"gate": "sometimes"}, "model option gate is one of hard, soft, fixed, none: got 'sometimes'"),
        ({"topology": "ring"}, "model option topology is one of"),
        ({"weights": "medium"}, "model option weights is one of"),
        ({"positions": "absolute"}, "model option positions is one of"),
        ({"folding": 1}, "model option folding must be at least 2: got 1"),
        ({"folding": "4"}, "model option folding is a whole number: got '4'"),
        ({"label_injection": 1}, "model option label_injection is true or false: got 1"),
        ({"dropout": 1.0}, "dropout must be below 1"),
        ({"dropout": "much"}, "model option dropout is a number"),
        ({"category_temperature": float("nan")}, "model option category_temperature is a number"),
        ({"category_temperature": 0.0}, "category_temperature must be at least 0.001"),
        ({"heads": 3}, "width 128 does not divide into 3 heads"),
        ({"heads": 0}, "heads must be at least 1"),
        ({"channels": 0}, "channels must be at least 1"),
        ({"input_clip": -1.0}, "input_clip must be at least 0"),  # one value for every input, whatever it is
        ({"relative_smoothing": -0.1}, "relative_smoothing must be at least 0"),
        ({"categories": ()}, "a model needs the names of its anomaly categories"),
        ({"inputs": [[0, 7]]}, "model inputs ((0, 7),) are no ranges of 6 channels"),
        ({"head": 2}, "unknown model option head; known: "),
    ],
)
def test_wrong_options_are_refused_with_a_sentence(changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError) as error:
        RefineVADConfig.from_dict({"channels": 6, "categories": ["a"], **changes})
    assert sentence in str(error.value)


def test_options_survive_a_round_trip() -> None:
    options = config(gate="hard", topology="film", smoothing=2)
    assert RefineVADConfig.from_dict(options.as_dict()) == options


def test_runs_are_not_averaged_with_their_neighbours() -> None:
    """They may lie minutes apart: of both paths' averages nothing is left with `merge_runs`."""
    wide = {"direct": True, "direct_smoothing": 2, "refined_smoothing": 1}
    bags = padded(random_bags([6], 6, 0))
    runs, none, moved = (
        random_model(config(**options), 0)(*bags).logits
        for options in (wide | {"merge_runs": True}, {"direct": True}, wide)
    )
    close(runs, none.detach().numpy())
    assert not torch.allclose(moved, none)


def test_an_untrained_direct_path_says_that_nothing_is_here() -> None:
    """The odds of a category against none are exp(-2.5), one in twelve, whatever is seen."""
    evidence = DirectEvidence(3, 2, 0.2).eval()(torch.randn(1, 4, 3))
    assert torch.equal(evidence, torch.full((1, 4, 2), -2.5))


def test_empty_segments_have_no_say_in_how_like_prompts_are() -> None:
    """Two more segments that are empty, between the others, leave mean and spread as they were."""
    torch.manual_seed(3)
    prompts = Prompts(torch.randn(2, 3), (0, 1), torch.randn(3))
    spoken = torch.randn(1, 5, 3)
    spaced = torch.cat([spoken[:, :2], torch.zeros(1, 2, 3), spoken[:, 2:]], dim=1)
    alone, among = PromptPrior(3, 1, (0, 1)), PromptPrior(3, 1, (0, 1))
    alone.fit(prompts, spoken, torch.ones(1, 5, dtype=torch.bool))
    among.fit(prompts, spaced, torch.ones(1, 7, dtype=torch.bool))
    assert torch.allclose(alone.mean, among.mean)
    assert torch.allclose(alone.scale, among.scale)
    likeness, prior = among(spaced)
    both = torch.cat([likeness, prior[..., None]], dim=-1)[0]
    assert not both[2:4].any()  # an empty segment is like nothing
    heard = torch.cat([both[:2], both[4:]])
    assert torch.allclose(heard.mean(0), torch.zeros(2), atol=1e-5)
    assert torch.allclose(heard.std(0), torch.ones(2), atol=1e-5)


def test_labels_as_targets_by_hand() -> None:
    """None of them; one; two, which share."""
    labels = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    assert labels_as_targets(labels).tolist() == [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.5, 0.5]]
