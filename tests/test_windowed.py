"""Training under a window rule: what a batch of windows says of its videos is what scoring under the rule says."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import close, config, random_bags, random_model
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.datasets.bag import Bag
from refinevad.errors import InputError
from refinevad.model import RefineVAD
from refinevad.scoring.scores import score
from refinevad.scoring.tokens import merge_runs
from refinevad.scoring.windows import WHOLE, WindowRule, windows
from refinevad.training.bags import collate
from refinevad.training.loop import Trainer
from refinevad.training.train_options import TrainOptions
from refinevad.training.windowed import MOST_WINDOWS, WindowedBag, WindowedBatch, make_batch, pass_through

torch.set_num_threads(1)


def windowed(values: np.ndarray, rule: WindowRule, label: float = 1.0, merged: bool = False) -> WindowedBag:
    tokens = merge_runs(values).values if merged else values
    found = tuple(windows(np.arange(len(values) + 1.0), rule))
    return WindowedBag(tokens, np.array([label, 0.0, 0.0], np.float32), values, found, merged)


def through(model: RefineVAD, batch: WindowedBatch) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(pass_through(model, batch).logits.double().numpy())


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, 16), min_size=1, max_size=4), st.integers(2, 9), st.integers(0, 6), st.integers(0, 99))
def test_logits_are_those_of_scoring_under_the_rule(lengths: list[int], window: int, delay: int, seed: int) -> None:
    """Zones of fewer than 8 segments are not blended, so that each segment has one logit."""
    rule = WindowRule(float(window), float(min(delay, window)))
    model, bags = random_model(config(direct=True, smoothing=1), seed), random_bags(lengths, 6, seed)
    whole = [windowed(bag, rule) for bag in bags]
    usable = [bag for bag in whole if len(bag.windows) <= MOST_WINDOWS]
    if not usable or any(w.fade_out for bag in usable for w in bag.windows):
        return
    batch = make_batch(usable, 256)
    assert isinstance(batch, WindowedBatch)
    found = through(model, batch)
    for row, mask, bag in zip(found, batch.mask.numpy(), usable, strict=True):
        expected = score(model, bag.video, np.arange(len(bag.video) + 1.0), rule).segments
        close(1 / (1 + np.exp(-row[mask])), expected, 1e-5)
        assert (row[~mask] == 0).all()


def test_a_window_that_holds_the_video_changes_nothing_the_losses_see() -> None:
    model, bags = random_model(config(direct=True), 3), random_bags([5, 9], 6, 3)
    plain = collate([Bag(bag, np.array([1.0, 0.0, 0.0], np.float32)) for bag in bags], 256)
    batch = make_batch([windowed(bag, WindowRule(20.0)) for bag in bags], 256)
    with torch.no_grad():
        one, other = pass_through(model, batch), model(plain.values, plain.mask, plain.labels)
    assert torch.equal(batch.mask, plain.mask)
    assert torch.equal(batch.labels, plain.labels)
    for name in ("logits", "coarse", "category_logits", "mixture", "segment_logits", "embedding", "evidence"):
        close(getattr(one, name), getattr(other, name).double().numpy(), 1e-6)


def test_a_video_is_of_a_category_where_the_window_is_that_shows_it_most() -> None:
    model, values = random_model(config(direct=True), 1), random_bags([12], 6, 1)[0]
    batch = make_batch([windowed(values, WindowRule(4.0, 3.0))], 256)
    with torch.no_grad():
        found = pass_through(model, batch).category_logits[0].numpy()
        alone = model(
            torch.from_numpy(values.reshape(3, 4, 6)), torch.ones(3, 4, dtype=torch.bool)
        ).category_logits.numpy()
    for category in range(3):
        best = int(np.argmax(alone[:, category, 1] - alone[:, category, 0]))
        close(found[category], alone[best, category].astype(np.float64), 1e-6)


def test_merged_tokens_count_once_in_a_zone() -> None:
    """a a b | b b 0: the second window knows only b; the empty segment is no token."""
    a, b, nothing = [1.0] * 6, [2.0] * 6, [0.0] * 6
    values = np.array([a, a, b, b, b, nothing], np.float32)
    batch = make_batch([windowed(values, WindowRule(3.0, 2.0), merged=True)], 256)
    assert isinstance(batch, WindowedBatch)
    assert [int(count) for count in batch.pieces.mask.sum(1)] == [2, 1]
    assert int(batch.mask.sum()) == 3


def test_long_videos_give_windows_drawn_anew() -> None:
    values = random_bags([60], 6, 0)[0]
    bag = windowed(values, WindowRule(5.0, 0.0))
    first, again, other = (make_batch([bag], 256, draw=np.random.default_rng(s)) for s in (1, 1, 2))
    assert int(first.mask.sum()) == MOST_WINDOWS
    assert torch.equal(first.pieces.values, again.pieces.values)
    assert not torch.equal(first.pieces.values, other.pieces.values)


def test_a_run_trained_under_a_rule_is_used_under_it(tmp_path: Path) -> None:
    options = TrainOptions(epochs=2, batch=4, window_s=6.0, delay_s=1.0)
    bags = [windowed(bag, options.rule, float(i % 2)) for i, bag in enumerate(random_bags([9] * 8, 6, 0))]
    trained = Trainer(config(), options, bags, [], tmp_path).run()
    assert trained.epochs_run == 2
    record = {"options": vars(options)}
    checkpoint = Checkpoint(trained.model, "lite", {}, Calibration(0.5, 0.4, 6.0, True, 1.0), record)
    assert checkpoint.window == WindowRule(6.0, 1.0)
    assert Checkpoint(trained.model, "lite", {}, checkpoint.calibration).window == WHOLE


def test_a_rule_no_window_can_have_is_refused() -> None:
    with pytest.raises(InputError, match=r"a delay of 7\.0 s is longer than its window of 6\.0 s"):
        TrainOptions(window_s=6.0, delay_s=7.0)
    with pytest.raises(InputError, match="window_s must be at least 0"):
        TrainOptions(window_s=-1.0)
