"""The benchmarks' ground truth, built from official annotation, against an independent source."""

import json
from pathlib import Path

import numpy as np
import pytest

from refinevad.datasets.benchmarks import (
    BENCHMARKS,
    MSAD,
    SHANGHAITECH,
    UCF_CRIME,
    XD_VIOLENCE,
    Benchmark,
    read_shanghaitech_split,
    read_ucf_split,
    xd_labels,
)
from refinevad.errors import InputError
from refinevad.judging.annotation import read_msad_annotation, read_xd_annotation
from refinevad.judging.official_truth import (
    msad_truth,
    shanghaitech_truth,
    ucf_crime_truth,
    ucsd_ped2_truth,
    xd_violence_truth,
)
from refinevad.judging.truth_files import read_truth_json

BUILD = {UCF_CRIME: ucf_crime_truth, XD_VIOLENCE: xd_violence_truth}


@pytest.mark.parametrize("benchmark", BUILD, ids=lambda b: b.key)
def test_built_truth_equals_the_independent_one(data_root: Path, benchmark: Benchmark) -> None:
    folder = data_root / benchmark.key
    independent = read_truth_json(folder / "test_truth.json")
    frames = {video.name: video.timeline.frames for video in independent.videos}
    built = BUILD[benchmark](folder / benchmark.annotation, frames)
    assert len(built.videos) == benchmark.test_videos
    assert (built.frames, built.anomalous_frames) == (benchmark.test_frames, benchmark.anomalous_frames)
    assert built.columns == independent.columns
    for ours, theirs in zip(built.videos, independent.videos, strict=True):
        assert (ours.name, ours.labels, ours.anomalous) == (theirs.name, theirs.labels, theirs.anomalous)
        # XD-Violence's per-class intervals come from another text than its annotation; six videos differ
        if benchmark is UCF_CRIME and not ours.normal:
            assert ours.spans == theirs.spans


def test_ucf_splits(data_root: Path) -> None:
    train = read_ucf_split(data_root / "ucf-crime" / "Anomaly_Train.txt")
    test = read_ucf_split(data_root / "ucf-crime" / "Anomaly_Test.txt")
    assert (len(train), len(test)) == (UCF_CRIME.train_videos, UCF_CRIME.test_videos)
    assert sum(bool(entry.labels) for entry in train) == 810
    assert sum(bool(entry.labels) for entry in test) == 140
    assert not {entry.name for entry in train} & {entry.name for entry in test}
    truth = json.loads((data_root / "ucf-crime" / "test_truth.json").read_text())
    assert {entry.name for entry in test} == {video["name"] for video in truth["videos"]}


def test_shanghaitech_splits(data_root: Path) -> None:
    train = read_shanghaitech_split(data_root / "shanghaitech" / "train.list")
    test = read_shanghaitech_split(data_root / "shanghaitech" / "test.list")
    assert (len(train), len(test)) == (SHANGHAITECH.train_videos, SHANGHAITECH.test_videos)
    assert sum(bool(entry.labels) for entry in train) == 63
    assert sum(bool(entry.labels) for entry in test) == 44


def test_shanghaitech_truth_is_cut_in_list_order(tmp_path: Path) -> None:
    mask = np.zeros(96)
    mask[[20, 21, 40]] = 1
    np.save(tmp_path / "gt.npy", mask)
    truth = shanghaitech_truth(tmp_path / "gt.npy", {"01_0001": 32, "01_0002": 32, "01_001": 32})
    assert [video.anomalous for video in truth.videos] == [((20, 22),), ((8, 9),), ()]
    with pytest.raises(InputError, match="96 frames, the videos 64"):
        shanghaitech_truth(tmp_path / "gt.npy", {"01_0001": 32, "01_0002": 32})
    with pytest.raises(InputError, match="'01_001' is normal"):
        shanghaitech_truth(tmp_path / "gt.npy", {"01_0001": 32, "01_001": 64})


def test_shanghaitech_totals(data_root: Path) -> None:
    mask = np.load(data_root / "shanghaitech" / "sh-gt.npy", allow_pickle=False)
    assert (len(mask), int(mask.sum())) == (SHANGHAITECH.test_frames, SHANGHAITECH.anomalous_frames)


def test_xd_labels_stand_in_the_name() -> None:
    assert xd_labels("Bad.Boys__#01_label_G-B2-B6") == ("G", "B2", "B6")
    assert xd_labels("v=x__#1_label_A") == ()
    with pytest.raises(InputError, match="'B9' is not one of"):
        xd_labels("v=x__#1_label_B9-0-0")
    with pytest.raises(InputError, match="no label in its name"):
        xd_labels("v=x")


def test_msad_counts_frames_from_one_and_names_the_last(tmp_path: Path) -> None:
    path = tmp_path / "anomaly_annotation.csv"
    path.write_text(
        "name,scenario,total frames,starting frame of anomaly,ending frame of anomaly\n"
        "Traffic_accident_3,road,64,17,32\n"
    )
    truth = msad_truth(path, {"Traffic_accident_3": 64, "MSAD_normal_1": 32})
    assert [video.labels for video in truth.videos] == [("Traffic_accident",), ()]
    assert truth.videos[0].anomalous == ((16, 32),)
    assert len(MSAD.categories) == 11
    path.write_text("name,starting frame of anomaly,ending frame of anomaly\nFire_1,x,3\n")
    with pytest.raises(InputError, match="line 2"):
        msad_truth(path, {"Fire_1": 64})


def test_ped2_ranges_hold_both_ends(tmp_path: Path) -> None:
    path = tmp_path / "UCSDped2.m"
    path.write_text(
        "TestVideoFile = {};\nTestVideoFile{end+1}.gt_frame = [61:180];\nTestVideoFile{end+1}.gt_frame = [1:2, 5:6];\n"
    )
    truth = ucsd_ped2_truth(path, {"Test001": 180, "Test002": 16, "Train001": 120})
    assert [video.anomalous for video in truth.videos] == [((60, 180),), ((0, 2), (4, 6)), ()]
    assert truth.videos[2].normal
    path.write_text("x = 1;\n")
    with pytest.raises(InputError, match="gt_frame"):
        ucsd_ped2_truth(path, {"Test001": 180})


def test_another_test_set_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "annotation.txt"
    path.write_text("Abuse028_x264  Abuse  165  240  -1  -1\n")
    truth = ucf_crime_truth(path, {"Abuse028_x264": 1408})
    assert truth.videos[0].anomalous == ((165, 240),)
    with pytest.raises(InputError, match="no line for 'Arrest001_x264'"):
        ucf_crime_truth(path, {"Arrest001_x264": 64})
    path.write_text("Abuse028_x264  Abuse  165\n")
    with pytest.raises(InputError, match="line 1"):
        ucf_crime_truth(path, {"Abuse028_x264": 1408})


def test_every_benchmark_lists_normal_first() -> None:
    assert [benchmark.key for benchmark in BENCHMARKS] == [
        "ucf-crime",
        "xd-violence",
        "shanghaitech",
        "msad",
        "ucsd-ped2",
    ]
    assert all(benchmark.columns[0].lower() in ("normal", "a") for benchmark in BENCHMARKS)


def test_official_annotation_that_is_only_half_a_row_or_there_twice(tmp_path: Path) -> None:
    text = "name,starting frame of anomaly,ending frame of anomaly\n"
    (tmp_path / "msad.csv").write_text(text + "Fire_1.mp4,10,\n")
    with pytest.raises(InputError, match=r"line 2, column starting frame of anomaly or .*: one of the two is empty"):
        read_msad_annotation(tmp_path / "msad.csv")
    (tmp_path / "xd.txt").write_text("v_label_G.mp4 1 2\nv_label_G 4 5\n")
    with pytest.raises(InputError, match="line 2: 'v_label_G' stands twice"):
        read_xd_annotation(tmp_path / "xd.txt")
    for pair in ("9 3", "-1 3", "-2 -1"):
        (tmp_path / "xd.txt").write_text(f"v_label_G {pair}\n")
        with pytest.raises(InputError, match=r"line 1: .* are no frames from a first to a last one"):
            read_xd_annotation(tmp_path / "xd.txt")


def test_annotation_of_videos_that_are_not_here_is_told(tmp_path: Path) -> None:
    (tmp_path / "xd.txt").write_text("v_label_G 1 2\nw_label_G 4 5\nx_label_G 40 50\n")
    truth = xd_violence_truth(tmp_path / "xd.txt", {"v_label_G": 10, "x_label_G": 32})
    assert truth.notes == (
        f"{tmp_path / 'xd.txt'}: 1 of its videos are not here and not judged: w_label_G",
        f"{tmp_path / 'xd.txt'}: 1 videos have events after their last frame: x_label_G",
    )
    with pytest.raises(InputError, match=r"no line for 'vv_label_G'.*nearest: v_label_G"):
        xd_violence_truth(tmp_path / "xd.txt", {"vv_label_G": 10})
