"""Published features in each layout: files, crops on an axis or in a name, read in place."""

import os
from pathlib import Path

import numpy as np
import pytest

from published_cases import features_of, imported, numbers, save, vadclip
from refinevad.datasets.crop_axis import crop_axis
from refinevad.datasets.dataset import FeatureIndex
from refinevad.datasets.published import mean_over_crops
from refinevad.errors import InputError
from refinevad.scoring.scores import Scores
from refinevad.training.fitting import make_bags
from refinevad.training.recipe import Recipe


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
