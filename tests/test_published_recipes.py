"""Recipes on published features at full length, and the list of benchmarks."""

import json
import runpy
from dataclasses import replace
from pathlib import Path

import jaxtyping
import numpy as np
import pytest

from published_cases import ROOT, imported, numbers, save, vadclip
from refinevad.apps.cli import main
from refinevad.datasets.dataset import Item
from refinevad.datasets.importing import ImportRequest
from refinevad.errors import InputError
from refinevad.judging import resampling
from refinevad.study.over_seeds import figure, run_seed
from refinevad.study.over_videos import OverVideos
from refinevad.training.experiment import extract_features
from refinevad.training.recipe import read_recipe


def _random_features(benchmark: str, data: Path, out: Path, every: int) -> None:
    """Four random channels for every test video and for one training video in `every`, at their true lengths."""
    script = runpy.run_path(str(ROOT / "benchmarks/published_features.py"))
    lengths = script["ucf_lengths" if benchmark == "ucf-crime" else "xd_lengths"](data / benchmark)
    train = 1610 if benchmark == "ucf-crime" else 3954
    for place, (path, length) in enumerate(lengths):
        if place >= train or place % every == 0:
            save(out / f"{path}__0.npy", numbers(place, length, 4).astype(np.float16))


@pytest.mark.parametrize(
    ("recipe", "every", "videos", "frames", "anomalous", "categories"),
    [("ucf_crime", 19, 290, 1_109_680, 84_128, 13), ("xd_violence", 41, 800, 2_330_384, 537_805, 6)],
)
def test_recipe_runs_at_full_length(
    recipe: str,
    every: int,
    videos: int,
    frames: int,
    anomalous: int,
    categories: int,
    data_root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("REFINEVAD_DATA", str(data_root))
    monkeypatch.setattr(resampling, "RESAMPLES", 20)  # of 1,000: how sure random figures are is not what is looked at
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)  # a million checks of one shape
    read = read_recipe(ROOT / "recipes" / f"{recipe}.toml")
    assert read.published is not None
    _random_features(read.published.benchmark, data_root, tmp_path / "f", every)
    short = replace(
        read,
        published=replace(read.published, folder=tmp_path / "f"),
        model={"width": 4, "heads": 1, "layers": 0},
        train=replace(read.train, epochs=1, limit=8),
    )
    done = extract_features(short, tmp_path / "index")
    assert not done.failed
    row, _ = run_seed(short, done.index, tmp_path / "run")
    metrics = row.metrics
    assert (metrics["videos"], metrics["frames"], metrics["anomalous_frames"]) == (videos, frames, anomalous)
    assert metrics["adjusted"] == []
    assert len(metrics["map_per_class"]) == categories
    for name in ("auc", "ap", "ano_auc", "map_average", "map_legacy_average"):
        assert isinstance(metrics[name], float)
    assert set(metrics["map_legacy"]) == set(metrics["map"]) == {"0.1", "0.2", "0.3", "0.4", "0.5"}
    assert 0.4 < metrics["auc"] < 0.6  # random features
    again, result = run_seed(short, done.index, tmp_path / "run")
    assert result is None  # read back
    assert again.figures() == json.loads(json.dumps(row.figures()))
    assert set(again.scores) == set(again.control_scores["chance"])
    over = OverVideos.of(short, done.index)
    over.add("ours", [again])
    assert over.rows["ours"]["auc"].value == pytest.approx(metrics["auc"], abs=1e-9)


def test_train_and_evaluate_take_published_features_from_another_folder(ucf: Path, tmp_path: Path) -> None:
    vadclip(tmp_path / "f", crops=2)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'[data]\nroot = "{ucf}"\nkind = "published"\nbenchmark = "ucf-crime"\n[features]\nfolder = "nowhere"\n'
        "[model]\nwidth = 4\nheads = 1\nlayers = 0\n[train]\nepochs = 1\n"
    )
    told, run = tmp_path / "told.json", str(tmp_path / "run")
    assert main(["train", str(recipe), "--out", run]) == 2
    assert main(["train", str(recipe), "--features", str(tmp_path / "f"), "--out", run]) == 0
    # two of thirteen categories in training: the truth's columns are all of them
    assert main(["evaluate", run, "--data", str(recipe), "--features", str(tmp_path / "f"), "--json", str(told)]) == 2
    (ucf / "events.csv").write_text("path,start_s,end_s,category\ntest/Abuse028_x264.npy,0.5,2,Abuse\n")
    assert main(["evaluate", run, "--data", str(recipe), "--features", str(tmp_path / "f"), "--json", str(told)]) == 0
    figures = json.loads(told.read_text())
    assert (figures["videos"], figures["frames"], figures["anomalous_frames"]) == (2, 16 * (9 + 10), 45)


def test_figures_inside_figures() -> None:
    metrics = {"auc": 0.5, "map": {"0.1": 20.9}, "map_legacy": None}
    assert [figure(metrics, name) for name in ("auc", "map/0.1", "map/0.2", "map_legacy/0.1", "auc/x", "ap")] == [
        0.5,
        20.9,
        None,
        None,
        None,
        None,
    ]


def test_a_recipe_of_published_features_is_checked(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    head = f'[data]\nroot = "{tmp_path}"\nkind = "published"\nbenchmark = "ucf-crime"\n'
    path.write_text(head)
    with pytest.raises(InputError, match=r"\[features\] folder"):
        read_recipe(path)
    path.write_text(head + '[features]\nfolder = "x"\ntest_crop = "centre"\n')
    with pytest.raises(InputError, match='test_crop is "mean" or a crop'):
        read_recipe(path)
    path.write_text(head + '[features]\nfolder = "x"\ntest_crop = 5\n')
    assert read_recipe(path).published == ImportRequest(Path("x"), "ucf-crime", test_crop=5)
    with pytest.raises(InputError, match="x is not a folder"):
        extract_features(read_recipe(path), tmp_path / "out")
    with pytest.raises(InputError, match="no importer for benchmark 'ucsd-ped2'"):
        imported(tmp_path, tmp_path, tmp_path, "ucsd-ped2")


def test_bench_list_against_the_official_files(data_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "list", "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told) == ["ucf-crime", "xd-violence", "shanghaitech", "msad", "ucsd-ped2"]
    for key in ("ucf-crime", "xd-violence"):
        truth = json.loads((data_root / key / "test_truth.json").read_text())
        spans = [video["anomalous_frames"] for video in truth["videos"]]
        assert told[key]["test_videos"] == len(truth["videos"])
        assert told[key]["test_anomalous_videos"] == sum(v["label"] not in ("A", "Normal") for v in truth["videos"])
        assert told[key]["test_frames"] == sum(video["frames"] for video in truth["videos"])
        assert told[key]["test_anomalous_frames"] == sum(end - start for video in spans for start, end in video)
        assert told[key]["columns"] == truth["columns"]
        assert (data_root / key / told[key]["annotation"]).exists()
    lines = (data_root / "ucf-crime" / told["ucf-crime"]["split_files"][0]).read_text().split("\n")
    assert told["ucf-crime"]["train_videos"] == sum(bool(line) for line in lines)
    assert told["ucf-crime"]["train_anomalous_videos"] == sum(bool(line) and "Normal" not in line for line in lines)
    mask = np.load(data_root / "shanghaitech" / told["shanghaitech"]["annotation"])
    assert (told["shanghaitech"]["test_frames"], told["shanghaitech"]["test_anomalous_frames"]) == (
        len(mask),
        int(mask.sum()),
    )
    for name, split in zip(told["shanghaitech"]["split_files"], ("train", "test"), strict=True):
        lines = (data_root / "shanghaitech" / name).read_text().splitlines()
        videos = {line.split(".npy")[0].rpartition("_")[0] for line in lines}
        assert told["shanghaitech"][f"{split}_videos"] == len(videos)
        anomalous = sum(len(video.rpartition("_")[2]) == 4 for video in videos)
        assert told["shanghaitech"][f"{split}_anomalous_videos"] == anomalous
    assert main(["bench", "list"]) == 0
    assert "UCSD Ped2" in capsys.readouterr().out


def test_items_keep_their_split() -> None:
    assert Item("test/a.b.npy", (), "test").name == "test/a.b"
