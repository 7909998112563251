"""Edit lists of every shape: read as players read them, by all who read files, or refused by one sentence."""

import io
from pathlib import Path

import av
import pytest

from edited import Entry, edited
from fakes import MeanEncoder, replaced
from field_cases import NEEDS, RULE, make_run
from refinevad.apps.cli import main
from refinevad.apps.live.capture.source import Source
from refinevad.apps.live.settings.addresses import parse_address
from refinevad.apps.service.probing import probe_upload
from refinevad.errors import InputError
from refinevad.timeline import SegmentRule
from refinevad.video.edit_lists import RewordedFile
from refinevad.video.presentation import PlanError
from refinevad.video.reading import ClipReader, FrameReader
from refinevad.video.shares import SharePlan, clips_of
from videos import assert_same_clips, flat, write_video

HZ, MOVIE = 12_800, 1000  # ticks a second of the media and of the movie, as FFmpeg writes them at 25 frames a second
LEVELS = range(0, 200, 2)  # a picture's grey tells which one it is: 25 a second, four seconds
GREYS: list[float] = []  # as they come out of the film


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """A keyframe each second."""
    options = {"g": "25", "bf": "0", "crf": "0", "sc_threshold": "0"}
    path = write_video(tmp_path / "film.mp4", flat(LEVELS), options=options)
    with av.open(str(path)) as container:
        assert container.streams.video[0].time_base.denominator == HZ
        GREYS[:] = [grey(frame) for frame in container.decode(video=0)]
    assert len(set(GREYS)) == len(LEVELS)
    return path


def grey(frame: av.VideoFrame) -> float:
    return float(frame.to_ndarray(format="yuv420p")[0, 0])


def shows(duration_s: float, from_s: float, rate: int = 1) -> Entry:
    return round(duration_s * MOVIE), round(from_s * HZ), rate, 0


def pause(duration_s: float) -> Entry:
    return round(duration_s * MOVIE), -1, 1, 0


def pictures(path: Path) -> list[tuple[int, float]]:
    """(number by its grey, second) of each picture."""
    return [(GREYS.index(grey(frame)), time_s) for frame, time_s in FrameReader(path)]


def stretch(*stretches: tuple[int, int]) -> list[int]:
    return [number for first, end in stretches for number in range(first, end)]


READ = {
    "to the end": ([shows(0, 0)], stretch((0, 100))),
    "to the end, no rate": ([shows(0, 0, 0)], stretch((0, 100))),
    "from a second on, to the end": ([shows(0, 1)], stretch((25, 100))),
    "from within a group on": ([shows(2, 1.4)], stretch((35, 85))),
    "from within a group to the end": ([shows(0, 1.4)], stretch((35, 100))),
    "a part, then to the end": ([shows(1, 0), shows(0, 2)], stretch((0, 25), (50, 100))),
    "two parts": ([shows(1, 0), shows(1, 2)], stretch((0, 25), (50, 75))),
    "two parts, the later one first": ([shows(1, 2), shows(1, 0)], stretch((50, 75), (0, 25))),
    "late": ([pause(2), shows(4, 0)], stretch((0, 100))),
    "late, to the end": ([pause(2), shows(0, 0)], stretch((0, 100))),
    "late twice": ([pause(1), pause(2), shows(4, 0)], stretch((0, 100))),
    "a pause behind the end": ([shows(4, 0), pause(5)], stretch((0, 100))),
    "a pause behind what lasts to the end": ([shows(0, 2), pause(5), pause(0)], stretch((50, 100))),
    "nothing, then a part": ([shows(0, 0), shows(1, 2)], stretch((50, 75))),
    "a pause of nothing in between": ([shows(1, 0), pause(0), shows(1, 1)], stretch((0, 50))),
    "longer than there is": ([shows(400, 0)], stretch((0, 100))),
    "none": ([], stretch((0, 100))),
}


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("shape", READ)
def test_every_reader_shows_what_players_show(film: Path, shape: str, version: int) -> None:
    entries, wanted = READ[shape]
    edited(film, entries, version)
    shown = pictures(film)
    assert [number for number, _ in shown] == wanted
    assert [time_s for _, time_s in shown] == pytest.approx([place / 25 for place in range(len(wanted))])
    assert FrameReader(film).info.duration_s == pytest.approx(len(wanted) / 25, abs=0.05)
    sparing, whole = ClipReader(film, NEEDS, RULE), ClipReader(film, NEEDS, RULE, every_frame=True)
    clips = [clip.rgb_times.tolist() for clip in sparing]
    assert clips == [clip.rgb_times.tolist() for clip in whole]
    assert (sparing.frames, sparing.notes) == (len(wanted), ())
    try:
        shares = list(SharePlan(film, NEEDS, RULE, lambda *_: 1.0))
        cut = [clip for share in shares for clip in clips_of(film, share)]
    except PlanError:  # it is decoded in one go
        return
    assert_same_clips(cut, list(ClipReader(film, NEEDS, RULE)))


def test_shares_cameras_and_uploads_read_the_same(film: Path) -> None:
    edited(film, [shows(0, 1)])
    shares = list(SharePlan(film, MeanEncoder.needs, SegmentRule.default(), lambda *_: 1.0))
    cut = [clip.start_s for share in shares for clip in clips_of(film, share)]
    assert cut == [clip.start_s for clip in ClipReader(film, MeanEncoder.needs, SegmentRule.default())]
    source = Source(parse_address(str(film)), stall_s=5.0, fast=True)
    shown = [frame for packet, _ in source for frame in packet.decode() if not packet.is_discard]
    source.close()
    assert len(shown) == 75
    assert probe_upload(film, 60.0, 8192 * 8192).duration_s == pytest.approx(3.0, abs=0.05)


REFUSED = {
    "shows none of its pictures": [[pause(2)], [pause(0)], [shows(4, 40)], [pause(1), shows(4, 4)]],
    "shows its pictures faster, slower or held": [
        [shows(2, 0, 2)],
        [(8000, 0, 0, -32_768)],
        [shows(4, 0, 0)],
        [shows(4, 0, -1)],
        [shows(1, 0), shows(0, 1, 2)],
    ],
    "has pauses between its pictures": [[shows(1, 0), pause(1), shows(2, 1)], [shows(1, 0), pause(1), shows(0, 1)]],
    "shows its pictures or sound again and again": [[shows(4, 0)] * 3, [shows(0.04, 0)] * 101],
}


@pytest.mark.parametrize(("why", "entries"), [(why, one) for why, several in REFUSED.items() for one in several])
def test_what_cannot_be_shown_is_refused(film: Path, why: str, entries: list[Entry]) -> None:
    edited(film, entries)
    for read in (FrameReader, lambda path: Source(parse_address(str(path)), stall_s=5.0, fast=True)):
        with pytest.raises(InputError, match=f"edit list of .*film.mp4 {why}; .*ignore_editlist"):
            read(film)
    with pytest.raises(InputError, match=f"^the edit list of the file {why}"):  # who uploads it sees no path of ours
        probe_upload(film, 60.0, 8192 * 8192)


def test_a_bomb_in_a_track_of_sound_is_refused(tmp_path: Path) -> None:
    film = write_video(tmp_path / "film.mp4", sound=True)
    edited(film, [shows(1, 0)] * 100, track=1)
    with pytest.raises(InputError, match="again and again"):
        FrameReader(film)


def test_a_refused_file_does_not_end_the_others(film: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = film.with_name("good.mp4")
    good.write_bytes(film.read_bytes())
    edited(film, [shows(4, 0, 2)])
    run = make_run(tmp_path / "run")
    with replaced():
        assert main(["detect", str(film), str(good), "--model", str(run), "--out", str(tmp_path / "out")]) == 1
    assert "faster, slower or held" in capsys.readouterr().err
    assert (tmp_path / "out" / "good.json").exists()


@pytest.mark.parametrize("cut", [-8, 2, 10, 20])
def test_a_head_that_is_cut_short_there_is_refused_as_ever(film: Path, cut: int) -> None:
    data = edited(film, [shows(0, 0)]).read_bytes()
    film.write_bytes(data[: data.index(b"elst") + cut])
    with pytest.raises(InputError, match="no video stream in"):
        FrameReader(film)


def test_a_reworded_file_reads_as_it_says(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(40)))
    wanted = bytes(range(10)) + b"abcde" + bytes(range(15, 40))
    file = RewordedFile(path, 10, b"abcde")
    for start in range(40):
        for count in (1, 3, 5, 12, -1):
            file.seek(start)
            assert file.read(count) == (wanted[start:] if count < 0 else wanted[start : start + count])
    assert file.seek(0, io.SEEK_END) == 40
    file.close()


def test_a_film_in_fragments_shows_all_of_them(tmp_path: Path) -> None:
    """There "to the end" is the usual wording, and FFmpeg reads it; its head is not the last box, so it is put so."""
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    film = write_video(tmp_path / "film.mp4", flat(LEVELS), options={"g": "25", "bf": "0"}, container_options=options)
    whole = [frame.pts for frame, _ in FrameReader(film)]
    edited(film, [shows(0, 0)])
    assert [frame.pts for frame, _ in FrameReader(film)] == whole
    assert len(whole) == len(LEVELS)
