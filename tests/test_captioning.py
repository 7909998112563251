"""Captions made from video: windows right to a frame, files that `captions` reads, resumable, the same in one go."""

import json
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from cli_cases import call, error_of, leftovers
from refinevad.encoders.base import FrameNeeds
from refinevad.encoders.caption_windows import FrameWindow, WindowPlan, windows_of
from refinevad.encoders.captioner import PROMPTS, Captioner
from refinevad.encoders.captions import read_captions
from refinevad.encoders.choice import EncoderChoice, open_encoder
from refinevad.errors import InputError
from refinevad.features.extraction import extract
from refinevad.timeline import SegmentRule
from refinevad.video.reading import DamagedVideoWarning
from tiny_networks import captioner, saved, sentences
from videos import NTSC, flat, sliding, write_video


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("models") / "captioner", captioner)


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("models") / "sentences", sentences)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    return write_video(tmp_path / "videos" / "door.mkv", sliding(60, (48, 32)))


IN_FRAMES = WindowPlan(SegmentRule(frames=16), 4, 8)


@pytest.mark.parametrize("rate", [25, NTSC, Fraction(10)])
def test_windows_lie_where_frames_say(tmp_path: Path, rate: Fraction) -> None:
    """130 frames, 64 at a time every 16: the last two frames are a segment of their own."""
    path = write_video(tmp_path / "a.mkv", flat(range(60, 190)), rate=rate)
    found = list(windows_of(path, IN_FRAMES))
    starts, ends = [0, 16, 32, 48, 64, 80], [64, 80, 96, 112, 128, 130]
    assert [window.start_s for window in found] == pytest.approx([n / float(rate) for n in starts], abs=1.1e-3)
    assert [window.end_s for window in found] == pytest.approx([n / float(rate) for n in ends], abs=1.1e-3)
    for window, first, end in zip(found, starts, ends, strict=True):
        seen = window.frames.mean((1, 2, 3)) - 60
        assert len(seen) == (8 if end < 130 else 7)  # the short segment shows but one: its phases end at 2 of 16
        assert (np.diff(seen) > 3).all()
        assert first - 1 <= seen.min() < first + 8
        assert end - 9 <= seen.max() <= end + 1


def test_a_short_video_is_one_window_and_none_reaches_across_a_hole(tmp_path: Path) -> None:
    short = write_video(tmp_path / "short.mkv", frames=5)
    (window,) = windows_of(short, IN_FRAMES)
    assert (window.start_s, window.end_s, len(window.frames)) == (0.0, pytest.approx(0.2), 1)
    times = [*np.arange(70) / 25, *(100 + np.arange(20) / 25)]
    holed = write_video(tmp_path / "holed.mkv", frames=90, times_s=times)
    with pytest.warns(DamagedVideoWarning, match="no pictures"):
        spans = [(window.start_s, window.end_s) for window in windows_of(holed, IN_FRAMES)]
    assert spans == [
        (0.0, pytest.approx(2.56)),
        (pytest.approx(0.64), pytest.approx(2.8)),
        (pytest.approx(100.0), pytest.approx(100.8)),
    ]


@pytest.mark.parametrize(
    ("window_s", "every_s", "window", "every", "plan"),
    [
        (None, None, None, None, WindowPlan(SegmentRule(seconds=0.64), 4, 8)),
        (3.0, 0.5, None, None, WindowPlan(SegmentRule(seconds=0.5), 6, 8)),
        (None, None, None, 32, WindowPlan(SegmentRule(frames=32), 2, 8)),
        (None, None, 48, None, WindowPlan(SegmentRule(frames=16), 3, 8)),
        (None, 0.32, None, None, WindowPlan(SegmentRule(seconds=0.32), 8, 8)),
    ],
)
def test_windows_in_seconds_and_in_frames(
    window_s: float | None, every_s: float | None, window: int | None, every: int | None, plan: WindowPlan
) -> None:
    assert WindowPlan.of(window_s, every_s, window, every, 8) == plan


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--window-s", "1", "--every-frames", "16"), "not both"),
        (("--window-frames", "40"), "whole number of steps: got 2.5"),
        (("--window-s", "0.3"), "whole number of steps"),
        (("--every-s", "0"), "must last"),
        (("--frames", "0"), "1 to 1000"),
        (("--batch", "0"), "at least 1"),
    ],
)
def test_windows_that_cannot_be(
    video: Path, arguments: Sequence[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("caption", video, "--model", "absent", *arguments) == 2
    assert said in error_of(capsys)


def test_the_same_window_gets_the_same_sentence_in_any_company(model: Path) -> None:
    random = np.random.default_rng(0)
    windows = [
        FrameWindow(0.0, 1.0, random.integers(0, 256, (frames, 24, 32, 3), dtype=np.uint8)) for frames in (3, 1, 3)
    ]
    opened = Captioner(str(model), ("a man walks", "the car"), tokens=5)
    together = opened.describe(windows)
    assert [len(answers) for answers in together] == [2, 2, 2]
    assert all(len(answer.split()) <= 5 for answers in together for answer in answers)
    assert [opened.describe([window])[0] for window in windows] == together
    assert opened.describe([]) == []


def test_files_are_those_that_captions_reads(
    video: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """60 frames in windows of 32 every 16, the default's fourth of them to be seen."""
    arguments = ("caption", video.parent, "--model", model, "--out", video.parent, "--json", "-")
    shape = ("--window-frames", 32, "--every-frames", 16, "--frames", 2, "--tokens", 6)
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("# asked of each\nthe street\n\n a man \n")
    assert call(*arguments, *shape, "--prompts", prompts) == 0
    done = json.loads(capsys.readouterr().out)
    target = video.with_suffix(".jsonl")
    assert done["videos"] == [{"video": str(video), "captions": str(target), "windows": 3, "made": True}]
    said = read_captions(target)["door"]
    opened = Captioner(str(model), ("the street", "a man"), tokens=6)
    plan = WindowPlan(SegmentRule(frames=16), 2, 2)
    told = [
        (pytest.approx(window.start_s, abs=1e-6), pytest.approx(window.end_s, abs=1e-6), text)
        for window in windows_of(video, plan)
        for text in opened.describe([window])[0]
        if text
    ]
    assert sorted((one.start_s, one.end_s, one.text) for one in said) == sorted(
        (start.expected, end.expected, text) for start, end, text in told
    )
    assert call(*arguments, *shape, "--prompts", prompts) == 0
    assert json.loads(capsys.readouterr().out)["videos"][0]["made"] is False
    assert call(*arguments, *shape) == 0  # asked otherwise: made anew
    assert json.loads(capsys.readouterr().out)["videos"][0]["made"] is True
    assert json.loads(target.with_suffix(".made.json").read_text())["captioner"]["preprocessing"]["prompts"] == [
        *PROMPTS
    ]
    assert not leftovers(video.parent)
    assert not list(video.parent.glob("*.part.jsonl"))


def test_stopped_it_goes_on_where_it_was(video: Path, model: Path, tmp_path: Path) -> None:
    shape = ("--every-s", 0.32, "--window-s", 0.64, "--frames", 1, "--tokens", 4)
    arguments = ("caption", video, "--model", model, "--batch", 1, *shape)
    assert call(*arguments, "--out", tmp_path / "whole") == 0
    whole = (tmp_path / "whole" / "door.jsonl").read_bytes()
    describe, asked = Captioner.describe, []

    def stopping(self: Captioner, windows: Sequence[FrameWindow]) -> list[list[str]]:
        if len(asked) == stop:
            raise KeyboardInterrupt
        asked.append(windows[0].start_s)
        return describe(self, windows)

    stop = 1
    with mock.patch.object(Captioner, "describe", stopping):
        assert call(*arguments, "--out", tmp_path / "twice") == 130
        part = tmp_path / "twice" / "door.part.jsonl"
        with part.open("a") as file:
            file.write('{"start_s": 0.32, "end')  # as a kill leaves a line
        assert not (tmp_path / "twice" / "door.jsonl").exists()
        stop = -1
        assert call(*arguments, "--out", tmp_path / "twice") == 0
    assert len(set(asked)) == len(asked) > 1
    assert (tmp_path / "twice" / "door.jsonl").read_bytes() == whole
    assert not part.exists()


def test_a_persons_captions_are_not_written_over(video: Path, model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video.with_suffix(".jsonl").write_text('{"start_s": 0, "end_s": 1, "text": "mine"}\n')
    assert call("caption", video, "--model", model) == 2
    assert "was not made here" in error_of(capsys)
    assert "mine" in video.with_suffix(".jsonl").read_text()


def test_two_videos_of_one_name_and_others_captions_are_told(
    video: Path, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    twin = write_video(tmp_path / "videos" / "door.mp4", frames=5)
    assert call("caption", video, twin, "--model", model) == 2
    assert "would both have the captions" in error_of(capsys)
    twin.with_suffix(".srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nx\n")
    (tmp_path / "videos" / "none.mp4").write_bytes(b"")
    video.unlink()
    assert call("caption", tmp_path / "videos", "--model", model, "--frames", 1, "--tokens", 2) == 1
    told = capsys.readouterr()
    assert "door.srt lies there too" in told.err
    assert "left out: video is empty" in told.err
    assert "1 videos described, 0 up to date, 1 left out" in told.out


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("./absent", "there is none at ./absent"),
        ("some/hub-model", "hf download some/hub-model --local-dir"),
        ("some/hub-model", "--allow-download"),
    ],
)
def test_nothing_goes_online_unasked(video: Path, source: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("caption", video, "--model", source) == 2
    assert said in error_of(capsys)


def test_captioned_is_caption_and_captions_in_one(video: Path, model: Path, embedder: Path) -> None:
    rule = SegmentRule.default()
    assert call("caption", video, "--model", model) == 0
    in_one = open_encoder(f"captioned:{model}:{embedder}")
    from_files = open_encoder(f"captions:{embedder}")
    made, read = extract(video, in_one, rule), extract(video, from_files, rule)
    np.testing.assert_allclose(made.values, read.values, atol=1e-6)
    assert np.abs(made.values).max() > 0
    assert in_one.parts == {"captioned": (0, in_one.dim)}
    assert in_one.identity.name == "captioned"
    assert in_one.identity != from_files.identity
    other = open_encoder(f"captioned:{saved(model.parent / 'other', captioner, seed=1)}:{embedder}")
    assert other.identity.weights_sha256 != in_one.identity.weights_sha256


def test_captioned_has_no_place_where_there_is_no_file(model: Path, embedder: Path) -> None:
    choice = open_encoder(f"captioned:{model}:{embedder}")
    assert choice.beyond_pictures == "captions"
    assert choice.needs == FrameNeeds(rgb_frames=0)
    assert EncoderChoice("x", None, None).beyond_pictures == "captions"
    with pytest.raises(InputError, match="captioned needs a model"):
        open_encoder("captioned:")
