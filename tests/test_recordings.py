"""The continuous recording: pieces as they came, found again, cut, bounded, and what a killed process leaves."""

import shutil
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest

from refinevad.apps.live.capture.recorder import ClipRecorder, KeptPacket
from refinevad.apps.live.capture.source import Source
from refinevad.apps.live.capture.stream_recorder import StreamRecorder, adopt
from refinevad.apps.live.settings.addresses import parse_address
from refinevad.apps.live.storage.recordings import Piece, Recordings, stretches
from videos import flat, write_video

NOON = 1_700_000_000.0
FRAMES = 100


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds, each frame of another grey, a keyframe every ten, with B frames between."""
    options = {"g": "10", "bf": "2", "sc_threshold": "0", "crf": "10", "preset": "veryfast"}
    return write_video(tmp_path_factory.mktemp("film") / "a.mp4", flat([2 * i for i in range(FRAMES)]), options=options)


def record(
    film: Path, folder: Path, *, piece_s: float = 1.0, reserve_mb: float = 0.0, packets: int = FRAMES
) -> StreamRecorder:
    """Record a film as a live stream that began at NOON."""
    clips = ClipRecorder(ring_s=1.0)
    recorder = StreamRecorder(folder, reserve_mb, piece_s)
    source = Source(parse_address(str(film)), stall_s=5.0, fast=True)
    clips.begin_stream(source.stream)
    recorder.begin(clips.header)
    for number, packet in enumerate(source.container.demux(source.stream)):
        if packet.pts is None or number >= packets:
            break
        kept = KeptPacket.of(packet, float(packet.pts * packet.time_base))
        assert kept is not None
        recorder.push(kept, NOON + kept.time_s)
    source.close()
    return recorder


def greys(content: Path | BytesIO) -> list[int]:
    with av.open(str(content) if isinstance(content, Path) else content) as container:
        return [round(float(np.mean(frame.to_ndarray(format="gray"))) / 2) for frame in container.decode(video=0)]


def test_a_stream_is_kept_in_pieces_that_begin_with_keyframes_and_miss_nothing(film: Path, tmp_path: Path) -> None:
    """A keyframe every 0.4 s: pieces of at least a second are of 1.2 s."""
    record(film, tmp_path / "recordings" / "door").close()
    pieces = Recordings(tmp_path).between("door", NOON - 100, NOON + 100)
    assert [round(piece.start - NOON, 2) for piece in pieces] == [0.0, 1.2, 2.4, 3.6]
    assert [greys(piece.path)[0] for piece in pieces] == pytest.approx([0, 30, 60, 90], abs=1)
    assert sum(len(greys(piece.path)) for piece in pieces) == FRAMES
    ((start, end),) = stretches(pieces)
    assert (start - NOON, end - NOON) == (0.0, pytest.approx(4.0, abs=0.1))
    assert [piece.path for piece in Recordings(tmp_path).between("door", NOON + 1.3, NOON + 1.4)] == [pieces[1].path]
    assert Recordings(tmp_path).between("none", NOON, NOON + 9) == []


def test_what_a_killed_process_leaves_is_read_to_its_last_keyframe(film: Path, tmp_path: Path) -> None:
    """Nothing is closed: what lies on the disk then is copied, as a kill would leave it."""
    open_one = record(film, tmp_path / "door", piece_s=60.0, packets=95)
    (part,) = (tmp_path / "door").iterdir()
    left = tmp_path / "left"
    left.mkdir()
    shutil.copy(part, left / part.name)
    (left / "1700000000999.part.mp4").write_bytes(b"")
    open_one.close()
    assert adopt(left) == 2
    (kept,) = left.iterdir()
    assert kept.name.startswith("1700000000000-")
    assert len(greys(kept)) >= 80
    assert adopt(left) == 0
    assert adopt(tmp_path / "none") == 0


def test_nothing_is_recorded_on_a_disk_that_is_nearly_full(film: Path, tmp_path: Path) -> None:
    record(film, tmp_path / "door", reserve_mb=1e12).close()
    assert not (tmp_path / "door").exists()


def test_retention_takes_the_oldest_of_all_cameras_and_says_so(tmp_path: Path) -> None:
    def piece(camera: str, start: float, size: int) -> Path:
        path = tmp_path / "recordings" / camera / f"{round(start * 1000)}-60000.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
        return path

    day = 86_400.0
    old = piece("door", NOON - 8 * day, 1000)
    first, second, third = (
        piece(name, NOON - 3600 + 60 * place, 1000) for place, name in enumerate(("yard", "door", "yard"))
    )
    recordings = Recordings(tmp_path)
    assert recordings.removed("door") is None
    assert recordings.expire(NOON, days=7.0, gigabytes=1.0) == 1
    assert (old.exists(), second.exists()) == (False, True)
    removed = recordings.removed("door")
    assert removed is not None
    assert (removed.until, removed.why) == (NOON - 8 * day + 60, "days")
    assert recordings.expire(NOON, days=7.0, gigabytes=2.5e-6) == 1
    assert (first.exists(), second.exists(), third.exists()) == (False, True, True)
    assert recordings.removed("yard").why == "gigabytes"  # type: ignore[union-attr]
    assert recordings.expire(NOON, days=7.0, gigabytes=2.5e-6) == 0


def test_stretches_end_where_something_is_missing() -> None:
    pieces = [Piece(Path(str(start)), start, end, 1) for start, end in ((0.0, 60.0), (60.5, 120.0), (180.0, 240.0))]
    assert stretches(pieces) == [(0.0, 120.0), (180.0, 240.0)]


def test_any_stretch_is_one_file_and_holes_are_said(film: Path, house) -> None:  # type: ignore[no-untyped-def]
    folder = house.store.media / "recordings" / "door"
    record(film, folder).close()
    from refinevad.apps.live.clock import iso

    path = "/api/v1/cameras/door"
    span = {"start": iso(NOON), "end": iso(NOON + 10)}
    found = house.client.get(f"{path}/recordings", params=span).json()
    assert len(found["stretches"]) == 1
    assert found["removed"] is None
    first = house.client.get(found["pieces"][0]["file"])
    assert len(greys(BytesIO(first.content))) == 30
    assert house.client.get(f"{path}/recordings/1.mp4").status_code == 404
    # from 1.5 s, in the second piece, whose keyframe ahead is that of 1.2 s, to 3.0 s
    cut = house.client.get(f"{path}/recording.mp4", params={"start": iso(NOON + 1.5), "end": iso(NOON + 3.0)})
    assert cut.status_code == 200
    seen = greys(BytesIO(cut.content))
    assert seen[0] == pytest.approx(30, abs=1)
    assert sorted(seen) == pytest.approx(list(range(30, 30 + len(seen))), abs=1)
    assert len(seen) == pytest.approx(45, abs=3)
    assert float(cut.headers["x-refinevad-missing"]) == 0.0
    beyond = house.client.get(f"{path}/recording.mp4", params={"start": iso(NOON + 2), "end": iso(NOON + 12)})
    assert float(beyond.headers["x-refinevad-missing"]) == pytest.approx(8.0, abs=0.1)
    empty = {"start": iso(NOON + 100), "end": iso(NOON + 110)}
    assert house.client.get(f"{path}/recording.mp4", params=empty).status_code == 404
    long = {"start": iso(NOON), "end": iso(NOON + 4000)}
    assert house.client.get(f"{path}/recording.mp4", params=long).status_code == 422
    assert house.app.state.context.cutting.acquire(blocking=False)
    assert house.client.get(f"{path}/recording.mp4", params=span).status_code == 429
    house.app.state.context.cutting.release()


def test_a_clip_that_browsers_do_not_play_is_made_playable_once(house) -> None:  # type: ignore[no-untyped-def]
    media = house.store.media
    clip = write_video(media / "clips" / "e1.mp4", frames=20, size=(1600, 64), codec="mjpeg", pixels="yuvj420p")
    house.add_event("e1", clip="clips/e1.mp4")
    house.add_event("e2")
    path = "/api/v1/events/e1/playable"
    assert house.client.get(path).status_code == 404
    assert house.client.post("/api/v1/events/e2/playable").status_code == 404
    assert house.client.post("/api/v1/events/..%2fe1/playable").status_code == 404
    assert house.client.post(path).status_code == 204
    answer = house.client.get(path)
    with av.open(BytesIO(answer.content)) as made:
        stream = made.streams.video[0]
        assert (stream.codec_context.name, stream.width, stream.height) == ("h264", 1280, 52)
        assert sum(1 for _ in made.decode(video=0)) == 20
    assert house.client.get(path, headers={"Range": "bytes=0-9"}).status_code == 206
    first = (media / "playable" / "e1.mp4").stat().st_mtime_ns
    assert house.client.post(path).status_code == 204
    assert (media / "playable" / "e1.mp4").stat().st_mtime_ns == first
    assert clip.is_file()
    clip.write_bytes(b"no film")
    (media / "playable" / "e1.mp4").unlink()
    assert house.client.post(path).status_code == 400
    assert not (media / "playable" / "e1.mp4").exists()
    assert house.app.state.context.cutting.acquire(blocking=False)  # let go of, whatever came of it
