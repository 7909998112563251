"""The truth of published sets: lengths that differ from it, and that training opens none."""

import json
from pathlib import Path

import numpy as np

from published_cases import imported, numbers, save, vadclip
from refinevad.apps.cli import main
from refinevad.apps.commands.import_features import _words
from refinevad.datasets.benchmarks import (
    UCF_CRIME,
)
from refinevad.judging.predictions import Adjustment
from refinevad.judging.set_truth import read_truth
from test_truth_is_closed import TRUTH, opened


def test_lengths_that_differ_from_the_truth_are_told(ucf: Path, tmp_path: Path) -> None:
    vadclip(tmp_path / "f")  # Abuse028 has 9 segments, the normal test video 10
    truth = {
        "columns": list(UCF_CRIME.columns),
        "videos": [
            {"name": "Abuse028_x264", "label": "Abuse", "frames": 176, "segments": [[20, 60]]}
            | {"segment_labels": ["Abuse"], "anomalous_frames": [[20, 60]]},
            {"name": "Normal_Videos_003_x264", "label": "Normal", "frames": 144, "segments": []}
            | {"segment_labels": [], "anomalous_frames": []},
        ],
    }
    (ucf / "test_truth.json").write_text(json.dumps(truth))
    arguments = ["import", str(tmp_path / "f"), "--benchmark", "ucf-crime", "--data", str(ucf)]
    assert main([*arguments, "--out", str(tmp_path / "out"), "--json", str(tmp_path / "told.json")]) == 0
    told = json.loads((tmp_path / "told.json").read_text())
    assert told["lengths"] == [
        {"video": "test/Abuse028_x264.npy", "predicted": 9, "expected": 11, "rule": "padded"},
        {"video": "test/Normal_Videos_003_x264.npy", "predicted": 10, "expected": 9, "rule": "cut"},
    ]


def test_features_of_one_length_are_told_as_evaluation_takes_them() -> None:
    """All of 32 segments, as peers resample them, and no truth of that length: stretched, whichever is longer."""
    told = [_words(Adjustment(name, 32, segments, "stretched")) for name, segments in (("a", 40), ("b", 9))]
    assert told == [
        "a: 32 segments, its truth 40: its scores are stretched over the video",
        "b: 32 segments, its truth 9: its scores are stretched over the video",
    ]


def test_lengths_of_features_that_are_all_alike_are_stretched(ucf: Path, tmp_path: Path) -> None:
    folder = tmp_path / "f"
    vadclip(folder)
    for file in folder.rglob("*.npy"):
        np.save(file, np.resize(np.load(file), (4, np.load(file).shape[-1])).astype(np.float32))
    truth = {
        "columns": list(UCF_CRIME.columns),
        "videos": [
            {"name": "Abuse028_x264", "label": "Abuse", "frames": 176, "segments": [[20, 60]]}
            | {"segment_labels": ["Abuse"], "anomalous_frames": [[20, 60]]},
            {"name": "Normal_Videos_003_x264", "label": "Normal", "frames": 144, "segments": []}
            | {"segment_labels": [], "anomalous_frames": []},
        ],
    }
    (ucf / "test_truth.json").write_text(json.dumps(truth))
    arguments = ["import", str(folder), "--benchmark", "ucf-crime", "--data", str(ucf)]
    assert main([*arguments, "--out", str(tmp_path / "out"), "--json", str(tmp_path / "told.json")]) == 0
    lengths = json.loads((tmp_path / "told.json").read_text())["lengths"]
    assert [(one["predicted"], one["expected"], one["rule"]) for one in lengths] == [
        (4, 11, "stretched"),
        (4, 9, "stretched"),
    ]


def test_truth_is_built_from_the_official_annotation(ucf: Path, tmp_path: Path) -> None:
    vadclip(tmp_path / "f")
    index = imported(tmp_path / "f", ucf, tmp_path / "out").index
    items = [item for item in index.items if item.split == "test"]
    truth = read_truth(ucf, items, index.load(items), UCF_CRIME.categories)
    assert [video.name for video in truth.videos] == [item.path for item in items]
    assert [video.anomalous for video in truth.videos] == [((20, 60),), ()]
    assert truth.frames == 16 * (9 + 10)


def test_shanghaitech_truth_follows_the_list_not_the_files(tmp_path: Path) -> None:
    data, folder = tmp_path / "shanghaitech", tmp_path / "f"
    data.mkdir()
    (data / "train.list").write_text("train/01_002_0.npy 0.0\ntrain/01_0014_0.npy 1.0\n")
    (data / "test.list").write_text("test/02_0001_0.npy\ntest/01_0015_0.npy\n")
    mask = np.zeros(16 * 5)
    mask[[3, 16 * 2 + 7]] = 1
    np.save(data / "sh-gt.npy", mask)
    for name, length in (("train/01_002", 3), ("train/01_0014", 3), ("test/01_0015", 3), ("test/02_0001", 2)):
        save(folder / f"{name}_0.npy", numbers(length, length, 2))
    index = imported(folder, data, tmp_path / "out", "shanghaitech").index
    items = [item for item in index.items if item.split == "test"]
    truth = read_truth(data, items, index.load(items), ("anomaly",))
    assert {video.name: video.anomalous for video in truth.videos} == {
        "test/02_0001.npy": ((3, 4),),
        "test/01_0015.npy": ((7, 8),),
    }


def test_training_on_published_features_opens_no_truth(ucf: Path, tmp_path: Path) -> None:
    vadclip(tmp_path / "f", crops=1)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'[data]\nroot = "{ucf}"\nkind = "published"\nbenchmark = "ucf-crime"\n'
        f'[features]\nfolder = "{tmp_path / "f"}"\n'
        "[model]\nwidth = 4\nheads = 1\nlayers = 0\n[train]\nepochs = 1\n"
    )
    (training,) = opened(("train", recipe, "--out", tmp_path / "run"))
    assert "Abuse001_x264__0.npy" in training
    assert not training & {*TRUTH, "Temporal_Anomaly_Annotation.txt"}
