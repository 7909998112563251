"""What refinevad writes for other tools is read by those tools' own libraries, and the other way round."""

import json
from fractions import Fraction
from pathlib import Path

import pytest

from annotation_cases import NTSC, Given, frames_of, named, video
from refinevad.annotations.annotated import Annotations, VideoFacts
from refinevad.annotations.reading import read_annotations
from refinevad.annotations.writing import write_annotations

STRETCHES = [(10, 20, "fight"), (15, 40, "theft"), (3000, 3010, "fight")]
FACTS = VideoFacts(NTSC, 4000, float(4000 / NTSC), (64, 48))


def _written(tmp_path: Path, name: str) -> Path:
    format = named(name)
    out = tmp_path / f"cam{format.suffix}"
    write_annotations(out, Annotations((video("cam.mp4", STRETCHES, NTSC, 4000),)), format)
    return out


def _read(path: Path) -> list[tuple[int, int, str]]:
    read = read_annotations(path, Given({"cam.mp4": FACTS}))
    return frames_of(read.videos, {"cam.mp4": NTSC})["cam.mp4"]


def _ms(frame: int) -> int:
    return round(Fraction(frame) / NTSC * 1000)


def test_elan_by_pympi(tmp_path: Path) -> None:
    elan = pytest.importorskip("pympi.Elan", reason="pympi-ling is not installed")
    eaf = elan.Eaf(str(_written(tmp_path, "elan")))
    rows = [row[:3] for tier in eaf.get_tier_names() for row in eaf.get_annotation_data_for_tier(tier)]
    assert sorted(rows) == sorted((_ms(a), _ms(b), category) for a, b, category in STRETCHES)
    own = elan.Eaf()
    own.add_linked_file("cam.mp4", "./cam.mp4", "video/mp4")
    own.add_tier("what")
    for first, end, category in STRETCHES[::2]:
        own.add_annotation("what", _ms(first), _ms(end), category)
    own.to_file(str(tmp_path / "own.eaf"))
    assert _read(tmp_path / "own.eaf") == sorted(STRETCHES[::2])


def test_webvtt_by_webvtt_py(tmp_path: Path) -> None:
    webvtt = pytest.importorskip("webvtt", reason="webvtt-py is not installed")
    captions = webvtt.read(str(_written(tmp_path, "webvtt")))
    found = [(round(c.start_in_seconds * 1000) // 1000, c.text) for c in captions]
    assert sorted(found) == sorted((_ms(a) // 1000, category) for a, _, category in STRETCHES)
    own = webvtt.WebVTT()
    own.captions.append(webvtt.Caption("00:00:00.334", "00:00:01.001", "fight"))
    own.save(str(tmp_path / "cam.vtt"))
    assert _read(tmp_path / "cam.vtt") == [(10, 30, "fight")]


@pytest.mark.parametrize(("name", "suffix"), [("srt", "srt"), ("webvtt", "vtt")])
def test_subtitles_by_pysubs2(tmp_path: Path, name: str, suffix: str) -> None:
    pysubs2 = pytest.importorskip("pysubs2", reason="pysubs2 is not installed")
    subtitles = pysubs2.load(str(_written(tmp_path, name)))
    assert sorted((e.start, e.end, e.plaintext) for e in subtitles) == sorted(
        (_ms(a), _ms(b), category) for a, b, category in STRETCHES
    )
    own = pysubs2.SSAFile()
    for first, end, category in STRETCHES:
        own.append(pysubs2.SSAEvent(start=_ms(first), end=_ms(end), text=category))
    own.save(str(tmp_path / f"cam.{suffix}"))
    assert _read(tmp_path / f"cam.{suffix}") == sorted(STRETCHES)


def test_coco_vid_by_pycocotools(tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco", reason="pycocotools is not installed")
    file = _written(tmp_path, "coco-vid")
    api = coco.COCO(str(file))
    frame_of = {image["id"]: image["frame_id"] for image in api.loadImgs(api.getImgIds())}
    fight = api.getCatIds(catNms=["fight"])
    frames = sorted(frame_of[box["image_id"]] for box in api.loadAnns(api.getAnnIds(catIds=fight)))
    assert frames == [*range(10, 20), *range(3000, 3010)]
    assert json.loads(file.read_text())["videos"][0]["fps"] == pytest.approx(29.97, abs=1e-3)
