"""Recordings with holes: no time passes where nothing is shown."""

import json
from pathlib import Path

import numpy as np
import pytest

from fakes import MeanEncoder, replaced
from field_cases import case, features_of, make_run, read, told
from refinevad.apps.cli import main
from refinevad.checkpoint import Checkpoint
from refinevad.detector import Detector
from refinevad.encoders.choice import EncoderChoice
from refinevad.features.store import load_features, save_features
from refinevad.judging.alerts import Curve, extract_events
from refinevad.judging.truth_files import TimedEvent, folder_truth
from refinevad.scoring.events import EventRule, calibrate, find_events
from refinevad.scoring.windows import WindowRule
from refinevad.streaming import StreamingDetector
from refinevad.timeline import Timeline
from refinevad.video.reading import FrameReader
from videos import flat, sliding, write_video


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run"))


@told
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".flv", ".ts"])
@pytest.mark.parametrize("options", [{"bf": "0"}, {"bf": "3"}], ids=str)
def test_a_pause_is_no_frames_time(suffix: str, options: dict[str, str], tmp_path: Path) -> None:
    """Two minutes in the midst: what lies before is the same to the bit, and ends with its last picture."""
    pictures = sliding(200, (96, 64))
    whole = write_video(tmp_path / f"w{suffix}", pictures[:96], size=(96, 64), options=options)
    times = [index / 25 + 120 * (index >= 96) for index in range(200)]
    path = write_video(tmp_path / f"v{suffix}", pictures, size=(96, 64), times_s=times, options=options)
    reader, before = read(path), read(whole)
    line = reader.timeline
    assert line.stretches() == [(0, 6), (6, 13)]
    np.testing.assert_allclose(line.ends_s[5:7], [3.84, 123.84 + 0.64], atol=2e-3)
    assert (line.duration_s, line.shown_s) == (pytest.approx(128.0, abs=2e-3), pytest.approx(8.0, abs=4e-3))
    assert reader.info.rate_hz == pytest.approx(25.0)
    (note,) = reader.notes
    assert note.startswith("no pictures from 3.8 to 123.8 s in ")
    np.testing.assert_array_equal(features_of(path).values[:6], features_of(whole).values)
    assert before.notes == ()


@told
@pytest.mark.parametrize("hole_s", [20, 7200])
def test_an_mp4_in_pieces_has_its_own_rate_whatever_pauses_there_are(hole_s: int, tmp_path: Path) -> None:
    """It counts no frames, so that FFmpeg's only rate is frames by length: one in 24 s, and so long a last frame."""
    times = [index / 25 + hole_s * (index >= 75) for index in range(150)]
    pieces = {"movflags": "frag_keyframe+empty_moov"}
    path = write_video(
        tmp_path / "v.mp4",
        flat([100] * 150),
        times_s=times,
        size=(32, 32),
        options={"bf": "0", "g": "25"},
        container_options=pieces,
    )
    reader = read(path)
    assert reader.info.rate_hz == pytest.approx(25.0)
    assert reader.timeline.duration_s == pytest.approx(hole_s + 6.0, abs=2e-3)
    assert reader.notes == (f"no pictures from 3.0 to {hole_s + 3}.0 s in {path}; nothing is scored there",)


@told
def test_an_event_ends_where_pictures_end(tmp_path: Path) -> None:
    times = [index / 25 + 7200 * (index >= 50) for index in range(100)]
    path = write_video(tmp_path / "v.mp4", flat([100] * 100), times_s=times, size=(32, 32), options={"bf": "0"})
    line = read(path).timeline
    scores = np.full(line.segments, 0.9)
    events = find_events(scores, scores[:, None], ("fall",), line, EventRule(0.5, 0.4, merge_gap_s=1e6))
    assert [(event.start_s, event.end_s) for event in events] == [
        pytest.approx((0.0, 2.0), abs=1e-3),
        pytest.approx((7202.0, 7204.0), abs=1e-3),
    ]
    assert extract_events(Curve.of(scores, line), 0.5) == [pytest.approx((e.start_s, e.end_s, 0.9)) for e in events]
    (truth,) = folder_truth(
        [TimedEvent("v.mp4", 1.0, 7203.0, "fall")], {"v.mp4": line}, {"v.mp4": ("fall",)}, ("normal", "fall")
    ).videos
    np.testing.assert_allclose(truth.events_s, [(1.0, 2.0), (7202.0, 7203.0)], atol=1e-3)


@told
def test_four_seconds_with_a_hole_vouch_for_no_threshold(tmp_path: Path) -> None:
    times = [index / 25 + 7200 * (index >= 50) for index in range(100)]
    path = write_video(tmp_path / "v.mp4", flat([100] * 100), times_s=times, size=(32, 32), options={"bf": "0"})
    line = read(path).timeline
    found = calibrate([(np.linspace(0.1, 0.2, line.segments), line)], 6.0)
    assert found.normal_hours == pytest.approx(4 / 3600)
    assert not found.certified


@told
def test_features_with_holes_are_stored_whole(tmp_path: Path) -> None:
    times = [index / 25 + 60 * (index >= 50) for index in range(100)]
    made = features_of(write_video(tmp_path / "v.mkv", flat([100] * 100), times_s=times, size=(32, 32)))
    save_features(tmp_path / "v.safetensors", made)
    found = load_features(tmp_path / "v.safetensors")
    np.testing.assert_array_equal(found.timeline.ends_s, made.timeline.ends_s)
    assert found.timeline.stretches() == made.timeline.stretches() == [(0, 4), (4, 8)]
    assert found.provenance.source["notes"] == made.provenance.source["notes"]


@told
def test_windows_in_seconds_score_each_stretch_by_itself(run: Path, tmp_path: Path) -> None:
    pictures = sliding(200, (96, 64))
    times = [index / 25 + 600 * (index >= 96) for index in range(200)]
    path = write_video(tmp_path / "v.mp4", pictures, size=(96, 64), times_s=times)
    first = write_video(tmp_path / "w.mp4", pictures[:96], size=(96, 64))
    with replaced():
        detector = Detector.open(run, WindowRule(3.2, 0.64))
        np.testing.assert_allclose(detector.detect(path).scores[:6], detector.detect(first).scores, atol=1e-6)


@told
@pytest.mark.parametrize("hole_s", [6, 600])
def test_a_stream_gives_what_a_file_gives(hole_s: int, run: Path, tmp_path: Path) -> None:
    """Segments, scores and events of pictures as they come, and of their recording under the same window."""
    times = [index / 25 + hole_s * (index >= 96) for index in range(200)]
    path = write_video(tmp_path / "v.mp4", sliding(200, (96, 64)), size=(96, 64), times_s=times)
    rule = WindowRule(3.2, 0.64)
    with replaced():
        found = Detector.open(run, rule).detect(path)
    stream = StreamingDetector(Checkpoint.load(run), rule, EncoderChoice("lite", MeanEncoder(), None), found.rate_hz)
    outputs = [stream.push_frame(frame, time_s) for frame, time_s in FrameReader(path)]
    outputs.append(stream.flush())
    parts = [output.segments for output in outputs]
    np.testing.assert_array_equal(np.concatenate([p.start_s for p in parts]), found.timeline.time_bounds[:-1])
    np.testing.assert_array_equal(np.concatenate([p.end_s for p in parts]), found.timeline.ends_s)
    np.testing.assert_allclose(np.concatenate([p.scores for p in parts]), found.scores, atol=1e-6)
    ended = [update.after for output in outputs for update in output.updates if update.kind == "end"]
    spans = [(event.start_s, event.end_s, event.category) for event in found.events]
    assert [(event.start_s, event.end_s, event.category) for event in ended] == spans
    assert len(spans) >= 2
    assert stream.counts.gaps == 1


@told
def test_segments_that_are_pushed_with_a_hole_between_them(run: Path) -> None:
    stream = StreamingDetector(Checkpoint.load(run), WindowRule(3.2, 0.64))
    for start_s in (0.0, 0.64, 600.0, 600.64):
        stream.push_segment(np.full(4, 0.5, np.float32), start_s, start_s + 0.64)
    stream.flush()
    assert (stream.counts.gaps, stream.counts.segments) == (1, 4)


@told
@pytest.mark.parametrize("times", [[0.0, 2e6], [0.0, 2e6, 4e6], [0.0, 1.0, 2e6]], ids=str)
def test_stamps_make_no_rows(times: list[float], run: Path, tmp_path: Path) -> None:
    """Two or three pictures weeks apart: what is written is in proportion to them."""
    path = write_video(tmp_path / "v.mkv", flat([90] * len(times)), times_s=times, size=(32, 32), options={"bf": "0"})
    with replaced():
        assert main(["detect", str(path), "--model", str(run), "--out", str(tmp_path / "out")]) == 0
    record = json.loads((tmp_path / "out" / "v.json").read_text())
    assert len(record["seconds"]) <= 5
    assert record["frames"] == len(times)


@told
def test_a_recording_with_pauses_of_the_field() -> None:
    """8 s of pictures, ten minutes without, and so on: up to the first pause all is as in the clip without any."""
    path = case("motion_triggered.mp4")
    line = read(path).timeline
    assert line.shown_s == pytest.approx(26.0)
    assert [line.ends_s[end - 1] for _, end in line.stretches()] == pytest.approx([8.0, 616.0, 1224.0, 1826.0])
    np.testing.assert_allclose(
        features_of(path).values[:12], features_of(case("video_starts_3s_after_audio.mp4")).values[:12], atol=0.02
    )
    hole = read(case("gap_2h.mp4")).timeline
    assert (hole.duration_s, hole.shown_s) == (pytest.approx(7586.0), pytest.approx(26.0))


@pytest.mark.filterwarnings("always::refinevad.video.reading.DamagedVideoWarning")
def test_what_is_told_of_a_hole(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One sentence on stderr, in the report, and in JSON; no row for a second without pictures."""
    times = [index / 25 + 7200 * (index >= 50) for index in range(100)]
    path = write_video(tmp_path / "v.mp4", flat([100] * 100), times_s=times, size=(32, 32), options={"bf": "0"})
    with replaced():
        assert main(["detect", str(path), "--model", str(run), "--out", str(tmp_path / "out"), "--annotate"]) == 0
    record = json.loads((tmp_path / "out" / "v.json").read_text())
    (note,) = record["notes"]
    assert note == f"no pictures from 2.0 to 7202.0 s in {path}; nothing is scored there"
    assert note in (tmp_path / "out" / "v.html").read_text()
    assert [entry["second"] for entry in record["seconds"]] == [0, 1, 7202, 7203]
    assert len((tmp_path / "out" / "v.csv").read_text().splitlines()) == 5
    assert record["duration_s"] == pytest.approx(7204.0)
    assert not [e for e in record["events"] if e["start_s"] < 3000 < e["end_s"]]
    assert capsys.readouterr().err.count(note) == 1


def test_seconds_beside_a_hole_are_means_of_what_is_shown() -> None:
    """Scores 1 and 0 over half a second each, a hole to 9.5 s, then 0.5 for a second."""
    line = Timeline.of([0, 5, 10], [0.0, 0.5, 9.5], 20, 10.5, {1: 1.0})
    assert line.shown_seconds().tolist() == [0, 9, 10]
    np.testing.assert_allclose(line.per_second(np.array([1.0, 0.0, 0.5])), [0.5, 0.5, 0.5])
    assert line.shown_s == pytest.approx(2.0)
