"""The losses against the slow oracle, and against values worked out by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import reference
from cases import arrays, close, config, followed, length_lists, padded, random_bags, random_labels, random_model, seeds
from refinevad.model import RefineVAD
from refinevad.model_output import Output
from refinevad.top_k import bag_sizes
from refinevad.training.bags import Batch
from refinevad.training.loop import losses
from refinevad.training.losses import (
    category_loss,
    category_mixture,
    gmm_loss,
    inheritance_loss,
    mil_loss,
    naming_loss,
    posterior_loss,
    pseudo_label_loss,
    pseudo_labels,
    top_k_mean,
)
from refinevad.training.train_options import TrainOptions

WEIGHTS = {"lambda_mil": 1.0, "lambda_category": 0.2, "lambda_posterior": 0.2, "lambda_gmm": 0.1, "k_divisor": 16}


def prefix_mask(lengths: list[int], beyond: int = 0) -> torch.Tensor:
    return torch.arange(max(lengths) + beyond)[None] < torch.tensor(lengths)[:, None]


def blank(videos: int, segments: int, categories: int) -> Output:
    """An output whose figures are replaced by those a test cares for."""
    model = RefineVAD(config(categories=tuple("abcd"[:categories])))
    with torch.no_grad():
        return model(torch.zeros(videos, segments, 6), torch.ones(videos, segments, dtype=torch.bool))


def output_of(
    logits: list[list[float]],
    coarse: list[list[float]] | None = None,
    category_logits: list[list[list[float]]] | None = None,
    segment_logits: list[list[list[float]]] | None = None,
) -> Output:
    """An output of one category, with what a test does not care for at 0."""
    videos, segments = len(logits), len(logits[0])
    return replace(
        blank(videos, segments, 1),
        logits=torch.tensor(logits),
        coarse=torch.zeros(videos, segments) if coarse is None else torch.tensor(coarse),
        category_logits=torch.zeros(videos, 1, 2) if category_logits is None else torch.tensor(category_logits),
        mixture=torch.ones(videos, 1),
        segment_logits=torch.zeros(videos, segments, 1) if segment_logits is None else torch.tensor(segment_logits),
    )


def random_output(
    lengths: list[int], categories: int, seed: int
) -> tuple[Output, torch.Tensor, list[reference.Result]]:
    """Random scores as the model's Output, padded, and as the oracle's Results, without padding."""
    generator = torch.Generator().manual_seed(seed)
    mask = prefix_mask(lengths, beyond=2)

    def normal(*shape: int) -> torch.Tensor:
        return 2.0 * torch.randn(*shape, generator=generator)

    videos, segments = mask.shape
    output = replace(
        blank(videos, segments, categories),
        logits=normal(videos, segments) * mask,
        coarse=normal(videos, segments).masked_fill(~mask, -torch.inf).softmax(-1),
        category_logits=normal(videos, categories, 2),
        mixture=normal(videos, categories).softmax(-1),
        segment_logits=normal(videos, segments, categories) * mask[..., None],
        evidence=normal(videos, segments, categories) * mask[..., None],
    )
    results = []
    for row, length in enumerate(lengths):
        names = ("logits", "scores", "coarse", "segment_logits", "category_scores", "shift_ratio")
        names += ("refined", "evidence")
        by_segment = {name: getattr(output, name)[row, :length].double().numpy() for name in names}
        names = ("category_logits", "presence", "mixture", "embedding", "video_evidence")
        by_video = {name: getattr(output, name)[row].double().numpy() for name in names}
        results.append(reference.Result(**by_segment, **by_video))
    return output, mask, results


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=4), seeds, st.integers(1, 4), st.integers(1, 20), st.booleans()
)
def test_losses_equal_the_reference(lengths: list[int], seed: int, categories: int, divisor: int, normal: bool) -> None:
    output, mask, results = random_output(lengths, categories, seed)
    labels = random_labels(len(lengths), categories, seed, normal)
    told = torch.from_numpy(labels)
    pairs = [
        (mil_loss(output, told, mask, divisor), reference.mil_loss(results, labels, divisor)),
        (category_loss(output, told), reference.category_loss(results, labels)),
        (posterior_loss(output, told, mask, divisor), reference.posterior_loss(results, labels, divisor)),
        (gmm_loss(output, told, mask), reference.gmm_loss(results, labels)),
        (inheritance_loss(output, told, mask), reference.inheritance_loss(results, labels)),
    ]
    for ours, expected in pairs:
        close(ours, np.array(expected))
    mixed = category_mixture(output, mask)
    for row, result in enumerate(results):
        close(mixed[row, : lengths[row]], np.array(reference.category_mixture(result)))
    assert not mixed[~mask].any()


@given(length_lists, seeds, st.booleans(), st.booleans(), st.booleans())
def test_losses_of_a_training_step_equal_the_reference(
    lengths: list[int], seed: int, constant: bool, normal: bool, direct: bool
) -> None:
    """Model and losses together, labels injected, in float64."""
    model = random_model(config(direct=direct), seed).double().train()
    bags = random_bags(lengths, 6, seed, constant)
    labels = random_labels(len(bags), 3, seed, normal)
    values, mask = padded(bags)
    batch = Batch(values.double(), mask, torch.from_numpy(labels).double())
    terms = losses(model(batch.values, mask, batch.labels), batch, TrainOptions(lambda_inherit=0.5, **WEIGHTS))
    results = [
        reference.run(bag, arrays(model), followed(model.config), label.tolist())
        for bag, label in zip(bags, labels, strict=True)
    ]
    expected = {
        "mil": reference.mil_loss(results, labels, 16),
        "category": 0.2 * reference.category_loss(results, labels),
        "posterior": 0.2 * reference.posterior_loss(results, labels, 16),
        "inherit": 0.5 * reference.inheritance_loss(results, labels),
        "gmm": 0.1 * reference.gmm_loss(results, labels),
    }
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        close(terms[name], np.array(value), 1e-10)


def test_a_weight_of_zero_leaves_its_term_out() -> None:
    output, mask, _ = random_output([3, 4], 3, 0)
    batch = Batch(torch.zeros(2, 6, 6), mask, torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]))
    bare = TrainOptions(lambda_gmm=0.0, lambda_category=0.0, lambda_posterior=0.0, lambda_inherit=0.0)
    assert set(losses(output, batch, bare)) == {"mil"}


def test_inheritance_by_hand() -> None:
    """d = log 3 against 0: the category has 3/4. Normal: -log 1/4. Anomalous: -log 3/4."""
    output = replace(blank(2, 1, 1), evidence=torch.full((2, 1, 1), math.log(3)))
    loss = inheritance_loss(output, torch.tensor([[1.0], [0.0]]), prefix_mask([1, 1]))
    assert float(loss) == pytest.approx(-(math.log(3 / 4) + math.log(1 / 4)) / 2, rel=1e-6)


@pytest.mark.parametrize(("segments", "k"), [(1, 1), (15, 1), (16, 2), (31, 2), (32, 3)])
def test_k_is_the_fields(segments: int, k: int) -> None:
    """k = floor(T / 16) + 1; the mean of the k largest of 0 .. T - 1 is T - 1 - (k - 1) / 2."""
    mask = prefix_mask([segments], beyond=3)
    assert bag_sizes(mask).tolist() == [k]
    values = torch.arange(segments + 3.0)[None]  # padding would win if it counted
    torch.testing.assert_close(top_k_mean(values, mask), torch.tensor([segments - 1 - (k - 1) / 2]))


def test_k_never_passes_the_length() -> None:
    assert bag_sizes(prefix_mask([1, 3]), divisor=1).tolist() == [1, 3]


def test_mil_by_hand() -> None:
    """Anomalous top 2: log(1 + e^-2). Normal top -1: log(1 + e^-1)."""
    output = output_of([[2.0, -5.0], [-1.0, -3.0]])
    loss = mil_loss(output, torch.tensor([[1.0], [0.0]]), prefix_mask([2, 2]))
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1))) / 2
    assert float(loss) == pytest.approx(expected, rel=1e-6)


def test_category_by_hand() -> None:
    """Present beats absent by 3, truly present: log(1 + e^-3); absent in truth: log(1 + e^3)."""
    output = output_of([[0.0], [0.0]], category_logits=[[[-1.0, 2.0]], [[-1.0, 2.0]]])
    right, wrong = math.log1p(math.exp(-3)), math.log1p(math.exp(3))
    both = torch.tensor([[1.0], [0.0]])
    assert float(category_loss(output, both)) == pytest.approx((right + wrong) / 2, rel=1e-6)
    assert float(category_loss(output, torch.ones(2, 1))) == pytest.approx(right, rel=1e-6)


def test_posterior_by_hand() -> None:
    """The best segment's logit 2 stands for the video: log(1 + e^-2) when the category is there."""
    output = output_of([[0.0, 0.0]], segment_logits=[[[-4.0], [2.0]]])
    loss = posterior_loss(output, torch.ones(1, 1), prefix_mask([2]))
    assert float(loss) == pytest.approx(math.log1p(math.exp(-2)), rel=1e-6)


def test_mixture_by_hand() -> None:
    """All attention on t = 2: mu 2, sigma^2 0 + 1. Half on 0 and half on 4: mu 2, sigma^2 4 + 1."""
    t = torch.arange(5.0)
    for coarse, variance in (([0.0, 0.0, 1.0, 0.0, 0.0], 1.0), ([0.5, 0.0, 0.0, 0.0, 0.5], 5.0)):
        mixed = category_mixture(output_of([[0.0] * 5], coarse=[coarse]), prefix_mask([5]))
        torch.testing.assert_close(mixed[0], torch.exp(-((t - 2) ** 2) / (2 * variance)))


def test_mixture_follows_the_segment_posterior() -> None:
    """Equal pooling, posterior 3/4 at t = 0 and 1/4 at t = 1: mu 1/4, sigma^2 3/16 + 1."""
    output = output_of([[0.0] * 2], coarse=[[0.5, 0.5]], segment_logits=[[[math.log(3)], [-math.log(3)]]])
    mixed = category_mixture(output, prefix_mask([2]))
    expected = [math.exp(-(0.25**2) / (2 * 19 / 16)), math.exp(-(0.75**2) / (2 * 19 / 16))]
    torch.testing.assert_close(mixed, torch.tensor([expected]))


def test_gmm_is_the_squared_distance_on_anomalous_videos_alone() -> None:
    """Scores 1/2 everywhere, the mixture e^0 and e^-1/2: ((1/2)^2 + (e^-1/2 - 1/2)^2) / 2."""
    output = output_of([[0.0, 0.0], [7.0, 7.0]], coarse=[[1.0, 0.0], [1.0, 0.0]])
    loss = gmm_loss(output, torch.tensor([[1.0], [0.0]]), prefix_mask([2, 2]))
    assert float(loss) == pytest.approx((0.25 + (math.exp(-0.5) - 0.5) ** 2) / 2, rel=1e-5)


def test_gmm_of_an_all_normal_batch_is_zero_with_zero_gradient() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    output = replace(output_of([[0.0] * 3] * 2, coarse=[[1.0, 0.0, 0.0]] * 2), logits=logits)
    loss = gmm_loss(output, torch.zeros(2, 1), prefix_mask([3, 2]))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


def by_rank(scores: list[float], anomalous: bool, high: float, low: float) -> list[int | None]:
    """1, 0 or nothing for each segment of one video, said plainly."""
    if not anomalous:
        return [0] * len(scores)
    order = sorted(range(len(scores)), key=lambda t: -scores[t])
    top = max(1, round(high * len(scores)))
    bottom = min(round(low * len(scores)), len(scores) - top)
    said: list[int | None] = [None] * len(scores)
    for place in order[:top]:
        said[place] = 1
    for place in order[len(scores) - bottom :]:
        said[place] = 0
    return said


@given(length_lists, seeds, st.sampled_from([(0.4, 0.35), (0.2, 0.6), (0.9, 0.5)]))
def test_pseudo_labels_are_those_of_each_video_alone(
    lengths: list[int], seed: int, shares: tuple[float, float]
) -> None:
    generator = np.random.default_rng(seed)
    mask, labels = prefix_mask(lengths, 2), torch.from_numpy(random_labels(len(lengths), 2, seed))
    teacher = torch.from_numpy(generator.permutation(mask.numel()).reshape(mask.shape).astype(np.float64))
    anomalous, normal = pseudo_labels(teacher, labels, mask, *shares)
    for row, length in enumerate(lengths):
        expected = by_rank(teacher[row, :length].tolist(), bool(labels[row].any()), *shares)
        found = [1 if a else 0 if n else None for a, n in zip(anomalous[row], normal[row], strict=True)]
        assert found == expected + [None] * (mask.shape[1] - length)


def test_the_pseudo_label_loss_is_the_mean_over_videos_of_what_the_teacher_is_sure_of() -> None:
    """Of five segments the top two count as anomalous, the bottom two as normal; a normal video counts whole."""
    evidence = torch.tensor([[[3.0], [1.0], [2.0], [-1.0], [0.0]], [[9.0], [0.0], [0.0], [0.0], [0.0]]])
    refined = torch.tensor([[2.0, 5.0, -1.0, 0.5, 0.0], [1.0, 0.0, 0.0, 0.0, 0.0]])
    output = replace(blank(2, 5, 1), evidence=evidence, refined=refined)
    mask, labels = torch.ones(2, 5, dtype=torch.bool), torch.tensor([[1.0], [0.0]])

    def cost(logit: float, target: int) -> float:
        return math.log1p(math.exp(-logit if target else logit))

    first = (cost(2.0, 1) + cost(-1.0, 1) + cost(0.5, 0) + cost(0.0, 0)) / 4
    second = (cost(1.0, 0) + 4 * cost(0.0, 0)) / 5
    assert pseudo_label_loss(output, labels, mask).item() == pytest.approx((first + second) / 2)


def test_the_teacher_is_averaged_over_time_as_in_the_score() -> None:
    """One lone peak of 9 over +-1 segments is 3 in three places; of five segments two count as anomalous."""
    evidence = torch.tensor([[[0.0], [9.0], [0.0], [-1.0], [4.0]]])
    options = {"smoothing": 1}, {"direct_smoothing": 1}, {"smoothing": 0}
    mask, labels = torch.ones(1, 5, dtype=torch.bool), torch.ones(1, 1)
    refined = torch.zeros(1, 5, requires_grad=True)
    touched = []
    for option in options:
        output = replace(blank(1, 5, 1), evidence=evidence, refined=refined)
        output = replace(output, config=replace(output.config, **option))
        gradient = torch.autograd.grad(pseudo_label_loss(output, labels, mask), refined)[0][0]
        touched.append([n for n, value in enumerate(gradient.tolist()) if value < 0])
    # over +-1: 4.5, 3, 2.7, 1, 1.5; as it is: 0, 9, 0, -1, 4
    assert touched == [[0, 1], [0, 1], [1, 4]]


def test_the_direct_path_takes_no_gradient_from_what_it_teaches() -> None:
    evidence = torch.randn(1, 6, 1, requires_grad=True)
    refined = torch.zeros(1, 6, requires_grad=True)
    output = replace(blank(1, 6, 1), evidence=evidence, refined=refined)
    mask, labels = torch.ones(1, 6, dtype=torch.bool), torch.ones(1, 1)
    pseudo_label_loss(output, labels, mask).backward()
    assert evidence.grad is None
    assert refined.grad is not None
    assert refined.grad.abs().sum() > 0


def test_naming_counts_the_segments_that_the_teacher_calls_anomalous() -> None:
    evidence = torch.tensor([[[4.0, 0.0], [0.0, 0.0], [-1.0, 0.0]]])
    shares = torch.tensor([[[2.0, 0.0], [0.0, 7.0], [0.0, 7.0]]])
    output = replace(blank(1, 3, 2), evidence=evidence, segment_logits=shares)
    mask = torch.ones(1, 3, dtype=torch.bool)
    found = naming_loss(output, torch.tensor([[1.0, 0.0]]), mask)
    assert found.item() == pytest.approx(math.log1p(math.exp(-2.0)))  # one of three: round(0.4 * 3)
    assert naming_loss(output, torch.zeros(1, 2), mask).item() == 0
