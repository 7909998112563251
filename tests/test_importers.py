"""Published feature files: names, lists, layouts, crops and audio, read in place and never unpickled."""

import json
import os
import pickle
import runpy
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinevad.apps.cli import main
from refinevad.apps.commands.import_features import _words
from refinevad.datasets.benchmarks import MSAD, SHANGHAITECH, UCF_CRIME, XD_VIOLENCE, Benchmark, read_shanghaitech_split
from refinevad.datasets.crop_axis import crop_axis
from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.datasets.feature_lists import labels_by_name, read_feature_list, video_and_crop
from refinevad.datasets.importing import Imported, ImportRequest, import_features
from refinevad.datasets.npy import open_npy
from refinevad.datasets.published import PublishedFeatures, audio_rows, mean_over_crops
from refinevad.errors import InputError
from refinevad.judging.official_truth import official_truth
from refinevad.judging.predictions import Adjustment
from refinevad.judging.set_truth import read_truth
from refinevad.scoring.scores import Scores
from refinevad.study.over_seeds import figure, run_seed
from refinevad.study.over_videos import OverVideos
from refinevad.training.experiment import extract_features
from refinevad.training.fitting import make_bags
from refinevad.training.recipe import Recipe, read_recipe
from test_truth_is_closed import TRUTH, opened

ROOT = Path(__file__).parents[1]
UCF_TRAIN = ("Abuse/Abuse001_x264", "Arson/Arson002_x264", "Training_Normal_Videos_Anomaly/Normal_Videos001_x264")
UCF_TEST = ("Abuse/Abuse028_x264", "Testing_Normal_Videos_Anomaly/Normal_Videos_003_x264")


def save(path: Path, values: np.ndarray) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, values)
    return values


def numbers(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


@pytest.fixture
def ucf(tmp_path: Path) -> Path:
    """The official split of five videos."""
    data = tmp_path / "ucf-crime"
    data.mkdir()
    (data / "Anomaly_Train.txt").write_text("".join(f"{name}.mp4\n" for name in UCF_TRAIN))
    (data / "Anomaly_Test.txt").write_text("".join(f"{name}.mp4\n" for name in UCF_TEST))
    (data / "Temporal_Anomaly_Annotation.txt").write_text(
        "Abuse028_x264  Abuse  20  60  -1  -1\nNormal_Videos_003_x264  Normal  -1  -1  -1  -1\n"
    )
    return data


def vadclip(folder: Path, crops: int = 3, channels: int = 5) -> dict[str, np.ndarray]:
    """VadCLIP's layout: every video's crops, T x crops x channels, by the video's name."""
    made = {}
    for place, path in enumerate((*UCF_TRAIN, *UCF_TEST)):
        values = numbers(place, 6 + place, crops, channels)
        for crop in range(crops):
            save(folder / f"{path}__{crop}.npy", values[:, crop])
        made[Path(path).name] = values
    return made


def imported(folder: Path, data: Path, out: Path, benchmark: str = "ucf-crime", **options: object) -> Imported:
    request = replace(ImportRequest(folder, benchmark), **options)  # type: ignore[arg-type]
    return import_features(request, data, out)


def features_of(index: FeatureIndex, split: str) -> dict[str, PublishedFeatures]:
    items = [item for item in index.items if item.split == split]
    loaded = index.load(items)
    assert all(isinstance(video, PublishedFeatures) for video in loaded)
    return {Path(item.path).stem: video for item, video in zip(items, loaded, strict=True)}  # type: ignore[misc]


# --- files --------------------------------------------------------------------------------------------------


class Payload:
    """Would make a file if anyone unpickled it."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.target),)


def test_python_objects_are_refused_and_never_run(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([Payload(tmp_path / "ran")], dtype=object))
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(Payload(tmp_path / "ran")))
    with pytest.raises(InputError, match="holds Python objects, which could run code"):
        open_npy(tmp_path / "objects.npy")
    with pytest.raises(InputError, match=r"is no whole \.npy file"):
        open_npy(tmp_path / "pickle.npy")
    assert not (tmp_path / "ran").exists()
    pickle.loads((tmp_path / "pickle.npy").read_bytes())  # the payload works
    assert (tmp_path / "ran").exists()


def test_files_that_hold_no_features(tmp_path: Path) -> None:
    save(tmp_path / "short.npy", numbers(0, 4, 3))
    (tmp_path / "short.npy").write_bytes((tmp_path / "short.npy").read_bytes()[:-4])
    save(tmp_path / "whole.npy", np.arange(6))
    save(tmp_path / "empty.npy", numbers(0, 0, 3))
    for name, sentence in (
        ("short.npy", "no whole"),
        ("whole.npy", "holds int64, features are floats"),
        ("empty.npy", "holds no segment"),
        ("absent.npy", "features not found"),
    ):
        with pytest.raises(InputError, match=sentence):
            open_npy(tmp_path / name)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1099511627776,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9" + "0" * 20 + ",), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9" + "0" * 5000 + ",), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-4,), }",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 4, }",
        "{'descr': '|S0', 'fortran_order': False, 'shape': (4,), }",
        "{'descr': '<c8', 'fortran_order': False, 'shape': (2,), }",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (4,), }",
        "{'descr': 1, 'fortran_order': False, 'shape': (4,), }",
        "(" * 200,
        "{'descr': '<f4'",
        "",
    ],
    ids=lambda text: text[:70],
)
def test_headers_that_do_not_fit_are_one_sentence(header: str, tmp_path: Path) -> None:
    head = header.encode().ljust(117) + b"\n"
    path = tmp_path / "a.npy"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head + bytes(16))
    with pytest.raises(InputError, match=r"a\.npy"):
        open_npy(path)


def test_what_is_no_file_of_numbers_is_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.npy")  # opening it would wait for a writer
    (tmp_path / "folder.npy").mkdir()
    for path in (tmp_path / "pipe.npy", tmp_path / "folder.npy", Path("/dev/zero"), tmp_path / ("a" * 5000)):
        with pytest.raises(InputError):
            open_npy(path)


@pytest.mark.parametrize("label", ["x", "1.0.0", "one 1"])
def test_a_label_that_is_no_number_is_one_sentence(label: str, tmp_path: Path) -> None:
    (tmp_path / "test.list").write_text(f"x/01_0014_0.npy 1\nx/01_0015_0.npy {label}\n")
    with pytest.raises(InputError, match=r"test\.list, line 2: the label must be a number"):
        read_shanghaitech_split(tmp_path / "test.list")


@pytest.mark.parametrize(
    "values",
    [np.zeros((4, 2)), np.array([0.5, 1.0]), np.array(["0", "1"]), np.array([0, 1j]), np.zeros(2, [("a", "<f4")])],
    ids=str,
)
def test_an_array_of_no_frame_labels_is_one_sentence(values: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "sh-gt.npy", values)
    with pytest.raises(InputError, match=r"sh-gt\.npy must hold one 0 or 1 a frame"):
        official_truth(tmp_path, {"01_0014": 2})


# --- names and lists ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("benchmark", "stem", "name", "crop", "labels"),
    [
        (UCF_CRIME, "Abuse001_x264__9", "Abuse001_x264", 9, ("Abuse",)),
        (UCF_CRIME, "RoadAccidents001_x264_i3d", "RoadAccidents001_x264", None, ("RoadAccidents",)),
        (UCF_CRIME, "Normal_Videos948_x264", "Normal_Videos948_x264", None, ()),
        (UCF_CRIME, "Normal_Videos_003_x264__5", "Normal_Videos_003_x264", 5, ()),
        (
            XD_VIOLENCE,
            "Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6__4",
            "Bad.Boys.1995__#01-11-55_01-12-40_label_G-B2-B6",
            4,
            ("G", "B2", "B6"),
        ),
        (XD_VIOLENCE, "v=251___mEwZA__#1_label_B1-0-0__0", "v=251___mEwZA__#1_label_B1-0-0", 0, ("B1",)),
        (XD_VIOLENCE, "Flipped.2010__#00-45-40_00-47-30_label_A", "Flipped.2010__#00-45-40_00-47-30_label_A", None, ()),
        (SHANGHAITECH, "01_0014_3", "01_0014", 3, ("anomaly",)),
        (SHANGHAITECH, "01_001_0", "01_001", 0, ()),
        (SHANGHAITECH, "01_0014_i3d", "01_0014", None, ("anomaly",)),
        (MSAD, "Traffic_accident_12_i3d", "Traffic_accident_12", None, ("Traffic_accident",)),
        (MSAD, "MSAD_normal_testing_4", "MSAD_normal_testing_4", None, ()),
    ],
)
def test_names_say_video_crop_and_labels(
    benchmark: Benchmark, stem: str, name: str, crop: int | None, labels: tuple[str, ...]
) -> None:
    assert video_and_crop(stem, benchmark) == (name, crop)
    assert labels_by_name(name, benchmark) == labels


@given(st.sampled_from(UCF_CRIME.categories), st.integers(1, 999), st.integers(0, 9))
def test_a_name_with_its_crop_comes_apart_again(category: str, number: int, crop: int) -> None:
    name = f"{category}{number:03d}_x264"
    assert video_and_crop(f"{name}__{crop}", UCF_CRIME) == (name, crop)
    assert video_and_crop(name, UCF_CRIME) == (name, None)
    assert labels_by_name(name, UCF_CRIME) == (category,)


def test_a_name_that_says_nothing_is_refused() -> None:
    for benchmark in (UCF_CRIME, SHANGHAITECH, MSAD):
        with pytest.raises(InputError, match="holiday"):
            labels_by_name("holiday_7", benchmark)


def test_lists_as_published(tmp_path: Path) -> None:
    vadclip_csv, plain = tmp_path / "a.csv", tmp_path / "b.list"
    vadclip_csv.write_text("path,label\n/home/x/Abuse/Abuse001_x264__0.npy,Abuse\n/home/x/y__1.npy,Normal\n")
    assert read_feature_list(vadclip_csv) == (
        ("/home/x/Abuse/Abuse001_x264__0.npy", "Abuse"),
        ("/home/x/y__1.npy", "Normal"),
    )
    plain.write_text("train/01_0014_0.npy 1.0\n\nE:\\i3d\\RGBTest\\a b__#1_label_A__4.npy\n")
    assert read_feature_list(plain) == (("train/01_0014_0.npy", None), ("E:/i3d/RGBTest/a b__#1_label_A__4.npy", None))
    plain.write_text("train/01_0014_0.npy\ntrain/01_0014_1.pkl\n")
    with pytest.raises(InputError, match="line 2: expected a path"):
        read_feature_list(plain)


def test_a_list_of_another_machine_finds_files_by_the_end_of_their_paths(ucf: Path, tmp_path: Path) -> None:
    folder = tmp_path / "features"
    for path in ("a/Abuse/Abuse001_x264__0", "b/Abuse/Abuse001_x264__0", "b/Normal/Normal_Videos001_x264__0"):
        save(folder / f"{path}.npy", numbers(len(path), 4, 2))
    listed = tmp_path / "train.csv"
    listed.write_text("path,label\n/h/b/Abuse/Abuse001_x264__0.npy,Abuse\n/h/Normal_Videos001_x264__0.npy,Normal\n")
    index = imported(folder, ucf, tmp_path / "out", train_list=listed).index
    assert index.published is not None
    assert index.published.videos["train/Abuse001_x264.npy"].files == {0: "b/Abuse/Abuse001_x264__0.npy"}
    assert [item.labels for item in index.items] == [("Abuse",), ()]
    for line, sentence in (
        ("/h/c/Abuse001_x264__0.npy,Abuse", "both may be"),
        ("/h/Abuse/Abuse002_x264__0.npy,Abuse", "lists 1 files"),
        ("/h/b/Abuse/Abuse001_x264__0.npy,Arson", "which its name contradicts"),
    ):
        listed.write_text(f"path,label\n{line}\n")
        with pytest.raises(InputError, match=sentence):
            imported(folder, ucf, tmp_path / "out", train_list=listed)
    listed.write_text("/h/b/Abuse/Abuse001_x264__0.npy\n")
    with pytest.raises(InputError, match="both for training and for testing"):
        imported(folder, ucf, tmp_path / "out", train_list=listed, test_list=listed)


def test_official_lists_name_videos_and_mean_their_crops(ucf: Path, tmp_path: Path) -> None:
    vadclip(tmp_path / "f")
    windows = "".join(f"{name}.mp4\r\n\r\n".replace("/", "\\") for name in UCF_TRAIN)
    (tmp_path / "train.txt").write_bytes(("\ufeff" + windows).encode())
    lists = {"train_list": tmp_path / "train.txt", "test_list": ucf / "Anomaly_Test.txt"}
    by_lists = imported(tmp_path / "f", ucf, tmp_path / "a", **lists).index
    official = imported(tmp_path / "f", ucf, tmp_path / "b").index
    assert sorted(by_lists.items, key=str) == sorted(official.items, key=str)
    assert by_lists.published is not None
    assert official.published is not None
    assert dict(by_lists.published.videos) == dict(official.published.videos)
    (ucf / "Anomaly_Train.txt").write_bytes(windows.encode())
    assert imported(tmp_path / "f", ucf, tmp_path / "c").index.items == official.items
    (tmp_path / "train.txt").write_text("Abuse/Abuse001_x265.mp4\n")
    with pytest.raises(InputError, match=r"lists 1 files .*, Abuse/Abuse001_x265\.mp4 first"):
        imported(tmp_path / "f", ucf, tmp_path / "d", **lists)


def test_a_file_listed_twice_is_taken_once_and_told(ucf: Path, tmp_path: Path) -> None:
    vadclip(tmp_path / "f")
    listed = tmp_path / "train.csv"
    listed.write_text("Abuse/Abuse001_x264__0.npy\nAbuse/Abuse001_x264__1.npy\nAbuse/Abuse001_x264__0.npy\n")
    done = imported(tmp_path / "f", ucf, tmp_path / "out", train_list=listed)
    assert done.index.published is not None
    assert sorted(done.index.published.videos["train/Abuse001_x264.npy"].files) == [0, 1]
    assert f"{listed} lists 1 files more than once; each is taken once" in done.notes


def test_both_lists_need_no_data_folder(
    ucf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REFINEVAD_DATA", str(tmp_path / "nowhere"))
    monkeypatch.chdir(tmp_path / "ucf-crime")
    vadclip(tmp_path / "f")
    command = ["import", str(tmp_path / "f"), "--benchmark", "ucf-crime", "--out", str(tmp_path / "out")]
    lists = ["--train-list", str(ucf / "Anomaly_Train.txt"), "--test-list", str(ucf / "Anomaly_Test.txt")]
    assert main([*command, *lists]) == 0
    assert "no folder of ucf-crime is at hand" in capsys.readouterr().err
    assert main([*command, *lists[:2]]) == 2


# --- layouts ------------------------------------------------------------------------------------------------


def test_a_file_a_crop_and_crops_on_an_axis_are_the_same_features(ucf: Path, tmp_path: Path) -> None:
    made = vadclip(tmp_path / "crops")
    for name, values in made.items():
        save(tmp_path / "axis" / f"{name}_i3d.npy", values)
    for layout in ("crops", "axis"):
        done = imported(tmp_path / layout, ucf, tmp_path / f"index-{layout}")
        assert not done.failed
        index = FeatureIndex.open(tmp_path / f"index-{layout}")
        assert index == done.index
        assert index.channels() == 5
        assert [(item.path, item.labels) for item in index.items if item.split == "test"] == [
            ("test/Abuse028_x264.npy", ("Abuse",)),
            ("test/Normal_Videos_003_x264.npy", ()),
        ]
        for split in ("train", "test"):
            for name, video in features_of(index, split).items():
                read = np.stack([crop.read() for crop in video.crops], axis=1)
                np.testing.assert_array_equal(read, made[name])
                assert video.timeline.frames == 16 * len(made[name])
    assert (tmp_path / "index-axis/dataset.json").exists()
    assert len(list((tmp_path / "index-axis").iterdir())) == 1  # nothing was copied


@pytest.mark.parametrize("crops", [3, 10])
def test_crops_on_the_first_axis(ucf: Path, tmp_path: Path, crops: int) -> None:
    made = vadclip(tmp_path / "crops", crops=crops)  # of 6 to 10 segments
    for name, values in made.items():
        save(tmp_path / "axis" / f"{name}_i3d.npy", values.transpose(1, 0, 2))
    done = imported(tmp_path / "axis", ucf, tmp_path / "out")
    assert "crops lie on the first axis of the files: crops x segments x channels" in done.notes
    index = FeatureIndex.open(tmp_path / "out")
    for split in ("train", "test"):
        for name, video in features_of(index, split).items():
            np.testing.assert_array_equal(np.stack([crop.read() for crop in video.crops], axis=1), made[name])
            assert video.timeline.segments == len(made[name])


@pytest.mark.parametrize(
    ("shapes", "axis"),
    [
        ([(7, 10, 4), (9, 10, 4)], 1),
        ([(10, 7, 4), (10, 9, 4)], 0),
        ([(32, 10, 4), (32, 10, 4)], 1),
        ([(10, 32, 4), (10, 32, 4)], 0),
        ([(10, 10, 4)], 1),
        ([(7, 10, 4), (9, 5, 4)], 1),
        ([(10, 7, 4), (5, 9, 4), (10, 10, 4)], 0),
        ([], 1),
    ],
)
def test_the_axis_of_crops(shapes: list[tuple[int, ...]], axis: int) -> None:
    assert crop_axis(shapes) == axis


def test_a_crop_without_a_number_is_crop_0(ucf: Path, tmp_path: Path) -> None:
    made = vadclip(tmp_path / "f")
    for file in list((tmp_path / "f").rglob("*__0.npy")):
        file.rename(file.with_name(file.name.replace("__0", "")))
    for name, video in features_of(imported(tmp_path / "f", ucf, tmp_path / "out").index, "train").items():
        np.testing.assert_array_equal(video.values, made[name][:, 0])
    save(tmp_path / "f/Abuse/Abuse001_x264__0.npy", made["Abuse001_x264"][:, 0])
    assert "crop 0; keep one" in imported(tmp_path / "f", ucf, tmp_path / "out").failed["train/Abuse001_x264.npy"]


def test_training_takes_each_crop_and_testing_their_mean_score(ucf: Path, tmp_path: Path) -> None:
    made = vadclip(tmp_path / "f")
    index = imported(tmp_path / "f", ucf, tmp_path / "out").index
    items = [item for item in index.items if item.split == "train"]
    config = Recipe(tmp_path, model={"width": 4, "heads": 1}).config(5, ("Abuse", "Arson"))
    bags = make_bags(config, items, index.load(items))
    assert len(bags) == 9
    assert [bag.labels.tolist() for bag in bags[:4]] == [[1, 0], [1, 0], [1, 0], [0, 1]]
    np.testing.assert_array_equal(bags[4].values, made["Arson002_x264"][:, 1])

    def scorer(values: np.ndarray) -> Scores:
        column = values[:, 0].astype(np.float64)
        return Scores(column, column[:, None], column[:1], column)

    video = features_of(index, "test")["Abuse028_x264"]
    expected = made["Abuse028_x264"][:, :, 0].astype(np.float64).mean(axis=1)
    np.testing.assert_allclose(mean_over_crops(video, scorer).segments, expected, rtol=1e-12)


def test_one_named_crop(ucf: Path, tmp_path: Path) -> None:
    made = vadclip(tmp_path / "f")
    index = imported(tmp_path / "f", ucf, tmp_path / "out", train_crop=2, test_crop=1).index
    (crop,) = features_of(index, "train")["Abuse001_x264"].crops
    np.testing.assert_array_equal(crop.read(), made["Abuse001_x264"][:, 2])
    (crop,) = features_of(index, "test")["Abuse028_x264"].crops
    np.testing.assert_array_equal(crop.read(), made["Abuse028_x264"][:, 1])
    index = imported(tmp_path / "f", ucf, tmp_path / "out", test_crop=5).index
    with pytest.raises(InputError, match="has no crop 5, only 0, 1, 2"):
        features_of(index, "test")


def test_what_does_not_fit_is_told_and_left_out(ucf: Path, tmp_path: Path) -> None:
    folder = tmp_path / "f"
    vadclip(folder)
    save(folder / "Abuse/Abuse001_x264__1.npy", numbers(0, 4, 5))  # the others have 6 segments
    (folder / "Arson/Arson002_x264__2.npy").unlink()
    (folder / "Abuse/Abuse028_x264__0.npy").write_bytes(b"nothing")
    save(folder / "Abuse/holiday__0.npy", numbers(0, 4, 5))
    done = imported(folder, ucf, tmp_path / "out")
    assert list(done.failed) == ["test/Abuse028_x264.npy"]
    assert "1 files belong to no video of UCF-Crime and are left aside" in done.notes
    assert "Abuse001_x264: its crops have 6, 4, 6 segments; the first 4 of each are used" in done.notes
    assert "1 train videos have 2 crops, others 3: train/Arson002_x264.npy" in done.notes
    assert "UCF-Crime has 1,610 train videos, these are 3" in done.notes
    assert [len(crop.read()) for crop in features_of(done.index, "train")["Abuse001_x264"].crops] == [4, 4, 4]
    save(folder / "Arson/Arson002_x264__0.npy", numbers(0, 7, 6))
    assert "differ in shape" in imported(folder, ucf, tmp_path / "out").failed["train/Arson002_x264.npy"]
    (folder / "Arson/Arson002_x264__1.npy").unlink()
    with pytest.raises(InputError, match=r"differ in channels \(picture \+ audio\)"):
        imported(folder, ucf, tmp_path / "out")


def test_official_videos_without_features_are_named(ucf: Path, tmp_path: Path) -> None:
    vadclip(tmp_path / "f")
    for file in (tmp_path / "f/Arson").iterdir():
        file.unlink()
    assert (
        "1 videos of UCF-Crime have no features: Arson002_x264" in imported(tmp_path / "f", ucf, tmp_path / "o").notes
    )


def test_broken_values_are_found_when_they_are_read(ucf: Path, tmp_path: Path) -> None:
    vadclip(tmp_path / "f")
    video = features_of(imported(tmp_path / "f", ucf, tmp_path / "out").index, "train")["Abuse001_x264"]
    path = tmp_path / "f/Abuse/Abuse001_x264__0.npy"
    before = video.crops[0].identity()
    broken = np.load(path)
    broken[3, 1] = np.nan
    save(path, broken)
    os.utime(path, (1, 1))
    assert video.crops[0].identity() != before
    with pytest.raises(InputError, match=r"NaN or infinite values in 1 of 6 segments \(first: segment 3\)"):
        video.crops[0].read()
    save(path, broken[:2])
    with pytest.raises(InputError, match="has changed since it was imported"):
        video.crops[0].read()


def test_nothing_stays_open(ucf: Path, tmp_path: Path) -> None:
    """Ten-crop UCF-Crime has 16,100 training files; a process may open about a thousand."""
    descriptors = Path("/proc/self/fd")
    if not descriptors.exists():
        pytest.skip("needs /proc")
    vadclip(tmp_path / "f")
    index = imported(tmp_path / "f", ucf, tmp_path / "out").index
    items = [item for item in index.items if item.split == "train"]
    before = len(list(descriptors.iterdir()))
    config = Recipe(tmp_path, model={"width": 4, "heads": 1}).config(5, ("Abuse", "Arson"))
    bags = make_bags(config, items, index.load(items))
    kept = [bag.values for bag in bags]
    assert len(kept) == 9
    assert len(list(descriptors.iterdir())) == before


# --- audio --------------------------------------------------------------------------------------------------


def test_audio_rows_by_hand() -> None:
    assert audio_rows(4, 4).tolist() == [0, 1, 2, 3]
    assert audio_rows(4, 2).tolist() == [0, 1, 1, 1]  # two missing at the end: the last is repeated
    assert audio_rows(3, 5).tolist() == [0, 1, 2]  # two too many: left out
    assert audio_rows(3, 9).tolist() == [1, 4, 7]  # another grid: the row at each segment's middle
    assert audio_rows(6, 2 + 1).tolist() == [0, 0, 1, 1, 2, 2]


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_audio_rows_exist_and_never_go_back(segments: int, rows: int) -> None:
    place = audio_rows(segments, rows)
    assert len(place) == segments
    assert place.min() >= 0
    assert place.max() < rows
    assert (np.diff(place) >= 0).all()
    if abs(segments - rows) > max(2, 0.02 * segments):
        middle = (np.arange(segments) + 0.5) / segments  # a segment's middle lies in its row, as shares of the video
        assert (place <= middle * rows + 1e-9).all()
        assert (middle * rows <= place + 1 + 1e-9).all()


def test_audio_stands_beside_the_picture(tmp_path: Path) -> None:
    """XD-Violence's own layout: RGB/ and RGBTest/, five crops, VGGish below train/ and test/."""
    names = {"train": ("a.1__#1_label_B1-0-0", "b__#1_label_A"), "test": ("c__#00-01_label_B2-G-0",)}
    picture, audio = {}, {}
    for folder, split in (("RGB", "train"), ("RGBTest", "test")):
        for place, name in enumerate(names[split]):
            picture[name] = numbers(place, 30, 4)
            for crop in range(5):
                save(tmp_path / "i3d" / folder / f"{name}__{crop}.npy", picture[name] + crop)
            audio[name] = save(tmp_path / "vggish" / split / f"{name}__vggish.npy", numbers(9 + place, 30 - place, 3))
    done = imported(tmp_path / "i3d", tmp_path, tmp_path / "out", "xd-violence", audio=tmp_path / "vggish")
    assert done.index.channels() == 7
    assert [(item.split, item.labels) for item in done.index.items] == [
        ("train", ("B1",)),
        ("train", ()),
        ("test", ("B2", "G")),
    ]
    assert "b__#1_label_A: 29 audio rows for 30 segments: the last row is repeated" in done.notes
    video = features_of(done.index, "train")["b__#1_label_A"]
    assert video.provenance.parts == {"visual": (0, 4), "audio": (4, 7)}
    values = video.crops[2].read()
    np.testing.assert_array_equal(values[:, :4], picture["b__#1_label_A"] + 2)
    np.testing.assert_array_equal(values[:29, 4:], audio["b__#1_label_A"])
    np.testing.assert_array_equal(values[29, 4:], audio["b__#1_label_A"][28])
    (tmp_path / "vggish/test/c__#00-01_label_B2-G-0__vggish.npy").unlink()
    done = imported(tmp_path / "i3d", tmp_path, tmp_path / "out", "xd-violence", audio=tmp_path / "vggish")
    assert "has no audio" in done.failed["test/c__#00-01_label_B2-G-0.npy"]


# --- truth --------------------------------------------------------------------------------------------------


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


# --- recipes, at full length --------------------------------------------------------------------------------


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


# --- bench list ---------------------------------------------------------------------------------------------


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
