"""Files with several streams, covers, stills, or no rate of their own: which is the video, and how fast."""

import json
import os
from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from av.packet import Packet
from av.stream import Disposition

from fakes import replaced
from field_cases import NEEDS, RULE, case, make_run, read, restamped, told
from refinevad.apps.cli import main
from refinevad.apps.live.capture.source import Source
from refinevad.apps.live.settings.addresses import parse_address
from refinevad.apps.report.keyframes import extract_keyframes
from refinevad.errors import InputError
from refinevad.scoring.events import Event
from refinevad.video.reading import ClipReader, FrameReader, probe
from videos import NTSC, film, flat, sliding, write_video


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run"))


# --- rates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        *product(["v.h264", "v.hevc", "v.265"], [10, 25, 30, 50, 60, NTSC]),
        *product(["v.m2v"], [25, 30, 50, 60, NTSC]),  # MPEG-2 has so many
    ],
    ids=str,
)
def test_raw_streams_have_their_own_rate(name: str, rate: Fraction | int, tmp_path: Path) -> None:
    codec = {".h264": "libx264", ".m2v": "mpeg2video"}.get(Path(name).suffix, "libx265")
    options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    made = tmp_path / name.replace(".265", ".hevc")
    pictures = sliding(60, (192, 128))  # x265 writes beyond its memory at smaller sizes
    write_video(made, pictures, size=(192, 128), rate=rate, codec=codec, options=options)
    path = made.rename(tmp_path / name)
    assert probe(path).rate_hz == pytest.approx(float(rate), rel=1e-4)
    reader = ClipReader(path, NEEDS, RULE)
    list(reader)
    assert reader.timeline.duration_s == pytest.approx(float(60 / rate), abs=2 / float(rate))


def test_a_raw_stream_of_the_field() -> None:
    reader = read(case("raw_30fps.h264"))
    assert (reader.frames, reader.timeline.duration_s) == (780, pytest.approx(26.0))
    assert reader.info.rate_hz == 30.0


@told
@pytest.mark.parametrize("suffix", [".mp4", ".ts", ".mkv"])
def test_stamps_that_only_count_the_frames_are_no_times(suffix: str, tmp_path: Path) -> None:
    """A raw stream that was put into a container without a rate: 100 frames in a millisecond."""

    def change(number: int, packet: Packet) -> None:
        packet.pts = packet.dts = number  # ticks, of which the container has 1,000 to 90,000 a second
        packet.duration = 1

    made = write_video(tmp_path / f"v{suffix}", flat([90] * 100), size=(32, 32), options={"bf": "0"})
    reader = read(restamped(made, change))
    assert reader.info.rate_hz == 25.0
    assert reader.timeline.duration_s == pytest.approx(4.0)
    (note,) = reader.notes
    assert note.endswith("have no time of their own; they were put at its usual rate")


# --- which stream -----------------------------------------------------------------------------------------------------


def write_with_cover(path: Path, pictures: bool) -> Path:
    """Sound with a cover, and a second of video if asked for; the cover stands last, as players put it."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25) if pictures else None
        if video is not None:
            video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        sound = container.add_stream("aac", rate=16000, layout="mono")
        cover = container.add_stream("png")
        cover.width, cover.height, cover.pix_fmt = 64, 64, "rgb24"
        cover.disposition = Disposition.attached_pic
        for start in range(0, 16000, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, start
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
        for stream, level, count in ((video, 90, 25), (cover, 250, 1)):
            for index in range(count if stream is not None else 0):
                shape = (stream.height, stream.width, 3)
                picture = av.VideoFrame.from_ndarray(np.full(shape, level, np.uint8), format="rgb24")
                picture.pts = index
                container.mux(stream.encode(picture))
            if stream is not None:
                container.mux(stream.encode(None))
    return path


def stills(folder: Path) -> Iterator[Path]:
    picture = np.full((48, 64, 3), 90, np.uint8)
    for kind in ("png", "jpg", "bmp", "webp", "tiff", "gif", "avif"):
        done, coded = cv2.imencode(f".{kind}", picture)
        assert done
        path = folder / f"{kind}.mp4"
        path.write_bytes(coded.tobytes())
        yield path


def test_covers_and_still_pictures_are_no_video(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in (write_with_cover(tmp_path / "song.mp4", pictures=False), *stills(tmp_path)):
        with pytest.raises(InputError, match="no video"):
            probe(path)
        with replaced():
            assert main(["detect", str(path), "--model", str(run), "--out", str(tmp_path / "out")]) == 2
        assert "no video" in capsys.readouterr().err
        with pytest.raises(InputError):
            Source(parse_address(str(path)), stall_s=5.0)
    assert not (tmp_path / "out").exists()


def test_beside_a_cover_the_video_is_read(tmp_path: Path) -> None:
    path = write_with_cover(tmp_path / "v.mp4", pictures=True)
    reader = read(path)
    assert (reader.info.width, reader.frames) == (48, 25)


def test_pipes_and_devices_are_no_video(tmp_path: Path) -> None:
    """They have no bytes, and yet are not empty; nothing waits for who might write into one."""
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "zero.mp4").symlink_to("/dev/zero")
    for path in (tmp_path / "pipe.mp4", tmp_path / "zero.mp4"):
        with pytest.raises(InputError, match="is no file"):
            probe(path)


def test_a_song_and_stills_in_a_data_set_are_left_out_and_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from refinevad.features import kept

    root = tmp_path / "set"
    for label in ("normal", "fall"):
        write_video(root / "train" / label / "v.mp4", frames=40)
    write_with_cover(root / "train" / "fall" / "song.mp4", pictures=False)
    list(stills(root / "train" / "normal"))
    kept.opened_once.cache_clear()
    with replaced():
        assert main(["extract", str(root), "--out", str(tmp_path / "features"), "--workers", "1"]) == 1
    kept.opened_once.cache_clear()
    said = capsys.readouterr()
    assert said.err.count("left out: no video stream in") == 8
    assert "2 videos extracted" in said.out


def test_what_was_found_in_a_data_sets_videos_is_told_once_each(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from refinevad.features import kept

    root = tmp_path / "set"
    times = [index / 25 + 60 * (index >= 20) for index in range(40)]
    write_video(root / "train" / "normal" / "v.mp4", frames=40)
    holed = write_video(root / "train" / "fall" / "v.mp4", flat([90] * 40), times_s=times, size=(32, 32))
    for _ in range(2):  # made, and then up to date
        kept.opened_once.cache_clear()
        with replaced():
            arguments = ["extract", str(root), "--out", str(tmp_path / "features"), "--workers", "1"]
            assert main([*arguments, "--json", str(tmp_path / "done.json")]) == 0
        kept.opened_once.cache_clear()
        said = f"no pictures from 0.8 to 60.8 s in {holed}; nothing is scored there"
        assert capsys.readouterr().err.count(said) == 1
        assert json.loads((tmp_path / "done.json").read_text())["notes"] == [said]


def test_a_song_of_the_field() -> None:
    with pytest.raises(InputError, match="no video"):
        read(case("audio_with_cover.mp3"))


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
@pytest.mark.parametrize("default", [0, 1, 2])
def test_the_default_video_is_read(suffix: str, default: int, tmp_path: Path) -> None:
    path = tmp_path / f"v{suffix}"
    with av.open(str(path), "w") as container:
        streams = [container.add_stream("libx264", rate=25) for _ in range(3)]
        for number, stream in enumerate(streams):
            stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
            stream.disposition = Disposition.default if number == default else Disposition(0)
        for _ in range(25):
            for number, stream in enumerate(streams):
                picture = np.full((32, 48, 3), 40 + 80 * number, np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        for stream in streams:
            container.mux(stream.encode(None))
    read(path)
    (first, _), *_ = FrameReader(path)
    assert first.to_ndarray(format="gray").mean() == pytest.approx(40 + 80 * default, abs=4)
    event = Event(0.0, 1.0, 0.9, 0.5, "fall", {"fall": 1.0})
    jpeg = extract_keyframes(path, [event])[0]
    assert cv2.imdecode(np.frombuffer(jpeg, np.uint8), 1).mean() == pytest.approx(40 + 80 * default, abs=6)


# --- what a container says of itself ----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".nut", ".asf", ".ts", ".flv"])
def test_a_recording_that_begins_after_hours_is_not_cut_short(suffix: str, tmp_path: Path) -> None:
    """Some containers state where they end, not how long they are: by a recorder's clock 4 s are ten hours."""
    made = film(tmp_path / f"late{suffix}", 100, codec="mpeg4" if suffix == ".asf" else "libx264", options={"bf": "0"})

    def change(number: int, packet: Packet) -> None:
        hours = int(36_000 / packet.time_base)
        packet.pts, packet.dts = (packet.pts or 0) + hours, (packet.dts or 0) + hours

    late = restamped(made, change)
    reader = ClipReader(late, NEEDS, RULE)
    assert len(list(reader)) == 7
    assert reader.timeline.duration_s == pytest.approx(4.0, abs=0.05)
    assert reader.notes == ()
    assert probe(late).duration_s == pytest.approx(4.0, abs=0.2)


@pytest.mark.parametrize("name", ["list.mp4", "list.avi"])
def test_a_list_of_other_files_is_no_video(name: str, tmp_path: Path) -> None:
    """Else a data set, or an upload, would show pictures of another file."""
    film(tmp_path / "other.mp4", 10)
    (tmp_path / name).write_text("ffconcat version 1.0\nfile other.mp4\n")
    with pytest.raises(InputError, match=r"is a list of other files, and no video; .* call it \*\.ffconcat"):
        probe(tmp_path / name)
    (tmp_path / name).rename(tmp_path / "list.ffconcat")
    assert probe(tmp_path / "list.ffconcat").width == 96
