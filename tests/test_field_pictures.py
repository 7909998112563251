"""Names that look like protocols, pictures that begin late, turned and mirrored ones."""

import json
import re
from pathlib import Path

import av
import numpy as np
import pytest

from fakes import replaced
from field_cases import NEEDS, RULE, case, inside, make_run, read, told
from refinevad.apps.cli import main
from refinevad.video.reading import ClipReader, probe
from videos import film, turn


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(tmp_path_factory.mktemp("run"))


NAMES = [
    "2024-11-14T22:57:44+02:00.mp4",
    "cam:1.mp4",
    "concat:a.mp4",
    "file:x.mp4",
    "http:x.mp4",
    "-v.mp4",
    "a%03d.mp4",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_that_look_like_protocols(name: str, run: Path, tmp_path: Path) -> None:
    film(tmp_path / "v.mp4", 50).rename(tmp_path / name)
    with inside(tmp_path), replaced():
        assert read(Path(name)).frames == 50
        assert main(["detect", "--model", str(run), "--out", "found", "--", name]) == 0
        assert json.loads(Path("found", Path(name).stem + ".json").read_text())["frames"] == 50


def test_a_name_of_the_field() -> None:
    path = case("2024-11-14T22:57:44+02:00.mp4")
    with inside(path.parent):
        assert read(Path(path.name)).frames == 75


def write_late(path: Path, late_s: float) -> Path:
    """Sound from second 0, pictures `late_s` later."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 48, 32, "yuv420p"
        sound = container.add_stream("aac", rate=16000, layout="mono")
        for start in range(0, int(16000 * (late_s + 2)), 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, start
            container.mux(sound.encode(frame))
        container.mux(sound.encode(None))
        for index in range(50):
            picture = av.VideoFrame.from_ndarray(np.full((32, 48, 3), 90, np.uint8), format="rgb24")
            picture.pts = index + round(25 * late_s)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
    return path


@told
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_pictures_that_begin_after_the_sound(suffix: str, run: Path, tmp_path: Path) -> None:
    """Seconds are of the pictures; a player is sent as much further as its clock is ahead."""
    path = write_late(tmp_path / f"v{suffix}", 3.0)
    assert probe(path).start_s == pytest.approx(3.0, abs=0.1)
    reader = read(path)
    assert reader.timeline.time_bounds[0] == 0.0
    assert reader.timeline.duration_s == pytest.approx(2.0, abs=0.01)
    assert "comes 3.0 s after its sound begins" in reader.notes[0]
    with replaced():
        assert main(["detect", str(path), "--model", str(run), "--out", str(tmp_path / "out")]) == 0
    page = (tmp_path / "out" / "v.html").read_text()
    ahead = json.loads(re.findall(r'id="detection-data"[^>]*>(.*?)</script>', page, re.DOTALL)[0])["ahead"]
    assert ahead == pytest.approx(3.0, abs=0.1)


def test_sound_that_leads_as_encoders_make_it_is_not_told(tmp_path: Path) -> None:
    assert read(write_late(tmp_path / "v.mp4", 0.0)).notes == ()


@told
def test_late_pictures_of_the_field() -> None:
    reader = read(case("video_starts_3s_after_audio.mp4"))
    assert (reader.info.start_s, reader.timeline.duration_s) == (pytest.approx(3.0), pytest.approx(26.0))


def test_a_mirrored_clip_of_the_field() -> None:
    """Its pictures are those of the clip that is not mirrored, mirrored."""
    pairs = zip(*(ClipReader(case(n), NEEDS, RULE) for n in ("mirrored_hflip.mp4", "gap_2h.mp4")), strict=False)
    one, other = next(iter(pairs))
    np.testing.assert_allclose(one.gray[:, :, ::-1].astype(int), other.gray, atol=6)
    assert np.abs(one.gray.astype(int) - other.gray).mean() > 6


def test_turned_pictures_are_watched_upright(tmp_path: Path) -> None:
    read(turn(film(tmp_path / "v.mp4", 50), 90))
