"""Annotations of other tools: what is written is read again to the frame, and read as the tools mean it."""

import json
import shutil
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from annotation_cases import ALL, NTSC, Given, frames_of, named, there_and_back, video
from refinevad.annotations.annotated import Annotations, VideoFacts
from refinevad.annotations.known import NoVideos
from refinevad.annotations.reading import read_annotations
from refinevad.annotations.writing import write_annotations
from refinevad.errors import InputError
from refinevad.timeline import exact_rate

WRITTEN = [format.name for format in ALL if format.render is not None and format.name != "parquet"]
RATES = (Fraction(25), Fraction(30), NTSC, Fraction(24000, 1001), Fraction(60000, 1001), Fraction(10), Fraction(25, 2))


def _read(tmp_path: Path, name: str, text: object, known: object = None, rate: Fraction | None = None) -> Annotations:
    file = tmp_path / name
    file.write_text(text if isinstance(text, str) else json.dumps(text), encoding="utf-8")
    return read_annotations(file, known or NoVideos(), ALL, rate)


def _known(path: str = "f6.mp4", rate: Fraction = Fraction(25), frames: int = 250) -> Given:
    return Given({path: VideoFacts(rate, frames, float(frames / rate), (64, 48))})


@st.composite
def _sets(draw):
    """A few videos with stretches of frames, as any camera might give them."""
    letters = st.text("abcXYZäß漢 -_.&'\"", min_size=1, max_size=12).map(lambda t: " ".join(f"k{t}".split()))
    videos = []
    for place in range(draw(st.integers(1, 3))):
        rate, frames = draw(st.sampled_from(RATES)), draw(st.integers(2, 20_000))
        starts = st.tuples(st.integers(0, frames - 1), st.integers(1, 40), letters)
        chosen = draw(st.lists(starts, max_size=4, unique_by=lambda one: one[::2]))
        stretches = [(first, min(first + length, frames), category) for first, length, category in chosen]
        scores = draw(st.lists(st.floats(0, 1), min_size=len(stretches), max_size=len(stretches)))
        start = 1_764_300_000 + 4000 * place
        name = f"test/cam{place}-{start}-{start + 3600}.mp4"
        videos.append((name, stretches, rate, frames, scores))
    with_scores = draw(st.booleans())
    return [(n, s, r, f, "test", scores if with_scores else ()) for n, s, r, f, scores in videos]


@pytest.mark.parametrize("name", WRITTEN)
@given(drawn=_sets())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_is_written_is_read_again_to_the_frame(name: str, tmp_path: Path, drawn: list) -> None:
    videos = [video(*one) for one in drawn]
    folder = tmp_path / "made"
    folder.mkdir()
    try:
        if not any(one.spans for one in videos) and "normal" not in named(name).holds and name != "events":
            return  # nothing is said of them, which is told: below
        back = there_and_back(videos, named(name), folder)
    finally:
        shutil.rmtree(folder)
    rates = {one.path: one.facts.rate for one in videos}
    expected = frames_of(videos, rates)
    silent = name == "frigate"  # speaks of cameras that something happened on
    if silent:
        expected = {path: rows for path, rows in expected.items() if rows}
    assert frames_of(back.videos, rates) == expected
    if "scores" in named(name).holds and not silent:
        said = {one.path: sorted((s.score or 0.0) for s in one.spans) for one in videos}
        assert {one.path: pytest.approx(sorted((s.score or 0.0) for s in one.spans)) for one in back.videos} == said


def test_a_video_in_which_nothing_happens_stays_normal_or_is_told(tmp_path: Path) -> None:
    videos = [video("test/a.mp4", [(10, 20, "fight")], split="test"), video("test/b.mp4", [], split="test")]
    for name in WRITTEN:
        if name == "frigate":
            continue
        back = there_and_back(videos, named(name), tmp_path / name)
        assert {one.path: len(one.spans) for one in back.videos} == {"test/a.mp4": 1, "test/b.mp4": 0}, name
    notes = write_annotations(tmp_path / "events.csv", Annotations(tuple(videos)), named("events"))
    assert notes == (
        "events.csv cannot say 1 videos in which nothing happens: left out",
        "events.csv cannot say 2 splits: left out",
    )
    with_scores = [video("a.mp4", [(1, 5, "fight")], scores=[0.5])]
    notes = write_annotations(tmp_path / "a.srt", Annotations(tuple(with_scores)), named("srt"))
    assert notes == ("SRT cannot say 1 scores: left out",)


@pytest.mark.parametrize(
    ("written", "exact"),
    [
        *((29.97, NTSC), (30000 / 1001, NTSC), (14.985, NTSC / 2), (59.94, NTSC * 2)),
        *((23.976, Fraction(24000, 1001)), (23.98, Fraction(24000, 1001))),
        *((25.0, Fraction(25)), (30.0, Fraction(30)), (12.5, Fraction(25, 2))),
    ],
)
def test_a_rate_as_it_is_written_is_the_one_that_is_meant(written: float, exact: Fraction) -> None:
    assert exact_rate(written) == exact


# --- as the tools write them --------------------------------------------------------------------------------


def _task(result: list, **data: object) -> dict:
    return {
        "id": 7,
        "annotations": [{"id": 1, "result": result}],
        "predictions": [],
        "data": {"video": "f6.mp4", **data},
    }


def _region(first: int, last: int, label: str = "fight") -> dict:
    return {
        "type": "timelinelabels",
        "value": {"ranges": [{"start": first, "end": last}], "timelinelabels": [label]},
    }


def test_label_studio_counts_frames_from_1_and_includes_both(tmp_path: Path) -> None:
    read = _read(tmp_path, "export.json", [_task([_region(1, 25)])], _known())
    assert [(s.start_s, s.end_s, s.category) for s in read.videos[0].spans] == [(0.0, 1.0, "fight")]  # 25 frames of 25


def test_label_studio_names_an_upload_by_its_own_name_and_takes_the_ground_truth(tmp_path: Path) -> None:
    task = _task([_region(1, 10, "other")])
    task["data"]["video"] = "/data/upload/3/1a2b3c4d-f6.mp4"
    task["annotations"].append({"id": 2, "ground_truth": True, "result": [_region(11, 20)]})
    task["annotations"].append({"id": 3, "was_cancelled": True, "result": [_region(1, 2)]})
    task["annotations"].append({"id": 4, "result": [_region(1, 3)]})
    read = _read(tmp_path, "export.json", [task], _known("test/fight/f6.mp4"))
    assert read.videos[0].path == "test/fight/f6.mp4"
    assert [(s.start_s, s.end_s) for s in read.videos[0].spans] == [(0.4, 0.8)]
    assert read.notes == (f"{tmp_path / 'export.json'}: 2 further annotations of a task left aside",)
    local = _task([], video="/data/local-files/?d=clips%2Ftest/f6.mp4")
    assert _read(tmp_path, "local.json", [local]).videos[0].path == "clips/test/f6.mp4"


def test_label_studio_minimal_export_and_seconds(tmp_path: Path) -> None:
    task = {"id": 1, "annotation_id": 2, "video": "f6.mp4", "tl": [_region(26, 50)["value"]]}
    task["speech"] = [{"start": 1.5, "end": 2.5, "labels": ["shout"]}]
    spans = _read(tmp_path, "min.json", [task], _known()).videos[0].spans
    assert [(s.start_s, s.end_s, s.category) for s in spans] == [(1.0, 2.0, "fight"), (1.5, 2.5, "shout")]


def test_a_frame_rate_is_the_options_then_the_videos_then_the_files_and_else_refused(tmp_path: Path) -> None:
    def second(known: object, rate: Fraction | None, **data: object) -> float:
        return _read(tmp_path, "e.json", [_task([_region(101, 200)], **data)], known, rate).videos[0].spans[0].start_s

    assert second(_known(), Fraction(50), fps=10) == 2.0
    assert second(_known(), None, fps=10) == 4.0
    assert second(None, None, fps=10) == 10.0
    assert second(None, None, fps=29.97) == pytest.approx(100 * 1001 / 30000, abs=1e-12)
    with pytest.raises(InputError, match=r"neither the video f6\.mp4 is at hand nor does the file say its frame rate"):
        second(None, None)
    told = _read(tmp_path, "e.json", [_task([_region(101, 200)], fps=10)], _known()).notes
    assert "f6.mp4 (10 by e.json, 25 taken)" in told[0]


CVAT = """<?xml version="1.0" encoding="utf-8"?>
<annotations><version>1.1</version><meta><task><id>3</id><name>t</name><size>60</size><mode>interpolation</mode>
<start_frame>0</start_frame><stop_frame>59</stop_frame><frame_filter>{filter}</frame_filter><source>f6.mp4</source>
</task></meta>{body}</annotations>"""


def _box(frame: int, outside: int = 0) -> str:
    return f'<box frame="{frame}" outside="{outside}" keyframe="1" xtl="0" ytl="0" xbr="1" ybr="1" occluded="0"/>'


@pytest.mark.parametrize(
    ("body", "step", "expected"),
    [
        (f'<track id="0" label="a">{_box(10)}{_box(20)}{_box(30, 1)}</track>', "", [(10, 30)]),
        (f'<track id="0" label="a">{_box(5)}{_box(6)}</track>', "", [(5, 7)]),  # to the last frame, included
        (f'<track id="0" label="a">{_box(0)}{_box(4, 1)}{_box(8)}{_box(9, 1)}</track>', "", [(0, 4), (8, 9)]),
        (f'<track id="0" label="a">{_box(10)}{_box(15)}</track>', "step=5", [(10, 20)]),
        (
            '<image id="3" name="x"><tag label="a"/></image><image id="4" name="y"><tag label="a"/></image>',
            "",
            [(3, 5)],
        ),
    ],
)
def test_cvat_tracks_and_tags(tmp_path: Path, body: str, step: str, expected: list[tuple[int, int]]) -> None:
    read = _read(tmp_path, "annotations.xml", CVAT.format(body=body, filter=step), _known())
    assert frames_of(read.videos, {"f6.mp4": Fraction(25)}) == {"f6.mp4": [(a, b, "a") for a, b in expected]}


def test_cvat_project_has_a_task_for_each_video(tmp_path: Path) -> None:
    tasks = "".join(
        f"<task><id>{n}</id><name>n</name><source>{name}</source><subset>{split}</subset></task>"
        for n, name, split in ((1, "f6.mp4", "Train"), (2, "g7.mp4", "Test"))
    )
    track = f'<track id="0" label="fall" task_id="2" subset="Test">{_box(2)}{_box(4, 1)}</track>'
    text = f"<annotations><meta><project><id>1</id><tasks>{tasks}</tasks></project></meta>{track}</annotations>"
    read = _read(tmp_path, "p.xml", text, None, Fraction(2))
    found = {one.path: (one.split, [(s.start_s, s.end_s) for s in one.spans]) for one in read.videos}
    assert found == {"f6.mp4": ("Train", []), "g7.mp4": ("Test", [(1.0, 2.0)])}


def test_via_segments_by_select_and_text(tmp_path: Path) -> None:
    project = {
        "project": {"vid_list": ["1"]},
        "config": {},
        "attribute": {
            "1": {"aname": "what", "type": 4, "options": {"0": "fight", "1": "fall"}},
            "2": {"aname": "note", "type": 1, "options": {}},
        },
        "file": {"5": {"fid": "5", "fname": "f6.mp4", "type": 4}},
        "view": {"9": {"fid_list": ["5"]}},
        "metadata": {
            "9_a": {"vid": "9", "z": [1.0, 2.5], "xy": [], "av": {"1": "1"}},
            "9_b": {"vid": "9", "z": [4, 5], "xy": [], "av": {"2": "run away"}},
            "9_c": {"vid": "9", "z": [3.0], "xy": [2, 1, 1, 5, 5], "av": {"1": "0"}},
        },
    }
    read = _read(tmp_path, "via.json", project)
    assert [(s.start_s, s.end_s, s.category) for s in read.videos[0].spans] == [(1, 2.5, "fall"), (4, 5, "run away")]
    assert read.notes == (f"{tmp_path / 'via.json'}: 1 regions and points in time left aside",)


ELAN = """<?xml version="1.0" encoding="UTF-8"?><ANNOTATION_DOCUMENT AUTHOR="" DATE="" FORMAT="3.0" VERSION="3.0">
<HEADER MEDIA_FILE="" TIME_UNITS="{units}"><MEDIA_DESCRIPTOR MEDIA_URL="file:///C:/x/f%206.mp4" MIME_TYPE="video/mp4"
{origin} RELATIVE_MEDIA_URL="./f%206.mp4"/></HEADER>
<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="{start}"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="{end}"/>
<TIME_SLOT TIME_SLOT_ID="ts3"/></TIME_ORDER><TIER LINGUISTIC_TYPE_REF="d" TIER_ID="fight">
<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
<ANNOTATION_VALUE/></ALIGNABLE_ANNOTATION></ANNOTATION>
<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3">
<ANNOTATION_VALUE>x</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER></ANNOTATION_DOCUMENT>"""


@pytest.mark.parametrize(
    ("units", "origin", "start", "end", "expected"),
    [
        ("milliseconds", "", 334, 1001, (10, 30)),  # 10 and 30 frames of 30000/1001, rounded to 1 ms
        ("milliseconds", 'TIME_ORIGIN="1001"', 0, 1001, (30, 60)),
        ("NTSC-frames", "", 10, 30, (10, 30)),
    ],
)
def test_elan_times_are_put_back_on_their_frames(
    tmp_path: Path, units: str, origin: str, start: int, end: int, expected: tuple[int, int]
) -> None:
    text = ELAN.format(units=units, origin=origin, start=start, end=end)
    read = _read(tmp_path, "f 6.eaf", text, _known("f 6.mp4", NTSC))
    assert frames_of(read.videos, {"f 6.mp4": NTSC}) == {"f 6.mp4": [(*expected, "fight")]}
    assert read.notes == (f"{tmp_path / 'f 6.eaf'}: 1 annotations without times left aside",)


def test_fiftyone_support_is_from_1_both_included(tmp_path: Path) -> None:
    labels = {
        "classes": ["fight"],
        "labels": {"f6": [{"label": 0, "support": [1, 25]}, {"label": "x", "support": [26, 26]}]},
    }
    read = _read(tmp_path, "labels.json", labels, _known())
    assert frames_of(read.videos, {"f6.mp4": Fraction(25)}) == {"f6.mp4": [(0, 25, "fight"), (25, 26, "x")]}
    timed = {"classes": [], "labels": {"f6": [{"label": "x", "timestamps": [0.5, 1.25]}]}}
    assert [(s.start_s, s.end_s) for s in _read(tmp_path, "t.json", timed).videos[0].spans] == [(0.5, 1.25)]
    detections = {"_cls": "TemporalDetections", "detections": [{"label": "y", "support": [11, 20], "confidence": 0.5}]}
    sample = {"filepath": "/a/f6.mp4", "metadata": {"frame_rate": 10.0}, "tags": ["test"], "found": detections}
    (found,) = _read(tmp_path, "samples.json", {"samples": [sample]}).videos
    assert (found.split, found.spans[0].start_s, found.spans[0].end_s, found.spans[0].score) == ("test", 1.0, 2.0, 0.5)


def test_activitynet_database_and_results(tmp_path: Path) -> None:
    entry = {"duration": 10, "subset": "validation", "annotations": [{"segment": [1.5, 3], "label": "fight"}]}
    (found,) = _read(tmp_path, "a.json", {"version": "1.3", "database": {"f6": entry}}).videos
    assert (found.path, found.split, found.spans[0].end_s) == ("f6", "validation", 3.0)
    results = {"version": "1.3", "results": {"f6": [{"label": "fight", "score": 0.25, "segment": [0, 2]}]}}
    assert _read(tmp_path, "r.json", results).videos[0].spans[0].score == 0.25


def test_coco_vid_instances_are_runs_of_frames(tmp_path: Path) -> None:
    content = {
        "categories": [{"id": 4, "name": "fight"}],
        "videos": [{"id": 1, "name": "f6.mp4", "fps": 10}],
        "images": [{"id": 100 + n, "video_id": 1, "frame_id": n, "file_name": ""} for n in range(0, 40, 2)],
        "annotations": [
            {"id": n, "image_id": 100 + frame, "category_id": 4, "instance_id": instance, "bbox": [0, 0, 1, 1]}
            for n, (frame, instance) in enumerate([(4, 1), (6, 1), (8, 1), (8, 2), (20, 1)])
        ],
    }
    read = _read(tmp_path, "c.json", content)
    assert frames_of(read.videos, {"f6.mp4": Fraction(10)}) == {
        "f6.mp4": [(4, 10, "fight"), (8, 10, "fight"), (20, 22, "fight")]
    }


def test_frigate_reviews_are_events_of_the_recordings_they_lie_in(tmp_path: Path) -> None:
    items = [
        {"camera": "front", "start_time": 1764300010.0, "end_time": 1764300020.5, "severity": "alert"}
        | {"data": {"objects": ["person-verified", "car"]}},
        {"camera": "front", "start_time": 1764300700.0, "end_time": 1764300701.0, "data": {"objects": ["dog"]}},
        {"camera": "front", "start_time": 1764300030.0, "end_time": None, "data": {"objects": ["dog"]}},
    ]
    known = _known("front-1764300000-1764300600.mp4")
    read = _read(tmp_path, "review.json", items, known)
    spans = [(s.start_s, s.end_s, s.category) for s in read.videos[0].spans]
    assert spans == [(10.0, 20.52, "car"), (10.0, 20.52, "person")] or spans == [
        (10.0, 20.5, "car"),
        (10.0, 20.5, "person"),
    ]
    assert any("1 items outside the recordings" in note for note in read.notes)
    assert any("1 items without an end" in note for note in read.notes)
    with pytest.raises(InputError, match="no recording of front"):
        _read(tmp_path, "review.json", items)
    event = [{"camera": "front", "start_time": 1764300001, "end_time": 1764300002, "label": "fall", "top_score": 0.75}]
    assert _read(tmp_path, "events.json", event, known).videos[0].spans[0].score == 0.75


@pytest.mark.parametrize("suffix", ["srt", "vtt"])
def test_subtitles_of_the_kinds_that_people_have(tmp_path: Path, suffix: str) -> None:
    head, mark = ("WEBVTT - title\n\n", ".") if suffix == "vtt" else ("\ufeff", ",")
    text = f"{head}1\r\n00:00:00{mark}334 --> 00:00:01{mark}001\r\n<i>fight</i>\r\n\r\n"
    read = _read(tmp_path, f"f6.{suffix}", text, _known(rate=NTSC))
    assert frames_of(read.videos, {"f6.mp4": NTSC}) == {"f6.mp4": [(10, 30, "fight")]}


def test_names_are_found_among_many_at_once(tmp_path: Path) -> None:
    paths = [f"test/c{place % 50}/v{place:05d}.mp4" for place in range(5_000)]
    tasks = [_task([], video=f"/data/upload/1/0123abcd-v{place:05d}.mp4") for place in range(5_000)]
    read = _read(tmp_path, "e.json", tasks, Given(dict.fromkeys(paths, VideoFacts(Fraction(25)))))
    assert [one.path for one in read.videos] == paths


# --- names, and what is refused -----------------------------------------------------------------------------


def test_a_name_that_fits_two_videos_is_refused(tmp_path: Path) -> None:
    known = Given({name: VideoFacts(Fraction(25)) for name in ("a/f6.mp4", "b/f6.mp4", "b/g.mp4")})
    with pytest.raises(InputError, match=r"'f6.mp4' may be a/f6.mp4 or b/f6.mp4; call it by its path"):
        _read(tmp_path, "e.json", [_task([_region(1, 2)])], known)
    assert _read(tmp_path, "e.json", [_task([], video="x/b/f6.mp4")], known).videos[0].path == "b/f6.mp4"
    told = _read(tmp_path, "e.json", [_task([], video="gg.mp4")], known)
    assert told.notes == (f"{tmp_path / 'e.json'}: 1 of its videos are not there: gg.mp4 (nearest: b/g.mp4)",)


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        ("a.json", "[]", "is of no known format"),
        ("a.json", "{", "not JSON"),
        ("a.json", '[{"id": 1, "data": {}, "annotations": []}]', "data.video is None"),
        ("a.json", '[{"id": 1, "data": {"video": "a"}, "annotations": 3}]', "a list of objects is expected"),
        ("a.xml", "<annotations><meta>", "not XML"),
        ("a.xml", '<!DOCTYPE x [<!ENTITY e "e">]><annotations/>', "declares a document type"),
        ("a.xml", CVAT.format(body='<track id="0" label="a"><box frame="-1"/></track>', filter=""), "whole number"),
        ("a.eaf", ELAN.format(units="hours", origin="", start=1, end=2), "TIME_UNITS"),
        ("a.vtt", "00:01 --> 00:02\nx", "begins with WEBVTT"),
        (
            "a.json",
            '{"database": {"f6": {"annotations": [{"segment": [NaN, 1], "label": "x"}]}}}',
            "a number is expected",
        ),
        ("a.json", '{"database": {"f6": {"annotations": [{"segment": [-1, 1], "label": "x"}]}}}', "before the video"),
        ("a.csv", "path,start_s,end_s,category\na.mp4,x,1,fight\n", "line 2, column start_s"),
    ],
)
def test_what_is_not_as_its_format_is_is_one_sentence(tmp_path: Path, name: str, text: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence) as caught:
        _read(tmp_path, name, text)
    assert str(tmp_path / name) in str(caught.value)


def test_nothing_is_written_where_one_of_several_videos_cannot_be(tmp_path: Path) -> None:
    good = video("a.mp4", [(1, 2, "fight")])
    bad = video("b.mp4", [(1, 2, "<b>")])
    with pytest.raises(InputError, match="cannot be a subtitle"):
        write_annotations(tmp_path / "out", Annotations((good, bad)), named("srt"))
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="would be of two videos"):
        write_annotations(tmp_path / "out", Annotations((good, video("a.mkv", []))), named("srt"))
    with pytest.raises(InputError, match="can be read, not written"):
        write_annotations(tmp_path / "out", Annotations((good,)), named("detection"))


def test_parquet_says_everything(tmp_path: Path) -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    videos = [video("test/a.mp4", [(10, 20, "fight")], split="test", scores=[0.5]), video("b.mp4", [], split="test")]
    back = there_and_back(videos, named("parquet"), tmp_path)
    assert [(one.path, one.split, one.spans) for one in back.videos] == [(o.path, o.split, o.spans) for o in videos]
