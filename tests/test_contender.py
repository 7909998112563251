"""A published head in RefineVAD's place: what it is given, how it is trained, saved and scored."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from cases import padded, random_bags, random_labels
from peer_cases import SMALL
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.datasets.bag import Bag
from refinevad.errors import InputError
from refinevad.evidence import Prompts
from refinevad.model_choice import open_config, open_model
from refinevad.peers.contender import Contender, ContenderConfig
from refinevad.scoring.scores import score
from refinevad.training.loop import Trainer
from refinevad.training.train_options import TrainOptions

CPU = torch.device("cpu")
CATEGORIES = ("a", "b")


def contender(head: str = "sultani", **changes: object) -> ContenderConfig:
    options = SMALL[head] | ({"width": 8} if head == "rtfm" else {})
    return replace(ContenderConfig(6, CATEGORIES, head, options), **changes)  # type: ignore[arg-type]


def bags() -> list[Bag]:
    labels = random_labels(8, 2, 0)
    labels[::2] = 0.0
    labels[1::2, 0] = 1.0
    return [Bag(v, label) for v, label in zip(random_bags([5, 9, 3, 7, 1, 6, 8, 4], 6, 0), labels, strict=True)]


@pytest.mark.parametrize("head", SMALL)
def test_every_head_goes_through_the_loop_and_resumes_to_the_same_weights(head: str, tmp_path: Path) -> None:
    options = TrainOptions(epochs=3, batch=8, patience=9)
    config = contender(head, smoothing=1, input_clip=3.0)
    whole = Trainer(config, options, bags(), bags()[:4], tmp_path / "whole", CPU).run()

    def stop(epoch: int, _: dict[str, float]) -> None:
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Trainer(config, options, bags(), bags()[:4], tmp_path / "parts", CPU).run(stop)
    parts = Trainer(config, options, bags(), bags()[:4], tmp_path / "parts", CPU).run()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, parts.model.state_dict()[name]), name


def test_head_sees_the_named_channels_standardised_and_clipped() -> None:
    seen = []
    model = Contender(contender(inputs=((1, 3), (5, 6)), input_clip=1.0)).eval()
    model.head.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    x, mask = padded(random_bags([4, 2], 6, 1))
    model.fit_statistics(x, mask)
    model(x, mask)
    real = x[mask][:, [1, 2, 5]]
    expected = ((real - real.mean(0)) / real.std(0, unbiased=False)).clamp(-1, 1)
    torch.testing.assert_close(seen[0][mask], expected)
    assert not seen[0][~mask].any()


def test_logits_are_averaged_in_training_and_in_use() -> None:
    x, mask = padded(random_bags([5], 6, 2))
    plain, smoothed = Contender(contender()).eval(), Contender(contender(smoothing=1)).eval()
    smoothed.load_state_dict(plain.state_dict())
    raw, found = plain(x, mask).logits[0], smoothed(x, mask)
    expected = [(raw[0] + raw[1]) / 2, (raw[0] + raw[1] + raw[2]) / 3]
    torch.testing.assert_close(found.logits[0, :2], torch.stack(expected))
    torch.testing.assert_close(found.head.logits, found.logits)  # what the loss sees


def test_video_weight_adds_the_mean_logit_and_empty_segments_take_it() -> None:
    values = np.zeros((6, 6), dtype=np.float32)
    values[1:3], values[4] = 1.0, -2.0
    model = Contender(contender(merge_runs=True)).eval()
    logits = _logits(score(model, values).segments)
    assert logits[[0, 3, 5]] == pytest.approx(0.0, abs=1e-6)
    one, two = logits[1], logits[4]
    assert abs(one - two) > 1e-6
    model.config = replace(model.config, empty="mean", video_weight=2.0)
    again = _logits(score(model, values).segments)
    mean = (one + two) / 2  # of two tokens, the first of two segments
    assert again == pytest.approx(
        [3 * mean, one + 2 * mean, one + 2 * mean, 3 * mean, two + 2 * mean, 3 * mean], abs=1e-6
    )


def test_prompts_become_class_embeddings_normal_first() -> None:
    options = {**SMALL["vadclip"], "text_channels": 6}
    model = Contender(replace(contender("vadclip"), options=options))
    vectors = torch.eye(6)[:4]
    prompts = Prompts(vectors, (0, 1, 2, 2), torch.zeros(6))
    x, mask = padded(random_bags([4], 6, 3))
    model.fit_statistics(x, mask, prompts)
    half = 0.5**0.5
    expected = torch.tensor([[0, 0, half, half, 0, 0], [1, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0]], dtype=torch.float32)
    torch.testing.assert_close(model.head.classes.text, expected)


def test_a_run_of_another_head_is_read_back_and_is_not_refinevad(tmp_path: Path) -> None:
    model = open_model(contender("rtfm", smoothing=2)).eval()
    signature = {"encoder": {"name": "lite"}, "rule": {"seconds": 0.64}}
    Checkpoint(model, "lite", signature, Calibration(0.5, 0.4, 6.0, True, 1.0)).save(tmp_path)
    again = Checkpoint.load(tmp_path)
    assert again.model.config == model.config
    values = random_bags([7], 6, 4)[0]
    np.testing.assert_array_equal(score(again.model, values).segments, score(model, values).segments)
    with pytest.raises(InputError, match="rtfm"):
        _ = again.refinevad


@pytest.mark.parametrize(
    "changes", [{"head": "nobody"}, {"smoothing": -1}, {"empty": "none"}, {"inputs": [[3, 9]]}, {"width": 3}]
)
def test_wrong_options_are_one_sentence(changes: dict[str, object]) -> None:
    with pytest.raises(InputError):
        open_model(open_config({**contender().as_dict(), **changes}))


def _logits(scores: np.ndarray) -> np.ndarray:
    return np.log(scores / (1 - scores))
