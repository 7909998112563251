"""What is trained and started by: recipes, variants of them, RUN folders, features, cameras and the service's own."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import torch

from fakes import MeanEncoder
from fuzz.kind import ROOT, Example, Read, wanted_name
from refinevad.apps.live.settings.config import read_config
from refinevad.apps.live.settings.secret import read_secret
from refinevad.apps.service.access_token import make_token_file, read_token_file
from refinevad.apps.service.changes import ChangeLog
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.features.store import Features, Provenance, load_features, map_values, save_features
from refinevad.model_choice import open_model
from refinevad.model_config import RefineVADConfig
from refinevad.peers.contender import Contender, ridge_config
from refinevad.study.ablation import read_variant
from refinevad.timeline import SegmentRule, Timeline
from refinevad.training.recipe import Recipe, read_recipe

RULE = SegmentRule(seconds=0.4)


def recipes(_: Path) -> list[Example]:
    """Every recipe, on data that is there whether the shared sets are or not."""
    found = [path.read_bytes() for path in sorted((ROOT / "recipes").glob("*.toml"))]
    here = [re.sub(rb'(?m)^root = "[^"]*"', b'root = "."', content) for content in found]
    return [(".toml", content) for content in here] + [
        (
            ".toml",
            b'[data]\nroot = "."\nfolds = 5\nvalidation_share = 0.2\n[events]\nalerts_per_hour = 2\n',
        ),
        (
            ".toml",
            b'[data]\nroot = "."\n[prompts]\nfall = ["A fall."]\n[encoder]\nname = "captions"\nsegment_s = 0.64\n',
        ),
        (
            ".toml",
            b'[data]\nroot = "."\n[head]\nname = "vadclip"\nwidth = 8\n[model]\nsmoothing = 2\n[train]\nepochs = 2\n',
        ),
    ]


def read_recipes(folder: Path) -> Read:
    def read(path: Path, _: int) -> None:
        recipe = read_recipe(path)
        recipe.config(4, ("fall", "fight"))
        json.dumps([recipe.head, recipe.prompts])

    return read


def variants(_: Path) -> list[Example]:
    return [(".toml", path.read_bytes()) for path in sorted((ROOT / "recipes" / "ablation").glob("*.toml"))]


def read_variants(path: Path) -> None:
    read_variant(path).of(Recipe(Path())).config(4, ("fall", "fight"))


def cameras(folder: Path) -> list[Example]:
    text = (ROOT / "docs" / "live.md").read_text().split("```toml\n")[1].split("```")[0]
    (folder / "door").write_text("a secret")
    (folder / "door.pem").write_text("certificate")
    return [(".toml", re.sub(r"env:\w+|file:/run/secrets/door", f"file:{folder / 'door'}", text).encode())]


def make_run(folder: Path, threshold: float = 0.5) -> Path:
    """A RUN folder of an untrained model on four channels, with a ridge control."""
    torch.manual_seed(0)
    config = RefineVADConfig(channels=4, categories=("fall", "fight"), width=8, heads=2)
    signature = Provenance(MeanEncoder().identity.as_dict(), RULE.as_dict()).signature
    calibration = Calibration(threshold, threshold * 0.8, 6.0, True, 1.0)
    ridge = Contender(ridge_config(config)).eval()
    training = {"seed": 0, "fold": None, "options": {"window_s": 0.0, "delay_s": 0.0, "seed": 0}}
    Checkpoint(open_model(config).eval(), "lite", signature, calibration, training, ridge).save(folder)
    return folder


def runs(folder: Path) -> list[Example]:
    run = make_run(folder / "run")
    return [(f"-{path.name}", path.read_bytes()) for path in sorted(run.iterdir()) if path.is_file()]


def read_run(folder: Path) -> Read:
    def read(path: Path, _: int) -> None:
        run = folder / "spoilt"
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(folder / "run", run)
        shutil.copyfile(path, run / wanted_name(path))
        found = Checkpoint.load(run).with_ridge(run)
        assert found.ridge is not None
        output = found.ridge(torch.zeros(1, 3, 4), torch.ones(1, 3, dtype=torch.bool))
        assert bool(torch.isfinite(output.logits).all()), "the ridge control gives no number"

    return read


def features(folder: Path) -> list[Example]:
    values = np.arange(20, dtype=np.float32).reshape(5, 4)
    timelines = (
        Timeline(np.arange(6) * 10, np.arange(6) * 0.4),
        Timeline(np.arange(6) * 10, np.arange(6) * 0.4, np.arange(5) * 0.4 + 0.3),
    )
    provenance = Provenance(MeanEncoder().identity.as_dict(), RULE.as_dict(), parts={"motion": (0, 2), "x": (2, 4)})
    examples = []
    for timeline in timelines:
        save_features(folder / "x.safetensors", Features(values, timeline, provenance))
        examples.append((".safetensors", (folder / "x.safetensors").read_bytes()))
    return examples


def read_features(path: Path) -> None:
    """Whatever asks for features: training by their values, evaluation by their timeline."""
    found = load_features(path)
    map_values(path).sum()
    for part in found.provenance.parts:
        found.part(part)
    line = found.timeline
    line.per_second(found.values[:, 0] if found.values.shape[1] else np.zeros(len(found.values)))
    line.truth([(0.1, 1.5)])


def own_files(folder: Path) -> list[Example]:
    """What the service keeps, and the secrets it is given."""
    log = ChangeLog(folder / "changes.json")
    log.change(
        lambda now: now.with_added("hall", "rtsp://10.0.0.5/b").with_threshold("hall", 0.5).with_paused("door", True)
    )
    make_token_file(folder / "token")
    return [
        ("-changes.json", (folder / "changes.json").read_bytes()),
        ("-token", (folder / "token").read_bytes()),
        ("-secret", b"a secret\n"),
    ]


def read_own_files(folder: Path) -> Read:
    def read(path: Path, _: int) -> None:
        name = wanted_name(path)
        if name == "secret":
            read_secret(f"file:{path}", "password")
        elif name == "token":
            path.chmod(0o600)
            read_token_file(path).matches("x")
        else:
            changed = ChangeLog(path).now
            changed.with_added("a", "b").with_removed("hall", True).with_paused("door", False)
            for threshold in changed.thresholds.values():
                assert 0 <= threshold <= 1
            assert all(isinstance(text, str) for pair in changed.added.items() for text in pair)
            assert changed.model is None or Path(changed.model)

    return read


def read_cameras(path: Path) -> None:
    read_config(path)
