"""Published names and lists: which file is which video, which crop, and what it is labelled."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from published_cases import imported, numbers, save, vadclip
from published_set import UCF_TRAIN
from refinevad.apps.cli import main
from refinevad.datasets.benchmarks import (
    MSAD,
    SHANGHAITECH,
    UCF_CRIME,
    XD_VIOLENCE,
    Benchmark,
)
from refinevad.datasets.feature_lists import labels_by_name, read_feature_list, video_and_crop
from refinevad.errors import InputError


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
