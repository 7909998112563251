"""Temporal truth: read, checked, and turned into frames."""

import json
from pathlib import Path

import numpy as np
import pytest

from refinevad.errors import InputError
from refinevad.judging.localisation import TrueSpan
from refinevad.judging.truth import merged, ranges_of
from refinevad.judging.truth_files import TimedEvent, folder_truth, read_events_csv, read_truth_json
from refinevad.timeline import SegmentRule, Timeline

VIDEO = {
    "name": "v",
    "label": "fire",
    "frames": 64,
    "segments": [[10, 70]],
    "segment_labels": ["fire"],
    "anomalous_frames": [[10, 64]],
}


def _write(path: Path, **changes: object) -> Path:
    path.write_text(json.dumps({"columns": ["normal", "fire", "fight"], "videos": [{**VIDEO, **changes}]}))
    return path


def test_ranges_are_clipped_joined_and_ordered() -> None:
    assert merged([(30, 40), (5, 10), (10, 12), (35, 99), (70, 80)], frames=50) == ((5, 12), (30, 50))
    assert merged([(-3, 2), (4, 4)], frames=50) == ((0, 2),)
    assert ranges_of(np.array([True, False, True, True])) == ((0, 1), (2, 4))
    assert ranges_of(np.zeros(3, dtype=bool)) == ()


def test_truth_json_is_read(tmp_path: Path) -> None:
    truth = read_truth_json(_write(tmp_path / "t.json"))
    (video,) = truth.videos
    assert (truth.categories, truth.frames, truth.anomalous_frames) == (("fire", "fight"), 64, 54)
    assert video.labels == ("fire",)
    assert video.spans == (TrueSpan(10, 70, "fire"),)  # as written: `legacy` needs it past the end
    assert video.timeline.segments == 4
    assert video.events_s == ((pytest.approx(10 / 30), pytest.approx(64 / 30)),)


@pytest.mark.parametrize(
    ("label", "labels"), [("normal", ()), ("Normal", ()), ("A", ()), ("fight-fire-0", ("fight", "fire"))]
)
def test_labels(tmp_path: Path, label: str, labels: tuple[str, ...]) -> None:
    truth = read_truth_json(_write(tmp_path / "t.json", label=label, anomalous_frames=[]))
    assert truth.videos[0].labels == labels
    assert truth.videos[0].normal == (not labels)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"label": "flood"}, "'flood' is not one of fire, fight"),
        ({"label": 3}, '"label"'),
        ({"frames": 0}, '"frames"'),
        ({"frames": 2.5}, '"frames"'),
        ({"frames": 10**9}, "at most 20,000,000"),
        ({"frames": 2**63}, "at most 20,000,000"),
        ({"frames": 10**300}, "at most 20,000,000"),
        ({"anomalous_frames": [[5, 5]]}, "does not end after"),
        ({"anomalous_frames": [[5]]}, "not a pair"),
        ({"anomalous_frames": None}, "must be a list"),
        ({"segment_labels": []}, "one name for each of the 1 segments"),
        ({"label": "normal"}, "labelled normal, yet"),
        ({"segment_labels": ["fires"]}, "'fires', which is no column (nearest: fire)"),
        ({"anomalous_frames": [[64, 65]]}, "frame 64 is marked, but the last of its 64 frames is 63"),
        ({"segments": [[64, 70]]}, "frame 64 is marked"),
        ({"name": None}, '"name"'),
    ],
)
def test_a_wrong_video_is_named(tmp_path: Path, changes: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match="video 1") as error:
        read_truth_json(_write(tmp_path / "t.json", **changes))
    assert said in str(error.value)


def test_text_that_is_not_json_is_placed(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    path.write_text('{"columns":\n [1,}')
    with pytest.raises(InputError, match="line 2, column 5"):
        read_truth_json(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_truth_json(tmp_path / "absent.json")
    path.write_text('{"columns": [], "videos": [{"name": "a", "name": "b"}]}')
    with pytest.raises(InputError, match="'name' stands twice"):
        read_truth_json(path)
    path.write_text('{"columns": ["a"], "videos": []}', encoding="utf-8-sig")
    with pytest.raises(InputError, match="at least two names"):
        read_truth_json(path)
    path.write_text(json.dumps({"columns": ["normal", "fire"], "videos": [VIDEO, VIDEO]}))
    with pytest.raises(InputError, match="'v' stands twice"):
        read_truth_json(path)


def test_events_are_read(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("category,path,start_s,end_s,note\nfire, a.mp4 ,1.5,2,x\n", encoding="utf-8-sig")
    assert read_events_csv(path) == (TimedEvent("a.mp4", 1.5, 2.0, "fire"),)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a.mp4,x,2,fire", "line 3, column start_s: 'x' is not a number"),
        ("a.mp4,3,2,fire", "line 3, column end_s: 2 s is not after"),
        ("a.mp4,2,2,fire", "line 3, column end_s"),
        ("a.mp4,-1,2,fire", "line 3, column start_s"),
        ("a.mp4,1,nan,fire", "line 3, column end_s"),
        ("a.mp4,1,2_5,fire", "line 3, column end_s: '2_5' is not a number"),
        (",1,2,fire", "line 3, column path: empty"),
        ("a.mp4,1,2", "line 3, column category: empty"),
        ("a.mp4,1,2,flood", "line 3, column category: 'flood' is not one of fire"),
    ],
)
def test_a_wrong_event_is_placed(tmp_path: Path, row: str, said: str) -> None:
    path = tmp_path / "events.csv"
    path.write_text(f"path,start_s,end_s,category\na.mp4,0,1,fire\n{row}\n")
    with pytest.raises(InputError) as error:
        read_events_csv(path, categories=["fire"])
    assert said in str(error.value)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    path = tmp_path / "events.csv"
    path.write_text("path,start,end_s,category\n")
    with pytest.raises(InputError, match="line 1: no column 'start_s'"):
        read_events_csv(path)


def test_a_folders_events_become_frames() -> None:
    timeline = Timeline.uniform(100, 25.0, SegmentRule(frames=16))
    events = [TimedEvent("a", 1.0, 2.0, "fire"), TimedEvent("a", 1.6, 3.0, "fight"), TimedEvent("z", 0.0, 1.0, "fire")]
    columns = ("normal", "fire", "fight")
    truth = folder_truth(events, {"a": timeline, "b": timeline}, {"a": ("fire", "fight"), "b": ()}, columns)
    first, second = truth.videos
    assert first.anomalous == ((25, 75),)
    assert first.spans == (TrueSpan(25, 50, "fire"), TrueSpan(40, 75, "fight"))
    assert second.normal
    assert second.anomalous == ()
    with pytest.raises(InputError, match="labelled fire"):
        folder_truth(events, {"a": timeline}, {"a": ("fire",)}, columns)


def test_real_events_lie_in_their_folders(data_root: Path) -> None:
    events = read_events_csv(data_root / "survfights" / "events.csv", categories=["fighting"])
    assert events[0] == TimedEvent("train/fighting/v001.mp4", 14.12, 18.16, "fighting")
    assert {Path(event.path).parts[1] for event in events} == {"fighting"}
