"""Each row of truth is a video's or it is said: figures are never computed as if a row were not there."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from fakes import replaced
from refinevad.apps.cli import main
from refinevad.datasets.dataset import Item
from refinevad.errors import InputError
from refinevad.features.store import Features, Provenance
from refinevad.files.names import nearest
from refinevad.judging.set_truth import read_truth
from refinevad.judging.truth_files import TimedEvent, read_events_csv
from refinevad.judging.truth_rows import match_events
from refinevad.timeline import SegmentRule, Timeline
from videos import write_video

pytestmark = pytest.mark.usefixtures("small_encoder")

torch.set_num_threads(1)
HEADER = "path,start_s,end_s,category\n"
LISTED = {"test/fight/f6.mp4": ("fight",), "test/fight/f7.mp4": ("fight", "fall"), "train/fight/f1.mp4": ("fight",)}
JUDGED = {path: Timeline.uniform(650, 25.0, SegmentRule(frames=16)) for path in LISTED if path.startswith("test")}
GOOD = "test/fight/f6.mp4,1.0,3.0,fight\ntest/fight/f7.mp4,1.0,3.0,fight\ntrain/fight/f1.mp4,90,95,fight\n"


def write(folder: Path, rows: str, encoding: str = "utf-8") -> Path:
    path = folder / "events.csv"
    path.write_text(HEADER + rows, encoding=encoding)
    return path


def match(path: Path, lenient: bool = False) -> tuple[list[tuple[str, float]], tuple[str, ...]]:
    found = match_events(path, read_events_csv(path), LISTED, JUDGED, lenient)
    return [(event.path, event.start_s) for event in found.events], found.notes


def test_rows_that_fit_are_kept_whatever_split_they_are_of(tmp_path: Path) -> None:
    rows, notes = match(write(tmp_path, GOOD))
    assert rows == [("test/fight/f6.mp4", 1.0), ("test/fight/f7.mp4", 1.0), ("train/fight/f1.mp4", 90.0)]
    assert notes == (f"{tmp_path / 'events.csv'}: 1 videos have a label without a row: test/fight/f7.mp4",)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("test/fight/f06.mp4,1,3,fight", ["line 2", "no video 'test/fight/f06.mp4' (nearest: test/fight/f6.mp4)"]),
        (r"test\fight\f6.mp4,1,3,fight", ["line 2", r"test\\fight\\f6.mp4", "nearest: test/fight/f6.mp4"]),
        ("./test/fight/f6.mp4,1,3,fight", ["line 2", "nearest: test/fight/f6.mp4"]),
        ("/home/me/set/test/fight/f6.mp4,1,3,fight", ["line 2", "nearest: test/fight/f6.mp4"]),
        ("C:\\set\\test\\fight\\f6.mp4,1,3,fight", ["line 2", "nearest: test/fight/f6.mp4"]),
        ("test/fight/f6,1,3,fight", ["line 2", "nearest: test/fight/f6.mp4"]),
        ("f6.mp4,1,3,fight", ["line 2", "nearest: test/fight/f6.mp4"]),
        ("test/fight/F6.MP4,1,3,fight", ["line 2", "nearest: test/fight/f6.mp4"]),
        ("test/fight/f6.mp4,1000,3000,fight", ["line 2", "1000 to 3000 s", "ends at 26.00 s", "milliseconds"]),
        ("test/fight/f6.mp4,30,31,fight", ["line 2", "ends at 26.00 s"]),
        ("test/fight/f6.mp4,26,26.5,fight", ["line 2", "covers no frame"]),
        ("test/fight/f6.mp4,1.001,1.002,fight", ["line 2", "covers no frame"]),
        ("test/fight/f6.mp4,1,3,fall", ["line 2", "'fall' in test/fight/f6.mp4, which is labelled fight"]),
    ],
)
def test_a_row_that_fits_no_video_is_refused(row: str, words: list[str], tmp_path: Path) -> None:
    """Alone it leaves its video without a row; beside a row that fits, it would pass unseen."""
    for rest in ("test/fight/f7.mp4,1,3,fight\n", GOOD):
        path = write(tmp_path, f"{row}\n{rest}")
        with pytest.raises(InputError) as caught:
            match(path)
        assert all(word in str(caught.value) for word in [str(path), "--lenient", *words])
        assert ("test/fight/f6.mp4 is labelled fight, yet has no row" in str(caught.value)) == (rest != GOOD)


def test_a_row_of_a_normal_video_is_refused_for_what_it_is(tmp_path: Path) -> None:
    """People list every video, with 0 to its end, or -1."""
    file = write(tmp_path, GOOD + "test/normal/n.mp4,0,26,Normal\n")
    timeline = next(iter(JUDGED.values()))
    listed, judged = {**LISTED, "test/normal/n.mp4": ()}, {**JUDGED, "test/normal/n.mp4": timeline}
    with pytest.raises(InputError, match=r"n\.mp4 is normal, where nothing happens: it needs no row"):
        match_events(file, read_events_csv(file), listed, judged)
    assert len(match_events(file, read_events_csv(file), listed, judged, lenient=True).events) == 3


def test_a_long_cell_is_told_in_short(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read_events_csv(write(tmp_path, f"test/fight/f6.mp4,{'1' * 5000},3,fight\n"))
    assert len(str(caught.value)) < 300 + len(str(tmp_path))


def test_a_video_without_a_row_and_a_row_twice_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"f7\.mp4 is labelled fight and fall, yet has no row"):
        match(write(tmp_path, "test/fight/f6.mp4,1,3,fight\n"))
    with pytest.raises(InputError, match="line 5: repeats line 2"):
        match(write(tmp_path, GOOD + "test/fight/f6.mp4,1,3.00,fight\n"))


def test_many_rows_are_counted_and_the_first_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 6.*; and 4 more"):
        match(write(tmp_path, "".join(f"test/x/{i}.mp4,1,3,fight\n" for i in range(9)) + GOOD))


def test_lenient_leaves_rows_aside_and_counts_them(tmp_path: Path) -> None:
    rows, notes = match(write(tmp_path, "test/fight/f6.mp4,1,3,fight\nf7,1,3,fight\nx,1,3,fight\n"), lenient=True)
    assert rows == [("test/fight/f6.mp4", 1.0)]
    assert "2 rows are left aside: line 3" in notes[0]
    assert "1 videos are judged as if nothing happened: test/fight/f7.mp4" in notes[1]


def test_events_that_are_cut_or_overlap_are_told(tmp_path: Path) -> None:
    _, notes = match(write(tmp_path, GOOD + "test/fight/f7.mp4,2,26.9,fight\ntest/fight/f7.mp4,2,4,fall\n"))
    assert "1 events end up to 1 s after their videos" in notes[0]
    assert "1 rows overlap another of the same category" in notes[1]
    assert notes[1].endswith("line 5")


def test_accents_may_be_written_either_way(tmp_path: Path) -> None:
    """U+00E9, and e with U+0301: they look alike, and file systems differ."""
    path = write(tmp_path, "test/fight/caf\u00e9.mp4,1,3,fight\n")
    name = "test/fight/cafe\u0301.mp4"
    found = match_events(path, read_events_csv(path), {name: ("fight",)}, {name: next(iter(JUDGED.values()))})
    assert found.events == (TimedEvent(name, 1.0, 3.0, "fight"),)


def test_names_that_differ_in_how_accents_are_written_keep_their_rows(tmp_path: Path) -> None:
    """Both may lie side by side on Linux: the one that is written so is meant."""
    names = ["test/fight/caf\u00e9.mp4", "test/fight/cafe\u0301.mp4"]
    path = write(tmp_path, "".join(f"{name},1,3,fight\n" for name in names))
    judged = dict.fromkeys(names, next(iter(JUDGED.values())))
    found = match_events(path, read_events_csv(path), dict.fromkeys(names, ("fight",)), judged)
    assert [event.path for event in found.events] == names


def test_a_category_with_accents_is_one_however_they_are_written(tmp_path: Path) -> None:
    path = write(tmp_path, "a.mp4,1,3,bagarre\u0301\n")
    assert read_events_csv(path, ["bagarr\u00e9"])[0].category == "bagarr\u00e9"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path;start_s;end_s;category\na.mp4;1;2;fight\n", "line 1: separated by semicolons"),
        ("path\tstart_s\tend_s\tcategory\n", "line 1: separated by tabs"),
        ("path,start_s,end_s,category,path\n", "line 1: column 'path' stands twice"),
        (HEADER + "a,b.mp4,1,2,fight\n", "line 2: 5 values for 4 columns"),
        ("", "line 1: no column 'path'"),
    ],
)
def test_tables_of_another_form_are_refused(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(text)
    with pytest.raises(InputError, match=words):
        read_events_csv(tmp_path / "events.csv")


def test_a_header_in_another_case_with_blanks_and_a_byte_order_mark(tmp_path: Path) -> None:
    text = "\ufeffPath, Start_S ,END_S,Category,,\r\n\r\na.mp4,1,2,fight,,\r\n,,,,,\r\n"
    (tmp_path / "events.csv").write_bytes(text.encode())
    (event,) = read_events_csv(tmp_path / "events.csv")
    assert (event, event.line) == (TimedEvent("a.mp4", 1.0, 2.0, "fight"), 3)


def test_nearest_names() -> None:
    names = ["a/one.mp4", "b/one.mp4", "c/two.mp4"]
    assert nearest("two", names) == "c/two.mp4"
    assert nearest("/x/a/one.mp4", names) == "a/one.mp4"
    assert nearest("A\\ONE.mp4", names) == "a/one.mp4"
    assert nearest("c/twoo.mp4", names) == "c/two.mp4"
    assert nearest("zzz", names) is None


# --- whole commands --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """(set, run): falls and normal videos of 1.6 s, two falls to be tested."""
    root = tmp_path_factory.mktemp("set")
    for split, count in (("train", 2), ("val", 1), ("test", 2)):
        for label, size in (("normal", (32, 32)), ("fall", (48, 32))):
            for number in range(count):
                write_video(root / "set" / split / label / f"{number}.mkv", frames=40, codec="mpeg4", size=size)
    (root / "set" / "events.csv").write_text(HEADER + "".join(f"test/fall/{i}.mkv,0.2,1.0,fall\n" for i in (0, 1)))
    with replaced():
        assert main(["train", str(root / "set"), "--out", str(root / "run"), "--epochs", "1", "--workers", "1"]) == 0
    return root / "set", root / "run"


@pytest.fixture
def evaluated(trained: tuple[Path, Path], tmp_path: Path) -> Callable[..., int]:
    """Evaluate on a copy of the set after `change(copy)`."""
    data, run = trained
    shutil.copytree(data, tmp_path / "set")

    def evaluate(change: Callable[[Path], object], *more: str) -> int:
        change(tmp_path / "set")
        arguments = ["evaluate", str(run), "--data", str(tmp_path / "set"), "--workers", "1", *more]
        return main([*arguments, "--json", str(tmp_path / "figures.json")])

    return evaluate


def test_one_typo_ends_evaluate_with_the_row(
    evaluated: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def typo(data: Path) -> None:
        (data / "events.csv").write_text(HEADER + "test/fall/0.mkv,0.2,1.0,fall\ntest/fall/01.mkv,0.2,1.0,fall\n")

    assert evaluated(typo) == 2
    assert "line 3: the set has no video 'test/fall/01.mkv' (nearest: test/fall/1.mkv)" in capsys.readouterr().err
    assert not (tmp_path / "figures.json").exists()
    assert evaluated(typo, "--lenient") == 0
    assert "1 rows are left aside" in capsys.readouterr().err
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert len(figures["notes"]) == 2
    assert figures["anomalous_frames"] == 20  # of one video: 0.2 to 1.0 s at 25 Hz


def json_truth(data: Path, names: list[str], columns: tuple[str, ...] = ("Normal", "Falling")) -> None:
    """test_truth.json in place of events.csv: each video of `names` with its label, "normal/0" or "fall/0"."""
    (data / "events.csv").unlink(missing_ok=True)
    entries = []
    for name in names:
        anomalous = not name.startswith("test/normal")
        spans = [[5, 25]] if anomalous else []
        entries.append(
            {
                "name": name,
                "label": columns[1] if anomalous else columns[0],
                "frames": 40,
                "segments": spans,
                "segment_labels": [columns[1]] * len(spans),
                "anomalous_frames": spans,
            }
        )
    (data / "test_truth.json").write_text(json.dumps({"columns": columns, "videos": entries}))


TESTED = ["test/normal/0.mkv", "test/normal/1.mkv", "test/fall/0.mkv", "test/fall/1.mkv"]


def test_truth_json_of_no_video_or_of_two(evaluated: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert evaluated(lambda data: json_truth(data, TESTED)) == 0
    assert evaluated(lambda data: json_truth(data, [name.removesuffix(".mkv") for name in TESTED])) == 0
    capsys.readouterr()
    assert evaluated(lambda data: json_truth(data, [*TESTED[:3], "test/fall/11"])) == 2
    assert "has no video test/fall/1" in capsys.readouterr().err
    assert evaluated(lambda data: json_truth(data, [*TESTED, "test/fall/7"])) == 2
    assert "'test/fall/7', a video that the set lacks" in capsys.readouterr().err
    assert evaluated(lambda data: json_truth(data, [*TESTED, "test/fall/7"]), "--lenient") == 0
    assert evaluated(lambda data: json_truth(data, ["0", "1"])) == 2  # of four videos that are called 0 and 1
    capsys.readouterr()
    assert evaluated(lambda data: json_truth(data, [*TESTED[:2], "test/fall/0.mkv", "test/fall/1.mkv"][::-1])) == 0


def test_truth_json_that_contradicts_the_labels(
    evaluated: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    def contradict(data: Path) -> None:
        json_truth(data, TESTED)
        content = json.loads((data / "test_truth.json").read_text())
        content["videos"][0] |= {"label": "Falling", "anomalous_frames": [[0, 5]]}
        (data / "test_truth.json").write_text(json.dumps(content))

    assert evaluated(contradict) == 2
    assert "test/normal/0.mkv is labelled normal, yet Falling there" in capsys.readouterr().err


def test_a_category_the_model_does_not_know(evaluated: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    def rename(data: Path) -> None:
        (data / "test" / "fall").rename(data / "test" / "falls")
        (data / "events.csv").write_text(HEADER + "".join(f"test/falls/{i}.mkv,0.2,1,falls\n" for i in (0, 1)))

    assert evaluated(rename) == 2
    assert "labelled 'falls', which the model does not know; it knows fall (nearest: fall)" in capsys.readouterr().err


def test_metrics_checks_the_rows_alike(
    trained: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(trained[0], tmp_path / "set")
    scores, events = tmp_path / "scores.npz", tmp_path / "set" / "events.csv"
    np.savez(scores, **{name: np.linspace(0, 1, 3) for name in TESTED})
    command = ["metrics", "--predictions", str(scores), "--truth", str(events)]
    assert main(command) == 0
    events.write_text(HEADER + "test/fall/0.mkv,0.2,1.0,fall\n./test/fall/1.mkv,0.2,1.0,fall\n")
    assert main(command) == 2
    assert "line 3: the set has no video './test/fall/1.mkv' (nearest: test/fall/1.mkv)" in capsys.readouterr().err
    assert main([*command, "--lenient"]) == 0


def test_columns_of_the_truth_in_another_order_are_put_in_the_models(tmp_path: Path) -> None:
    span = {"frames": 32, "segments": [[0, 16]], "anomalous_frames": [[0, 16]]}
    entries = [{"name": name, "label": name, "segment_labels": [name], **span} for name in ("fire", "fall")]
    (tmp_path / "test_truth.json").write_text(json.dumps({"columns": ["normal", "fire", "fall"], "videos": entries}))
    items = [Item(f"test/{name}/{name}.mp4", (name,), "test") for name in ("fall", "fire")]
    timeline = Timeline.uniform(32, 30.0, SegmentRule(frames=16))
    features = [Features(np.zeros((2, 1), np.float32), timeline, Provenance({}, {}))] * 2
    truth = read_truth(tmp_path, items, features, ("fall", "fire"))
    assert truth.columns == ("normal", "fall", "fire")
    assert [video.spans[0].category for video in truth.videos] == ["fall", "fire"]
    with pytest.raises(InputError, match=r"the model knows 'fires', test_truth\.json does not \(nearest: fire\)"):
        read_truth(tmp_path, items, features, ("fall", "fires"))


def test_truth_in_frames_is_judged_by_the_features_own_segments(tmp_path: Path) -> None:
    """Scores of 8 frames each are not taken for scores of 16."""
    entry = {"name": "a", "label": "fire", "frames": 32, "segments": [], "segment_labels": []}
    content = {"columns": ["normal", "fire"], "videos": [{**entry, "anomalous_frames": [[8, 16]]}]}
    (tmp_path / "test_truth.json").write_text(json.dumps(content))
    timeline = Timeline.uniform(32, 20.0, SegmentRule(frames=8))
    features = Features(np.zeros((4, 1), np.float32), timeline, Provenance({}, {}))
    (video,) = read_truth(tmp_path, [Item("test/fire/a.mp4", ("fire",), "test")], [features], ("fire",)).videos
    assert video.timeline.frame_bounds.tolist() == [0, 8, 16, 24, 32]
    assert video.events_s == ((pytest.approx(0.4), pytest.approx(0.8)),)


def test_an_anomalous_video_that_official_annotation_lacks_is_not_judged_as_normal(tmp_path: Path) -> None:
    """MSAD's file names anomalous videos alone."""
    (tmp_path / "anomaly_annotation.csv").write_text(
        "name,starting frame of anomaly,ending frame of anomaly\nFire_1.mp4,3,9\nFire_22.mp4,3,9\n"
    )
    items = [Item(f"test/Fire_{number}.npy", ("Fire",), "test") for number in (1, 2)]
    timeline = Timeline.uniform(32, 30.0, SegmentRule(frames=16))
    features = [Features(np.zeros((2, 1), np.float32), timeline, Provenance({}, {}))] * 2
    with pytest.raises(InputError, match=r"test/Fire_2\.npy is labelled Fire, yet normal there"):
        read_truth(tmp_path, items, features, ("Fire",))
    truth = read_truth(tmp_path, items, features, ("Fire",), lenient=True)
    assert "judged all the same" in truth.notes[0]
    assert "1 of its videos are not here and not judged: Fire_22" in truth.notes[1]
