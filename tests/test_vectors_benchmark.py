"""benchmarks/motion_vectors.py and benchmarks/wide_training.py at tiny sizes: what they encode, count and print."""

import argparse
import runpy
import sys
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from refinevad.judging.resampling import Sampled
from videos import sliding, write_video

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture(scope="module")
def vectors() -> Iterator[dict]:
    sys.path.insert(0, str(BENCHMARKS))
    yield runpy.run_path(str(BENCHMARKS / "motion_vectors.py"))
    sys.path.remove(str(BENCHMARKS))


def test_differences_are_taken_resample_by_resample(vectors: dict) -> None:
    one, other = (Sampled(value, value + np.linspace(-0.1, 0.1, 101)) for value in (0.75, 0.8))
    assert vectors["with_interval"](one) == "0.750 [0.655, 0.845]"
    assert vectors["apart"](one, other) == "-0.050 [-0.050, -0.050]"


def test_an_encoding_keeps_frames_and_has_vectors(vectors: dict, tmp_path: Path) -> None:
    source = write_video(tmp_path / "in.mp4", sliding(32, (96, 64)), size=(96, 64), codec="mjpeg", pixels="yuvj420p")
    assert vectors["share_with_vectors"](source) == 0
    for number, (codec, options) in enumerate(vectors["ENCODINGS"].values()):
        path = vectors["_encoder"](codec, options)(source, tmp_path / f"{number}.mp4")
        with av.open(str(path)) as container:
            assert sum(1 for _ in container.decode(video=0)) == 32
        assert vectors["share_with_vectors"](path) > 0.5


def test_wide_training_is_the_same_twice(tmp_path: Path) -> None:
    script = runpy.run_path(str(BENCHMARKS / "wide_training.py"))
    recipe = BENCHMARKS.parent / "recipes" / "ucf_c3d.toml"
    small = argparse.Namespace(videos=6, segments=4, channels=24, epochs=1, recipe=recipe)
    runs = [script["measure"](small) for _ in range(2)]
    assert runs[0]["weights"] == runs[1]["weights"]
    runs[1] |= {"user": 1.0, "system": 0.5, "wall": 2.0}
    runs[0] |= {"user": 2.0, "system": 1.0, "wall": 8.0}
    head, before, now = script["as_rows"]({"before": [runs[0]], "now": [runs[1]]})
    assert head[3:6:2] == ("CPU, ratio", "wall, ratio")
    assert (before[3], before[5], now[3], now[5]) == ("1.00", "1.00", "0.50", "0.25")
