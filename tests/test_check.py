"""`refinevad check`: what will go wrong with a data set is told before anything is trained on it."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refinevad.apps.checking import cost
from refinevad.apps.checking.facts import read_facts
from refinevad.apps.checking.findings import counts, find, guessable
from refinevad.apps.checking.places import told_of_places
from refinevad.apps.cli import main
from refinevad.datasets.dataset import FeatureIndex, Item
from refinevad.datasets.published import PublishedSet
from refinevad.errors import InputError
from refinevad.features.store import Features, Provenance, save_features
from refinevad.timeline import SegmentRule, Timeline
from videos import flat, write_video

pytest.importorskip("av", reason="videos need the extra `video`")


def video(path: Path, seed: int, frames: int = 25, rate: int = 25, size: tuple[int, int] = (48, 32)) -> None:
    """A video unlike those of other seeds."""
    levels = np.random.default_rng(seed).integers(0, 255, frames).tolist()
    write_video(path, flat(levels, *size), rate=rate, size=size)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two of each kind and split, with truth: nothing is wrong with it."""
    root, seed = tmp_path_factory.mktemp("set"), 0
    for split in ("train", "val", "test"):
        for category in ("normal", "fall"):
            for number in range(2):
                seed += 1
                video(root / split / category / f"{number}.mp4", seed)
    (root / "events.csv").write_text("path,start_s,end_s,category\n")
    return root


@pytest.fixture
def data(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "set"))


def checked(data: Path, capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, dict[str, Any]]:
    code = main(["check", str(data), "--no-places", "--no-cost", "--json", "-", *more])
    return code, json.loads(capsys.readouterr().out)


def test_a_sound_set_is_counted_and_nothing_is_wrong(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, told = checked(data, capsys)
    assert (code, told["wrong"], told["mind"], told["videos"]) == (0, [], [], 12)
    assert told["hours"] == pytest.approx(12 / 3600)
    assert told["counts"][0]["category"] == "normal"
    assert told["counts"][1] == {
        "category": "fall", "train videos": "2", "train minutes": "0.0", "val videos": "2", "val minutes": "0.0",
        "test videos": "2", "test minutes": "0.0",
    }  # fmt: skip
    assert main(["check", str(data), "--no-places", "--no-cost"]) == 0
    assert "nothing is wrong; next: refinevad train" in capsys.readouterr().out


def _copy_into_test(root: Path) -> None:
    shutil.copy(root / "train/fall/0.mp4", root / "test/fall/9.mp4")


def _copy_under_other_label(root: Path) -> None:
    shutil.copy(root / "train/fall/0.mp4", root / "train/normal/9.mp4")


def _seen_once(root: Path) -> None:
    video(root / "train/fire/0.mp4", 99)


def _in_test_alone(root: Path) -> None:
    video(root / "test/fire/0.mp4", 99)


def _twins(root: Path) -> None:
    for number in range(2):
        video(root / f"train/Fall/{number}.mp4", 90 + number)


def _unreadable(root: Path) -> None:
    (root / "val/normal/0.mp4").write_bytes(b"\0" * 1000)


def _empty(root: Path) -> None:
    (root / "train/normal/0.mp4").write_bytes(b"")


def _no_normal(root: Path) -> None:
    shutil.rmtree(root / "train/normal")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_copy_into_test, ("byte for byte", "train/fall/0.mp4 = test/fall/9.mp4")),
        (_copy_under_other_label, ("under two labels", "train/normal/9.mp4")),
        (_seen_once, ("category 'fire' has a single training video",)),
        (_in_test_alone, ("category 'fire' is in the test split and in no training video",)),
        (_twins, ("'Fall' and 'fall' are learnt apart",)),
        (_unreadable, ("cannot be read", "val/normal/0.mp4")),
        (_empty, ("cannot be read", "empty (0 bytes)", "train/normal/0.mp4")),
        (_no_normal, ("no normal videos",)),
    ],
)
def test_what_is_wrong_is_told_by_name(
    spoil: Any, words: tuple[str, ...], data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(data)
    code, told = checked(data, capsys)
    assert code == 1
    assert any(all(word in sentence for word in words) for sentence in told["wrong"]), told["wrong"]
    assert main(["check", str(data), "--no-places", "--no-cost"]) == 1
    out = capsys.readouterr().out
    assert "will go wrong:" in out
    assert "nothing is wrong" not in out


def test_what_to_keep_in_mind(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All falls at 10 Hz and another size, a video of five frames, no truth, a file in no split."""
    for place, path in enumerate(sorted(data.glob("*/fall/*.mp4"))):
        video(path, 200 + place, frames=40, rate=10, size=(64, 48))
    video(data / "train/normal/short.mp4", 300, frames=5)
    video(data / "astray.mp4", 301)
    (data / "events.csv").unlink()
    code, told = checked(data, capsys)
    assert code == 0
    mind = "\n".join(told["mind"])
    assert "frame rates: 25 Hz (7 videos), 10 Hz (6 videos)" in mind
    assert "the frame rate alone tells 100% of the videos' labels" in mind
    assert "the size alone tells 100% of the videos' labels" in mind
    assert "1 videos are shorter than a segment of 0.64 s: train/normal/short.mp4" in mind
    assert "lengths differ by kind: normal videos last 1 s" in mind
    assert "no events.csv" in mind
    assert "astray.mp4" in mind


def test_truth_is_never_opened(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / "events.csv").write_bytes(b"\xff\0 no table at all")
    assert checked(data, capsys)[0] == 0


def test_what_a_value_tells_is_held_against_the_commoner_label() -> None:
    """Six of eight normal: the commoner label gets 0.75; sizes that part them get 1.0; sizes that do not, nothing."""
    parted = [("a", False)] * 6 + [("b", True)] * 2
    assert guessable(parted) == 1.0
    assert guessable([("a", False)] * 3 + [("b", False)] * 3 + [("a", True), ("b", True)]) is None
    assert guessable(parted[:7]) is None  # too few to say
    assert guessable([("a", False)] * 8) is None


def test_folds_and_several_labels_are_counted(tmp_path: Path) -> None:
    rows = ["path,labels,fold"]
    for number in range(4):
        video(tmp_path / f"{number}.mp4", number)
        rows.append(f"{number}.mp4,{'fall;fire' if number % 2 else 'normal'},{number // 2}")
    (tmp_path / "videos.csv").write_text("\n".join(rows))
    facts = read_facts(tmp_path)
    table = counts(facts.videos)
    assert table[0] == ("category", "fold 0 videos", "fold 0 minutes", "fold 1 videos", "fold 1 minutes")
    assert [row[0] for row in table[1:]] == ["normal", "fall", "fire"]
    assert table[2][1::2] == ("1", "1")
    assert find(facts).wrong == ()


def test_a_folder_of_features_is_looked_at_by_what_it_remembers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index = FeatureIndex(tmp_path, [], "made up", str(tmp_path / "gone"))
    for number in range(4):
        item = Item(f"{number}.mp4", ("fall",) * (number % 2), "train" if number < 2 else "test")
        source = {
            "name": item.path, "width": 64, "height": 48, "rate_hz": 25.0, "duration_s": 90.0, "bytes": 7,
            "sampled_sha256": "same" if number % 2 else str(number),
        }  # fmt: skip
        provenance = Provenance({"name": "made up"}, {"frames": 16}, {}, source, {"all": (0, 2)})
        timeline = Timeline.uniform(16, 25.0, SegmentRule(frames=16))
        save_features(index.path(item), Features(np.ones((1, 2), dtype=np.float32), timeline, provenance))
        index.items.append(item)
    index.save()
    code, told = checked(tmp_path, capsys)
    assert code == 1
    assert told["hours"] == pytest.approx(4 * 90 / 3600)
    assert any("1.mp4 = 3.mp4" in sentence for sentence in told["wrong"])


def test_no_data_set_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path / "absent")]) == 2
    assert main(["check", str(tmp_path)]) == 2
    assert "no videos found" in capsys.readouterr().err
    assert main(["check", str(tmp_path), "--workers", "0"]) == 2


def looks(kind: int, spread: float = 0.0) -> np.ndarray:
    """Five pictures of a place: one direction of three, or pictures that each show another place."""
    values = np.zeros((5, 3), dtype=np.float32)
    values[:, kind] = 1.0
    if spread:
        values = np.eye(3, dtype=np.float32)[[0, 1, 2, 0, 1]]
    return values


def test_places_that_splits_share_are_told() -> None:
    """Places 0 and 1 in training, 1 and 2 in the test: one place, two videos of training and one of the test."""
    train = {Item(f"t{n}", ("x",) * (n % 2), "train"): looks(n // 2) for n in range(4)}
    test = {Item(f"e{n}", ("x",) * (n % 2), "test"): looks(1 + n) for n in range(2)}
    told = [*told_of_places({**train, **test})]
    assert told[0] == "places: about 3, by how the videos look"
    assert told[1] == (
        "1 of 2 videos of test and 2 of 4 videos of train show places of both (1): "
        "figures on them are not of new cameras"
    )
    assert len(told) == 2  # four of six videos are from places that show both kinds


def test_places_that_give_the_label_away_and_those_that_cannot_be_told() -> None:
    by_label = {Item(f"t{n}", ("x",) * (n % 2), "train"): looks(n % 2) for n in range(6)}
    assert "the place gives the label away" in [*told_of_places(by_label)][-1]
    mixed = {Item(f"t{n}", (), "train"): looks(0, 1.0) for n in range(4)}
    assert [*told_of_places(mixed)] == [
        "places: videos join several places (cuts), so which splits share some cannot be told"
    ]
    assert [*told_of_places({})] == []


def test_the_cost_is_of_all_videos_by_what_is_measured(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At 30 s a second of video, 12 s of it take 3 minutes by two processes; of features nothing is extracted."""
    monkeypatch.setattr(cost, "seconds_a_second", lambda path: 30.0)
    monkeypatch.setattr(cost, "_training_s", lambda segments, categories: 120.0)
    found = cost.measure(read_facts(data), 2)
    assert (found.extract_min, found.train_min) == (pytest.approx(3.0), 2.0)
    assert "5 min (3.0 for features by 2 processes, 2.0 for the models)" in found.sentence


def test_places_and_cost_are_measured_on_real_parts(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime", reason="the default encoder needs the extra `video`")
    assert main(["check", str(data), "--json", "-"]) == 0
    mind = json.loads(capsys.readouterr().out)["mind"]
    assert any(sentence.startswith("places: about") for sentence in mind)
    assert any(sentence.startswith("expected cost of train on this machine: ") for sentence in mind)
    assert cost._training_s([20, 20], 1) > 0


def test_published_features_have_no_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from refinevad.apps.checking import facts

    (tmp_path / "dataset.json").write_text("{}")
    index = FeatureIndex(tmp_path, [], "x", ".", published=PublishedSet(".", ".", 25.0, 4, 0, None, None, {}))
    monkeypatch.setattr(facts.FeatureIndex, "open", lambda path: index)
    with pytest.raises(InputError, match="features that others published"):
        read_facts(tmp_path)
