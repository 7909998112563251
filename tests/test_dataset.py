"""Which videos there are and what they are labelled; wrong tables are refused with their line."""

import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refinevad.datasets.bag import label_vector
from refinevad.datasets.dataset import (
    DataSet,
    FeatureIndex,
    Item,
    categories_of,
    check_trainable,
    read_dataset,
    survey,
    thin_categories,
    twins,
    with_fold,
    with_validation,
)
from refinevad.datasets.leaks import same_in_two_splits
from refinevad.errors import InputError
from refinevad.features.store import Features, Provenance, save_features
from refinevad.timeline import SegmentRule, Timeline
from refinevad.training.experiment import warnings_for
from refinevad.training.recipe import Recipe


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def table(root: Path, text: str, encoding: str = "utf-8") -> Path:
    (root / "videos.csv").write_text(text, encoding=encoding)
    return root


def test_folders(tmp_path: Path) -> None:
    touch(
        tmp_path,
        *("train/normal/a.mp4", "train/fighting/b.MKV", "train/fighting/notes.txt", "train/fighting/._b.mp4"),
        *("test/Normal/c.avi", "val/falling over/d.webm", "elsewhere/x/e.mp4", "train/loose.mp4"),
    )
    assert read_dataset(tmp_path) == [
        Item("train/fighting/b.MKV", ("fighting",), "train"),
        Item("train/normal/a.mp4", (), "train"),
        Item("val/falling over/d.webm", ("falling over",), "val"),
        Item("test/Normal/c.avi", (), "test"),
    ]


def test_table_with_splits_and_several_labels(tmp_path: Path) -> None:
    table(tmp_path, "path,labels,split,frames\na/1.mp4,fighting;shooting,train,9\nb.mp4,normal,test,9\n")
    items = read_dataset(tmp_path)
    assert items == [Item("a/1.mp4", ("fighting", "shooting"), "train"), Item("b.mp4", (), "test")]
    assert [item.anomalous for item in items] == [True, False]
    assert items[0].name == "a/1"
    assert categories_of(items) == ("fighting", "shooting")
    assert label_vector(items[0].labels, ("fighting", "robbery", "shooting")).tolist() == [1, 0, 1]


def test_a_table_saved_by_a_spreadsheet(tmp_path: Path) -> None:
    """A byte order mark, Windows line ends, spaces around labels, a quoted comma."""
    table(tmp_path, 'path,labels,split\r\n"a, b.mp4",fall; fight ,train\r\n', "utf-8-sig")
    assert read_dataset(tmp_path) == [Item("a, b.mp4", ("fall", "fight"), "train")]


def test_table_with_folds(tmp_path: Path) -> None:
    table(tmp_path, "path,labels,fold\na.mp4,fall,0\nb.mp4,normal,0\nc.mp4,fall,1\nd.mp4,normal,12\n")
    items = read_dataset(tmp_path)
    assert [item.fold for item in items] == [0, 0, 1, 12]
    assert [item.split for item in with_fold(items, 0)] == ["test", "test", "train", "train"]
    with pytest.raises(InputError, match=r"fold 2 does not exist; there are \[0, 1, 12\]"):
        with_fold(items, 2)
    with pytest.raises(InputError, match="fold 0 does not exist: the data set has no folds"):
        with_fold(items_of(fall=2), 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path,split\na.mp4,train\n", "needs the columns"),
        ("path,labels\na.mp4,fall\n", "needs the columns"),
        ("", "needs the columns"),
        ("path,labels,split\n", "no videos found"),
        ("path,labels,split\na.mp4,fall,train\nb.mp4,fall,trian\n", "line 3: split 'trian'"),
        ("path,labels,split\na.mp4,fall,train\n,fall,train\n", "line 3: path or labels missing"),
        ("path,labels,split\na.mp4\n", "line 2: path or labels missing"),
        ("path,labels,split\na.mp4,,train\n", "line 2: path or labels missing"),
        ("path,labels,split\na.mp4,;,train\n", "line 2: labels ';': a video is normal, or has categories"),
        ("path,labels,split\na.mp4,Normal;fall,train\n", "line 2: labels 'Normal;fall': a video is normal, or"),
        ("path,labels,split\na.mp4,fall\n", "line 2: split ''"),
        ("path,labels,fold\na.mp4,fall,1\nb.mp4,fall,one\n", "line 3: fold 'one'"),
        ("path,labels,fold\na.mp4,fall\n", "line 2: fold ''"),
        ("path,labels,fold\na.mp4,fall,-1\n", "line 2: fold '-1'"),
        ("path,labels,fold\na.mp4,fall,1\nb.mp4,fall," + "9" * 5000 + "\n", "line 3: fold '999"),
        ("path,labels,fold\na.mp4,fall," + "9" * 30 + "\n", "line 2: fold '999"),
        ("path,labels,split\n.,fall,train\n", "line 2: path '.'"),
        ("path,labels,split\n./,fall,train\n", "line 2: path './'"),
        ("path,labels,split\n/a.mp4,fall,train\n", "line 2: path '/a.mp4'"),
        ("path,labels,split\n../a.mp4,fall,train\n", "line 2: path '../a.mp4'"),
        ("path,labels,split\na.mp4,fall,train\na.mp4,fall,test\n", "lists a.mp4 twice"),
        ("path,labels,split\na.mp4,fall,train\na.avi,fall,test\n", "a.mp4 and a.avi"),
        ('path,labels,split\n"a.mp4,fall,train\n', "not a table"),
    ],
)
def test_wrong_tables_are_refused_with_their_line(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words.replace("(", r"\(")) as caught:
        read_dataset(table(tmp_path, text))
    assert str(tmp_path) in str(caught.value)


def test_a_table_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "videos.csv").write_bytes(b"path,labels,split\n\xff\xfe.mp4,fall,train\n")
    with pytest.raises(InputError, match="not UTF-8"):
        read_dataset(tmp_path)


def test_folders_without_videos(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a folder"):
        read_dataset(tmp_path / "absent")
    with pytest.raises(InputError, match="no videos found"):
        read_dataset(tmp_path)
    with pytest.raises(InputError, match="no videos found"):
        read_dataset(touch(tmp_path, "train/normal/readme.txt", "learning/normal/a.mp4"))


def test_splits_by_longer_names_and_videos_in_deeper_folders(tmp_path: Path) -> None:
    touch(
        tmp_path,
        *("Training/normal/cam1/a.mp4", "train/fight/2024/05/b.dav", "valid/fight/c.VOB", "validation/fight/d.mxf"),
        *("TESTING/normal/e.264", "test/fight/f.asf", "test/fight/g.265"),
    )
    assert survey(tmp_path) == DataSet(
        [
            Item("Training/normal/cam1/a.mp4", (), "train"),
            Item("train/fight/2024/05/b.dav", ("fight",), "train"),
            Item("valid/fight/c.VOB", ("fight",), "val"),
            Item("validation/fight/d.mxf", ("fight",), "val"),
            Item("TESTING/normal/e.264", (), "test"),
            Item("test/fight/f.asf", ("fight",), "test"),
            Item("test/fight/g.265", ("fight",), "test"),
        ]
    )


def test_what_is_left_out_of_folders_is_counted(tmp_path: Path) -> None:
    touch(
        tmp_path,
        *("train/normal/a.mp4", "train/normal/a.srt", "train/loose.mp4", "elsewhere/x/e.mp4", "f.mkv", "README.md"),
        *("train/.git/x.ts", "train/__MACOSX/._a.mp4", "train/normal/@eaDir/a.mp4", "test/$RECYCLE.BIN/b.avi"),
        *("train/normal/.DS_Store", "train/normal/Thumbs.db", "train/normal/notes.txt", "train/fight/c.xyz"),
        *("train/fight/d.xyz", ".git/objects/1.mp4"),
    )
    assert survey(tmp_path) == DataSet(
        [Item("train/normal/a.mp4", (), "train")],
        (
            "2 videos lie in no folder of a split (train, val, test) and are left out: f.mkv, elsewhere/x/e.mp4",
            "1 videos lie in a split's folder but in no category's and are left out: train/loose.mp4",
            "5 videos are hidden or lie in a hidden or system folder and are left out: "
            ".git/objects/1.mp4, test/$RECYCLE.BIN/b.avi, train/.git/x.ts and 2 more",
            "5 files are no videos by their names and are left out: 2 .xyz, 1 without a suffix, 1 .db, 1 .txt",
        ),
    )


def test_folders_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk's own are told; a category's are an error. Refused by hand, because the tests may run as root."""
    touch(tmp_path, "train/normal/a.mp4", "lost+found/x.mp4", "train/fight/b.mp4")
    scan, closed = os.scandir, {tmp_path / "lost+found"}

    def refusing(folder: str) -> object:
        if Path(folder) in closed:
            raise PermissionError(13, "Permission denied", str(folder))
        return scan(folder)

    monkeypatch.setattr(os, "scandir", refusing)
    told = f"1 folders cannot be read, whatever they hold: {tmp_path / 'lost+found'}"
    found = survey(tmp_path)
    assert len(found.items) == 2
    assert told in found.notes
    closed.add(tmp_path / "train/fight")
    with pytest.raises(InputError, match=r"train/fight cannot be read; check its permissions"):
        survey(tmp_path)
    closed.discard(tmp_path / "train/fight")
    table(tmp_path, "path,labels,split\ntrain/normal/a.mp4,normal,train\n")
    assert told in survey(tmp_path).notes


def test_a_folder_that_links_back_to_itself(tmp_path: Path) -> None:
    touch(tmp_path / "set", "train/normal/a.mp4")
    touch(tmp_path / "more", "b.mp4")
    (tmp_path / "set/train/normal/again").symlink_to(tmp_path / "set")
    (tmp_path / "set/train/normal/more").symlink_to(tmp_path / "more")
    assert [item.path for item in read_dataset(tmp_path / "set")] == ["train/normal/a.mp4", "train/normal/more/b.mp4"]


def test_links_to_folders_that_are_read_already_are_told(tmp_path: Path) -> None:
    """Whatever their names: a link that stands first in the order must not take the place of the folder itself."""
    touch(tmp_path, "train/normal/a.mp4", "train/fight/b.mp4", "test/normal/c.mp4")
    for link, folder in (("latest", "train"), ("val", "test"), ("test/normal/all", "../../train"), ("up", ".")):
        (tmp_path / link).symlink_to(folder)
    found = survey(tmp_path)
    assert {item.path for item in found.items} == {"train/normal/a.mp4", "train/fight/b.mp4", "test/normal/c.mp4"}
    (note,) = found.notes
    assert note.startswith("4 folders are links to what is read already, left out: ")
    assert str(tmp_path / "latest") in note
    assert note.endswith(" and 1 more")
    table(tmp_path, "path,labels,split\ntrain/normal/a.mp4,normal,train\n")
    assert note in survey(tmp_path).notes


def test_a_category_with_accents_is_one_however_they_are_written(tmp_path: Path) -> None:
    """U+00E9, and e with U+0301, as copies from macOS have them."""
    touch(tmp_path, "train/caf\u00e9/a.mp4", "test/cafe\u0301/b.mp4")
    assert {item.labels for item in read_dataset(tmp_path)} == {("caf\u00e9",)}
    assert [item.path for item in read_dataset(tmp_path)] == ["train/caf\u00e9/a.mp4", "test/cafe\u0301/b.mp4"]
    table(tmp_path, "path,labels,split\ntest/cafe\u0301/b.mp4,cafe\u0301,test\n")
    assert [item.labels for item in read_dataset(tmp_path)] == [("caf\u00e9",)]


def test_videos_that_a_table_does_not_list_are_counted(tmp_path: Path) -> None:
    touch(tmp_path, "a.mp4", "sub/b.dav", "c.txt")
    table(tmp_path, "Path;Labels;Split\n")
    with pytest.raises(InputError, match="separated by semicolons"):
        read_dataset(tmp_path)
    table(tmp_path, "Path,LABELS,Split\na.mp4,normal,Training\n")
    found = survey(tmp_path)
    assert found.items == [Item("a.mp4", (), "train")]
    assert found.notes == (f"1 videos are not in {tmp_path / 'videos.csv'} and are left out: sub/b.dav",)
    table(tmp_path, "path,labels,split\n./a.mp4,normal,train\nsub\\b.dav,normal,train\nsub/c.dav,normal,train\n")
    assert survey(tmp_path).notes[0] == (
        f"2 rows of {tmp_path / 'videos.csv'} name no file: sub\\b.dav (nearest: sub/b.dav), "
        "sub/c.dav (nearest: sub/b.dav)"
    )


def stored(root: Path, path: str, split: str, digest: str, video: bytes | None = None) -> Item:
    """An item with features whose header carries a digest, and its video where `video` is given."""
    item = Item(path, (), split)
    timeline = Timeline.uniform(16, 25.0, SegmentRule(frames=16))
    source = {"bytes": 5, "sampled_sha256": digest}
    save_features(
        FeatureIndex(root, [], "", "").path(item),
        Features(np.zeros((1, 2), np.float32), timeline, Provenance({"name": "x"}, {"frames": 16}, source=source)),
    )
    if video is not None:
        (root / path).write_bytes(video)
    return item


def test_the_same_bytes_in_two_splits_are_told(tmp_path: Path) -> None:
    items = [
        stored(tmp_path, "train/normal/a.mp4", "train", "1", b"12345"),
        stored(tmp_path, "train/normal/b.mp4", "train", "1", b"12345"),
        stored(tmp_path, "test/normal/c.mp4", "test", "1", b"12345"),
        stored(tmp_path, "test/normal/d.mp4", "test", "2"),
        stored(tmp_path, "train/normal/e.mp4", "train", "3", b"12345"),
        stored(tmp_path, "test/normal/f.mp4", "test", "3", b"54321"),  # the samples agree, the rest does not
    ]
    (told,) = same_in_two_splits(FeatureIndex(tmp_path, items, "x", str(tmp_path)))
    assert told.startswith("1 videos lie in two splits")
    assert told.endswith(": train/normal/a.mp4 = test/normal/c.mp4 (and 1 more copies)")
    assert same_in_two_splits(FeatureIndex(tmp_path, items[:2], "x", str(tmp_path))) == ()
    twice = [items[0], replace(items[1], labels=("fall",))]
    assert same_in_two_splits(FeatureIndex(tmp_path, twice, "x", str(tmp_path))) == (
        "1 videos are there under two labels: train/normal/a.mp4 = train/normal/b.mp4",
    )
    (tmp_path / "test/normal/f.mp4").unlink()
    (told,) = same_in_two_splits(FeatureIndex(tmp_path, items[4:], "x", str(tmp_path)))
    assert "train/normal/e.mp4 = test/normal/f.mp4" in told


def test_two_videos_of_one_name_are_refused(tmp_path: Path) -> None:
    """Their features would lie in one file."""
    touch(tmp_path, "train/normal/a.mp4", "train/normal/a.avi")
    with pytest.raises(InputError, match=r"a\.avi and train/normal/a\.mp4.*rename one"):
        read_dataset(tmp_path)


def items_of(**counts: int) -> list[Item]:
    return [
        Item(f"train/{name}/{i}.mp4", () if name == "normal" else tuple(name.split("_")), "train")
        for name, count in counts.items()
        for i in range(count)
    ]


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ({}, "no training videos"),
        ({"fall": 4}, "no normal videos"),
        ({"normal": 4}, "no anomalous videos"),
    ],
)
def test_splits_that_cannot_be_learnt_from(counts: dict[str, int], words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_trainable([*items_of(**counts), Item("test/normal/a.mp4", (), "test"), Item("b.mp4", ("x",), "test")])


def test_a_trainable_split() -> None:
    check_trainable(items_of(normal=1, fall=1))


def test_a_category_with_one_video_is_told() -> None:
    items = [*items_of(normal=5, fall=3, fight=1, fall_shot=1), Item("test/fight/x.mp4", ("fight",), "test")]
    assert thin_categories(items) == ["fight", "shot"]


def test_an_unknown_category_is_named() -> None:
    with pytest.raises(InputError, match="unknown category arson; the model knows fall, fight"):
        label_vector(("fall", "arson"), ("fall", "fight"))


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 9), st.integers(0, 99))
def test_validation_is_stratified_and_repeatable(normal: int, fall: int, both: int, seed: int) -> None:
    items = [*items_of(normal=normal, fall=fall, fall_fight=both), Item("test/fall/x.mp4", ("fall",), "test")]
    split = with_validation(items, 0.2, seed)
    assert split == with_validation(items, 0.2, seed)
    assert [(item.path, item.labels) for item in split] == [(item.path, item.labels) for item in items]
    held = Counter(item.labels for item in split if item.split == "val")
    for labels, count in (((), normal), (("fall",), fall), (("fall", "fight"), both)):
        assert abs(held[labels] - 0.2 * count) <= 0.5
    assert [item.path for item in split if item.split == "test"] == ["test/fall/x.mp4"]


def test_validation_depends_on_the_seed_and_not_on_the_order() -> None:
    items = items_of(normal=40, fall=40)
    held = [{item.path for item in with_validation(items, 0.2, seed) if item.split == "val"} for seed in range(3)]
    assert len({frozenset(paths) for paths in held}) == 3
    assert {i.path for i in with_validation(items[::-1], 0.2, 0) if i.split == "val"} == held[0]


def test_a_validation_split_of_the_data_sets_own_is_kept() -> None:
    items = [*items_of(normal=10, fall=10), Item("val/fall/x.mp4", ("fall",), "val")]
    assert with_validation(items, 0.5, 0) == items


def test_index_roundtrip_and_damage(tmp_path: Path) -> None:
    index = FeatureIndex(tmp_path, [*items_of(fall_fight=1), Item("a.mp4", (), "", 3)], "lite", "videos")
    index.save()
    assert FeatureIndex.open(tmp_path) == index
    assert index.path(index.items[0]) == tmp_path / "train/fall_fight/0.safetensors"
    with pytest.raises(InputError, match="run refinevad extract first"):
        FeatureIndex.open(tmp_path / "absent")
    for damage in ("{", "[]", '{"items": [{}]}', '{"items": [{"labels": 3}]}'):
        (tmp_path / "dataset.json").write_text(damage)
        with pytest.raises(InputError, match="damaged"):
            FeatureIndex.open(tmp_path)


_LISTED = {"path": "train/a.mp4", "labels": ["fall"], "split": "train", "fold": None}
_LIES = {"files": {"0": "a.npy"}, "crops": 0, "segments": 4, "audio": None, "axis": 1}
_PUBLISHED = {
    **{"folder": ".", "audio_folder": "", "rate_hz": 25.0, "channels": 3, "audio_channels": 0},
    **{"train_crop": None, "test_crop": None, "videos": {"train/a.mp4": _LIES}},
}
_INDEX = {"encoder": "lite", "source": "videos", "items": [_LISTED]}


def _item(**changes: object) -> dict[str, object]:
    return {**_INDEX, "items": [{**_LISTED, **changes}]}


def _set(**changes: object) -> dict[str, object]:
    return {**_INDEX, "published": {**_PUBLISHED, **changes}}


def _video(**changes: object) -> dict[str, object]:
    return _set(videos={"train/a.mp4": {**_LIES, **changes}})


def test_channels_are_counted_where_no_part_is_named(tmp_path: Path) -> None:
    index = FeatureIndex(tmp_path, [Item("a.mp4", (), "train")], "lite", "videos")
    timeline = Timeline.uniform(32, 25.0, SegmentRule(frames=16))
    save_features(tmp_path / "a.safetensors", Features(np.ones((2, 5), np.float32), timeline, Provenance({}, {})))
    assert index.channels() == 5


def test_an_index_is_taken_as_it_is_written(tmp_path: Path) -> None:
    for content in (_INDEX, _item(fold=3), _set(), _set(train_crop=0), _video(crops=2), _video(audio="a__vggish.npy")):
        (tmp_path / "dataset.json").write_text(json.dumps(content))
        assert FeatureIndex.open(tmp_path).items[0].path == "train/a.mp4"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({**_INDEX, "items": []}, "items"),
        ({**_INDEX, "items": {}}, "items"),
        ({**_INDEX, "items": "abc"}, "items"),
        ({**_INDEX, "encoder": 5}, "encoder"),
        ({**_INDEX, "source": None}, "source"),
        (_item(path=5), "path"),
        (_item(path=""), "path"),
        (_item(path="."), "path"),
        (_item(path="/"), "path"),
        (_item(path="../a.mp4"), "path"),
        (_item(path="a\ud800.mp4"), "path"),
        (_item(path="a\0.mp4"), "path"),
        (_item(path="/etc/a.mp4"), "path"),
        (_item(labels="fall"), "labels"),
        (_item(labels=[1]), "labels"),
        (_item(split=0), "split"),
        (_item(fold="x"), "fold"),
        (_item(fold=True), "fold"),
        (_item(strange=1), "strange"),
        ({**_INDEX, "published": []}, "published"),
        (_set(rate_hz="25"), "rate_hz"),
        (_set(rate_hz=float("nan")), "rate_hz"),
        (_set(rate_hz=0), "rate_hz"),
        (_set(channels=0), "channels"),
        (_set(channels=1e308), "channels"),
        (_set(channels=2**40), "channels"),
        (_set(audio_channels=-1), "audio_channels"),
        (_set(train_crop="each"), "train_crop"),
        (_set(folder=1), "folder"),
        ({**_INDEX, "published": {"folder": "."}}, "audio_folder"),
        (_video(files={"0": "../a.npy"}), "files"),
        (_video(files={"0": "/etc/a.npy"}), "files"),
        (_set(videos=[]), "videos"),
        (_set(videos={}), "train/a.mp4"),
        (_set(videos={"train/a.mp4": None}), "train/a.mp4"),
        (_video(files={"x": "a.npy"}), "files"),
        (_video(files={"9" * 5000: "a.npy"}), "files"),
        (_video(files={"0": 1}), "files"),
        (_video(files={}), "files"),
        (_video(files=[]), "files"),
        (_video(files={"1": "a.npy"}, crops=2), "files"),
        (_video(crops=-1), "crops"),
        (_video(crops=True), "crops"),
        (_video(segments=0), "segments"),
        (_video(segments=1.5), "segments"),
        (_video(segments=2**40), "segments"),
        (_video(audio=3), "audio"),
        (_video(axis=7), "axis"),
        (_video(strange=1), "strange"),
    ],
)
def test_a_damaged_index_is_one_sentence_with_its_file(content: object, words: str, tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"dataset\.json.*extract again") as error:
        FeatureIndex.open(tmp_path)
    assert words in str(error.value)


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"[" * 100_000, b'{"items": ' + b"9" * 5000 + b"}", b"[" * 900 + b"]" * 900]
)
def test_an_index_that_is_no_text_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "dataset.json").write_bytes(content)
    with pytest.raises(InputError, match=r"dataset\.json"):
        FeatureIndex.open(tmp_path)


def test_a_row_whose_name_no_file_can_have_is_told_as_absent(tmp_path: Path) -> None:
    (tmp_path / "videos.csv").write_text(f"path,labels,split\n{'9' * 300}.mp4,normal,train\n")
    (note,) = survey(tmp_path).notes
    assert note.startswith(f"1 rows of {tmp_path / 'videos.csv'} name no file")


def test_categories_that_a_person_takes_for_one_are_told() -> None:
    labels = ("fall", "Fall", "fight", "cafe\u0301", "caf\u00e9", "running", "run ning", "fire")
    items = [Item(f"train/{label}/{n}.mp4", (label,), "train") for n, label in enumerate(labels)]
    assert twins(items) == [["Fall", "fall"], ["cafe\u0301", "caf\u00e9"], ["run ning", "running"]]
    assert twins(items[2:3]) == []
    recipe = Recipe(Path("set"))
    told = warnings_for(recipe, items[:2], {})
    assert "categories 'Fall' and 'fall' are learnt apart: are they one?" in told
