"""Predictions of any form, laid over the frames of the truth."""

import io
import json
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from refinevad.datasets import npy
from refinevad.errors import InputError
from refinevad.judging.localisation import TrueSpan
from refinevad.judging.predictions import Adjustment, VideoPrediction, align, read_predictions
from refinevad.judging.protocol import evaluate_predictions
from refinevad.judging.truth import Truth, VideoTruth
from refinevad.timeline import SegmentRule, Timeline

RULE = SegmentRule(frames=16)


def _truth(**frames: int) -> Truth:
    """Videos by frames; the first is anomalous in its first 16 frames."""
    videos = []
    for i, (name, count) in enumerate(frames.items()):
        labels = () if i else ("fire",)
        spans = () if i else (TrueSpan(0, 16, "fire"),)
        anomalous = () if i else ((0, 16),)
        videos.append(VideoTruth(name, labels, Timeline.uniform(count, 30.0, RULE), spans, anomalous))
    return Truth(("normal", "fire", "fight"), tuple(videos))


def _scores(*values: float) -> VideoPrediction:
    return VideoPrediction.of(np.array(values))


def test_three_forms_say_the_same(tmp_path: Path) -> None:
    arrays = {"a": np.array([[0.9, 0.1, 0.0], [0.25, 0.5, 0.25]]), "b": np.array([0.5, 0.125])}
    np.savez(tmp_path / "p.npz", **arrays)
    save_file(arrays, tmp_path / "p.safetensors")
    (tmp_path / "p.json").write_text(json.dumps({name: values.tolist() for name, values in arrays.items()}))
    for suffix in ("npz", "safetensors", "json"):
        read = read_predictions(tmp_path / f"p.{suffix}")
        assert read["a"].scores == pytest.approx([0.1, 0.75])
        assert read["a"].probabilities is not None
        assert read["b"].scores.tolist() == [0.5, 0.125]
        assert read["b"].probabilities is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([0.1, None], "NaN"),
        ([[0.1, 0.9], [0.1]], "equal lists"),
        ("high", "not a list of numbers"),
        ([], "shape"),
        ([[[0.1]]], "shape"),
        ([[0.1], [0.2]], "single column"),
        ([0.1, float("nan")], "NaN"),
        ([[3.0, -1.0]], "not logits"),
    ],
)
def test_wrong_numbers_are_named(tmp_path: Path, values: object, said: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps({"a": values}))
    with pytest.raises(InputError, match="'a'") as error:
        read_predictions(path)
    assert said in str(error.value)


def _npz(path: Path, member: bytes, compression: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("a.npy", member)


def _npy(values: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, values)
    return file.getvalue()


def _overwritten(path: Path, signature: bytes, offset: int, value: int) -> None:
    """Write two bytes behind each record of a ZIP file that begins with `signature`."""
    data = bytearray(path.read_bytes())
    at = data.find(signature)
    while at >= 0:
        struct.pack_into("<H", data, at + offset, value)
        at = data.find(signature, at + 4)
    path.write_bytes(data)


_LOCAL, _CENTRAL = b"PK\x03\x04", b"PK\x01\x02"  # a ZIP file's records of one member


def _claimed(path: Path, shape: str, descr: str = "'<f8'") -> None:
    """An array of 8 numbers whose header says another shape."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    head = b"\x93NUMPY\x01\x00" + struct.pack("<H", 118) + text.ljust(117) + b"\n"
    _npz(path, head + bytes(64))


def _unknown_compression(path: Path) -> None:
    _npz(path, _npy(np.zeros(8)))
    _overwritten(path, _LOCAL, 8, 97)
    _overwritten(path, _CENTRAL, 10, 97)


def _encrypted(path: Path, flags: int) -> None:
    _npz(path, _npy(np.zeros(8)))
    _overwritten(path, _LOCAL, 6, flags)
    _overwritten(path, _CENTRAL, 8, flags)


def _one_bit_off(path: Path, compression: int) -> None:
    _npz(path, _npy(np.arange(100.0)), compression)
    data = bytearray(path.read_bytes())
    data[150] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_unknown_compression, "compression method"),
        (lambda path: _encrypted(path, 0x01), "encrypted"),
        (lambda path: _encrypted(path, 0x41), "encryption"),
        (lambda path: _one_bit_off(path, zipfile.ZIP_STORED), "CRC"),
        (lambda path: _one_bit_off(path, zipfile.ZIP_DEFLATED), "damaged"),
        (lambda path: _one_bit_off(path, zipfile.ZIP_BZIP2), "damaged"),
        (lambda path: _one_bit_off(path, zipfile.ZIP_LZMA), "damaged"),
        (lambda path: _claimed(path, "(1099511627776,)"), "damaged"),
        (lambda path: _claimed(path, "(9" + "0" * 20 + ",)"), "damaged"),
        (lambda path: _claimed(path, "(-8,)"), "damaged"),
        (lambda path: _claimed(path, "(True, 8)"), "damaged"),
        (lambda path: _claimed(path, "8"), "damaged"),
        (lambda path: _claimed(path, "(8,)", "[('a', '<f8')]"), "not numbers"),
        (lambda path: _claimed(path, "(4,)", "'<c16'"), "not numbers"),
        (lambda path: _claimed(path, "((" + "(" * 40 + "),)"), "damaged"),
        (lambda path: _npz(path, b"no array"), "damaged"),
        (lambda path: _npz(path, b""), "damaged"),
        (lambda path: path.write_bytes(_npy(np.zeros(8))), "numpy.savez"),
        (lambda path: path.write_bytes(_npy(np.zeros(8)).replace(b"(8,)", b"(1" + b"0" * 12 + b",)")), "numpy.savez"),
        (lambda path: path.mkdir(), "not found"),
    ],
)
def test_an_archive_that_is_not_whole_is_one_sentence(
    make: Callable[[Path], object], said: str, tmp_path: Path
) -> None:
    make(tmp_path / "p.npz")
    with pytest.raises(InputError, match=r"p\.npz") as error:
        read_predictions(tmp_path / "p.npz")
    assert said in str(error.value)


def test_an_archive_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(npy, "MOST_ARCHIVE_BYTES", 10_000)
    np.savez_compressed(tmp_path / "p.npz", a=np.zeros(800), b=np.zeros(500))
    assert (tmp_path / "p.npz").stat().st_size < 1000
    with pytest.raises(InputError, match=r"holds 10,656 bytes of arrays; at most 10,000"):  # 1300 of 8, headers of 128
        read_predictions(tmp_path / "p.npz")


def test_archives_of_every_usual_kind_are_read(tmp_path: Path) -> None:
    path, scores = tmp_path / "p.npz", np.array([0.25, 0.5])
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        for values in (scores, scores.astype("<f2"), scores.astype(">f4"), np.asfortranarray(scores[None].T)[:, 0]):
            _npz(path, _npy(values), compression)
            assert read_predictions(path)["a"].scores.tolist() == [0.25, 0.5]
    table = np.array([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]])
    _npz(path, _npy(np.asfortranarray(table)))
    assert read_predictions(path)["a"].scores.tolist() == [0.75, 0.0, 0.5]


@pytest.mark.parametrize(("kind", "bytes_each"), [("BF16", 2), ("F8_E4M3", 1), ("F8_E5M2", 1)])
def test_numbers_that_numpy_has_not_are_named(kind: str, bytes_each: int, tmp_path: Path) -> None:
    header = json.dumps({"a": {"dtype": kind, "shape": [2], "data_offsets": [0, 2 * bytes_each]}}).encode()
    (tmp_path / "p.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(2 * bytes_each))
    with pytest.raises(InputError, match=r"p\.safetensors.* float32"):
        read_predictions(tmp_path / "p.safetensors")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": [0.5, 1' + "0" * 400 + "]}", "is not JSON"),
        ('{"a": [[0.5, 0.5], [1' + "0" * 400 + ", 0]]}", "is not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "is not JSON"),
        ('{"a": ' + "[" * 40 + "0.5" + "]" * 40 + "}", "'a'"),
        ('{"a": ' + "[" * 900 + "0.5" + "]" * 900 + "}", "is not JSON"),
        ('{"a": {"0": 0.5}}', "'a'"),
        ('{"a": ["0.5"]}', "'a'"),
        ('{"a": "0.5"}', "'a'"),
        ('{"a": 1e999}', "'a'"),
        ('{"a": [1e999]}', "'a'"),
    ],
)
def test_json_that_holds_no_scores_is_one_sentence(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(InputError, match=r"p\.json") as error:
        read_predictions(tmp_path / "p.json")
    assert said in str(error.value)


def test_pickles_and_other_files_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "p.npz", a=np.array([{"code": 1}], dtype=object))
    with pytest.raises(InputError, match="Python objects"):
        read_predictions(tmp_path / "p.npz")
    for name, said in (
        ("x.npz", "damaged"),
        ("x.safetensors", "safetensors"),
        ("x.json", "JSON"),
        ("x.pkl", "must be"),
    ):
        (tmp_path / name).write_bytes(b"\x80junk")
        with pytest.raises(InputError, match=said):
            read_predictions(tmp_path / name)
    with pytest.raises(InputError, match="not found"):
        read_predictions(tmp_path / "absent.npz")
    (tmp_path / "twice.json").write_text('{"a": [0.1], "a": [0.9]}')
    with pytest.raises(InputError, match="'a' stands twice; keep one"):
        read_predictions(tmp_path / "twice.json")
    (tmp_path / "mark.json").write_text('{"a": [0.5]}', encoding="utf-8-sig")
    assert list(read_predictions(tmp_path / "mark.json")) == ["a"]
    (tmp_path / "e.json").write_text("{}")
    with pytest.raises(InputError, match="no video"):
        read_predictions(tmp_path / "e.json")


def test_what_does_not_fit_is_cut_or_padded_and_said() -> None:
    truth = _truth(a=48, b=48, c=40)
    predictions = {"a": _scores(0.3, 0.2), "b": _scores(0.1, 0.2, 0.3, 0.4), "c": _scores(0.5, 0.6, 0.7)}
    alignment = align(predictions, truth)
    assert [video.prediction.scores.tolist() for video in alignment.videos] == [
        [0.3, 0.2, 0.2],
        [0.1, 0.2, 0.3],
        [0.5, 0.6, 0.7],
    ]
    assert alignment.videos[2].frame_bounds.tolist() == [0, 16, 32, 40]
    assert alignment.adjusted == (Adjustment("a", 2, 3, "padded"), Adjustment("b", 4, 3, "cut"))


def test_one_length_for_all_is_stretched_but_only_where_it_does_not_fit() -> None:
    predictions = {"a": _scores(0.1, 0.2), "b": _scores(0.3, 0.4)}
    stretched = align(predictions, _truth(a=32, b=75))
    assert stretched.videos[1].frame_bounds.tolist() == [0, 38, 75]
    assert stretched.adjusted == (Adjustment("b", 2, 5, "stretched"),)
    assert align(predictions, _truth(a=32, b=32)).adjusted == ()
    assert align(predictions, _truth(a=32, b=75), "repeat").adjusted == (Adjustment("b", 2, 5, "padded"),)


def test_one_score_a_frame_is_understood_and_told() -> None:
    """Frames as they are (48, 40), or filled up to whole segments of 16 (48, 48), as repeating 16 times leaves them."""
    for last in (40, 48):
        scores = {"a": _scores(*np.arange(48) / 48), "b": _scores(*np.arange(last) / 48)}
        alignment = align(scores, _truth(a=48, b=40))
        assert [video.frame_bounds.tolist() for video in alignment.videos] == [list(range(49)), list(range(41))]
        assert alignment.videos[1].prediction.scores.tolist() == (np.arange(40) / 48).tolist()
        assert alignment.adjusted == (Adjustment("a", 48, 3, "one a frame"), Adjustment("b", last, 3, "one a frame"))
    truth = _truth(a=48, b=48)
    scores = {"a": _scores(*[0.9] * 16, *[0.1] * 32), "b": _scores(*[0.1] * 48)}
    assert evaluate_predictions(scores, truth, "strict")["auc"] == 1.0  # the 16 anomalous frames above all others


def test_far_more_scores_than_segments_are_not_guessed_at() -> None:
    predictions = {"a": _scores(0.5, 0.5, 0.5), "b": _scores(*[0.5] * 30)}
    with pytest.raises(InputError, match="'b' has 30 scores for 3 segments and 40 frames: neither one a segment nor"):
        align(predictions, _truth(a=48, b=40))
    assert align(predictions, _truth(a=48, b=40), "repeat").adjusted == (Adjustment("b", 30, 3, "cut"),)


def test_far_fewer_scores_than_segments_are_not_guessed_at() -> None:
    """Else the last of 4 scores would stand for 36 more segments, and figures be made of it."""
    few = {"a": _scores(0.5, 0.5, 0.5), "b": _scores(*[0.5] * 4)}
    with pytest.raises(InputError, match="'b' has 4 scores for 40 segments and 640 frames: neither one a segment nor"):
        align(few, _truth(a=48, b=640))
    with pytest.raises(InputError, match="'b' has 11 scores for 40 segments"):  # one video tells of no common length
        align({"b": _scores(*[0.5] * 11)}, _truth(b=640))
    assert align(few, _truth(a=48, b=640), "repeat").adjusted == (Adjustment("b", 4, 40, "padded"),)
    assert align({"b": _scores(*[0.5] * 12)}, _truth(b=640)).adjusted == (Adjustment("b", 12, 40, "padded"),)


def test_names_with_points_are_whole_and_no_prediction_is_taken_twice() -> None:
    """`cam.1` has no suffix to be left off."""
    truth = _truth(**{"cam.1": 32, "cam.2": 32})
    with pytest.raises(InputError, match=r"2 of 3 videos have no prediction, 'cam\.1' first \(nearest: cam\)"):
        align({"cam": _scores(0.1), "v": _scores(0.2)}, _truth(**{"cam.1": 32, "cam.2": 32, "v": 32}))
    with pytest.raises(InputError, match="share no video"):
        align({"cam": _scores(0.1)}, truth)
    with pytest.raises(InputError, match=r"'a\.mp4' and 'a\.avi' both have the prediction 'a'"):
        align({"a": _scores(0.1)}, _truth(**{"a.mp4": 32, "a.avi": 32}))


@given(st.integers(1, 40), st.integers(1, 200))
def test_stretching_is_the_floor_rule(scores: int, frames: int) -> None:
    prediction = VideoPrediction.of(np.arange(scores) / scores)
    (video,) = align({"a": prediction}, _truth(a=frames), "stretch").videos
    per_frame = np.repeat(video.prediction.scores, np.diff(video.frame_bounds))
    assert per_frame.tolist() == [prediction.scores[scores * i // frames] for i in range(frames)]


def test_missing_and_unknown_videos_are_never_silent() -> None:
    truth = _truth(a=32, b=32)
    with pytest.raises(InputError, match="1 of 2 videos have no prediction, 'b'"):
        align({"a": _scores(0.1, 0.2)}, truth)
    alignment = align({"a.mp4": _scores(0.1, 0.2), "z": _scores(0.5)}, truth, allow_missing=True)
    assert alignment.adjusted == (Adjustment("b", 0, 2, "missing"), Adjustment("z", 1, 0, "ignored"))
    with pytest.raises(InputError, match="share no video"):
        align({"z": _scores(0.5)}, truth)


def test_columns_must_be_the_truths() -> None:
    with pytest.raises(InputError, match="2 columns, the truth has 3"):
        align({"a": VideoPrediction.of(np.full((2, 2), 0.5))}, _truth(a=32))


def test_the_protocol_names_its_figures() -> None:
    truth = _truth(a=32, b=32)
    sure = np.array([[0.1, 0.9, 0.0], [0.9, 0.1, 0.0]])
    predictions = {
        "a": VideoPrediction.of(sure),
        "b": VideoPrediction.of(np.array([[0.8, 0.1, 0.1], [0.95, 0.0, 0.05]])),
    }
    figures = evaluate_predictions(predictions, truth, "strict")
    assert (figures["frames"], figures["anomalous_frames"]) == (64, 16)
    assert figures["auc"] == figures["ap"] == figures["ap_trapezoid"] == figures["ano_auc"] == figures["video_auc"] == 1
    assert figures["far"] == 0
    assert figures["map"] == {f"0.{i}": pytest.approx(100) for i in range(1, 6)}
    assert figures["map_average"] == pytest.approx(100)
    assert figures["category_accuracy"] == 1
    assert figures["confusion"] == [[1, 0], [0, 0]]
    json.dumps(figures, allow_nan=False)


def test_undefined_figures_are_none() -> None:
    truth = _truth(a=32)  # no normal video
    figures = evaluate_predictions({"a": _scores(0.1, 7.0)}, truth, "legacy")
    assert [figures[name] for name in ("map", "map_average", "far", "video_auc", "ece", "category_accuracy")] == [
        None
    ] * 6
    assert figures["auc"] == 0
