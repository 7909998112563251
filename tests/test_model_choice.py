"""What scores a RUN loads what that run is made of, and nothing of training or of other heads."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cases import config, padded, random_bags, random_model
from fakes import MeanEncoder
from peer_cases import SMALL
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.errors import InputError
from refinevad.model_choice import open_config, open_model, ridge_config
from refinevad.model_config import RefineVADConfig
from refinevad.segment_model import ModelConfig, ModelOutput

MODELS: dict[str, ModelConfig] = {"RefineVAD": config(), "linear": ridge_config(config())} | {
    head: open_config(
        {
            "head": head,
            "channels": 6,
            "categories": ["a", "b"],
            "options": options | ({"width": 8} if head == "rtfm" else {}),
        }
    )
    for head, options in SMALL.items()
}
PROGRAM = """
import sys
from pathlib import Path

import numpy as np
from fakes import replaced
from refinevad.apps.live.engine.live_model import ModelShelf
from refinevad.detector import Detector
from refinevad.streaming import StreamingDetector

run = Path(sys.argv[1])
frames = [(place / 25, np.full((16, 24, 3), place % 251, np.uint8)) for place in range(100)]
with replaced():
    whole = Detector.open(run).detect_frames(frames)
    windowed = Detector.open(run, window=6.4, threshold=0.3).detect_frames(frames)
    stream = StreamingDetector.open(run, window=6.4)
    outputs = [*(stream.push_frame(image, time_s) for time_s, image in frames), stream.flush()]
    assert ModelShelf().open(run).categories == whole.categories
assert len(whole.scores) == len(windowed.scores) == sum(len(output.segments) for output in outputs) == 7
import refinevad.apps.live.engine.engine, refinevad.apps.commands.detect, refinevad.apps.commands.watch
others = ("refinevad.training", "refinevad.peers", "refinevad.peers.contender")
print(*sorted(name for name in sys.modules if name.startswith(others)))
"""


def test_a_run_of_an_older_version_holds_options_that_are_none_any_more() -> None:
    """One acted in training alone; the other is what it always was, or would change every score."""
    now = config(direct=True)
    assert open_config({**now.as_dict(), "direct_dropout": 0.7, "prompt_weight": 1.0}) == now
    for weight in (0.5, "1", None, float("nan")):
        with pytest.raises(InputError, match="prompt_weight"):
            open_config({**now.as_dict(), "prompt_weight": weight})
    with pytest.raises(InputError, match="unknown model option direct_dropout"):  # of a recipe that is written today
        RefineVADConfig.from_dict({**now.as_dict(), "direct_dropout": 0.7})


def save(model: ModelConfig, folder: Path) -> Path:
    torch.manual_seed(0)
    signature = {"encoder": MeanEncoder().identity.as_dict(), "rule": {"seconds": 0.64}}
    Checkpoint(open_model(model).eval(), "lite", signature, Calibration(0.5, 0.4, 6.0, True, 1.0)).save(folder)
    return folder


def loaded_by(run: Path) -> list[str]:
    """Modules of training and of other heads that a fresh process has loaded after it scored by a run."""
    paths = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, run],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_run_of_refinevad_loads_neither_training_nor_another_head(tmp_path: Path) -> None:
    assert loaded_by(save(config(channels=4), tmp_path)) == []


def test_a_run_of_another_head_loads_that_one_alone(tmp_path: Path) -> None:
    values = {"head": "sultani", "channels": 4, "categories": ["a"], "options": SMALL["sultani"]}
    loaded = {name.rpartition(".")[2] for name in loaded_by(save(open_config(values), tmp_path))}
    assert "sultani" in loaded
    assert not loaded & {"linear", "rtfm", "ur_dmu", "bn_wvad", "vadclip", "transformer_mil", "training"}


@pytest.mark.parametrize("name", MODELS)
def test_every_head_is_what_scoring_knows(name: str, tmp_path: Path) -> None:
    """Configuration and output have all members; the file's round trip gives the same model."""
    wanted = MODELS[name]
    assert isinstance(wanted, ModelConfig)
    assert wanted.head == name
    assert open_config(wanted.as_dict()) == wanted
    model = open_model(wanted).eval()
    x, mask = padded(random_bags([5, 3], 6, 0))
    with torch.no_grad():
        output = model(x, mask)
        paths = model.path_logits(x, mask, output)
    assert isinstance(output, ModelOutput)
    categories = len(wanted.categories)
    assert output.logits.shape == output.shift_ratio.shape == mask.shape
    assert output.share_logits.shape == (*mask.shape, categories)
    assert output.presence.shape == (2, categories)
    assert output.video_evidence.shape == (2,)
    torch.testing.assert_close(paths.sum(-1).float(), output.logits)
    assert Checkpoint.load(save(wanted, tmp_path)).model.config == wanted


@pytest.mark.parametrize("name", [name for name, wanted in MODELS.items() if not wanted.fitted])
def test_only_refinevad_learns_by_the_recipes_objective(name: str) -> None:
    """A published head has its paper's loss, whatever the recipe asks for."""
    model = open_model(MODELS[name]).eval()
    x, mask = padded(random_bags([5, 3], 6, 0))
    labels = torch.zeros(2, len(MODELS[name].categories))
    labels[0, 0] = 1.0
    terms = model.losses(model(x, mask), labels, mask, lambda _: {"asked": torch.zeros(())})
    assert ("asked" in terms) == (name == "RefineVAD")


def test_a_trained_model_does_not_take_what_was_fitted() -> None:
    model = random_model(config(), 0)
    assert model.fitted_path is None
    assert random_model(config(direct=True, ridge=True), 0).fitted_path is not None
    with pytest.raises(InputError, match="unknown head 'nobody'"):
        open_model(open_config({"head": "nobody", "channels": 6, "categories": ["a"]}))
