"""The feature store: what is written comes back, whole or not at all, and says where it comes from."""

import json
import os
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from patience import patience
from refinevad.errors import InputError
from refinevad.features.store import (
    Features,
    Provenance,
    StoredFeatures,
    load_features,
    map_values,
    read_provenance,
    require_same_signature,
    save_features,
)
from refinevad.files.whole import atomic_write
from refinevad.timeline import SegmentRule, Timeline

PROVENANCE = Provenance(
    encoder={"name": "means", "weights_sha256": "ab" * 32, "preprocessing": {"rgb_size": (8, 8)}},
    rule={"seconds": 0.64},
    sampling={"rgb_frames": 1, "rgb_size": [8, 8]},
    source={"name": "v.mp4", "width": 48, "height": 32, "rate_hz": 25.0, "duration_s": 2.0, "codec": "h264"},
    parts={"appearance": (0, 3), "motion": (3, 4)},
    version="0.1.0",
)


def features(seed: int = 0) -> Features:
    timeline = Timeline.uniform(50, 25.0, SegmentRule.default())
    values = np.random.default_rng(seed).normal(size=(timeline.segments, 4)).astype(np.float32)
    return Features(values, timeline, PROVENANCE)


def test_roundtrip(tmp_path: Path) -> None:
    written = features()
    save_features(tmp_path / "new" / "v.safetensors", written)
    read = load_features(tmp_path / "new" / "v.safetensors")
    np.testing.assert_allclose(read.values, written.values, rtol=2**-11)  # half precision rounds to 11 bits
    assert read.values.dtype == np.float32
    assert read.timeline.frame_bounds.tolist() == [0, 16, 32, 48, 50]
    assert read.timeline.time_bounds.tolist() == written.timeline.time_bounds.tolist()
    assert read.provenance.signature == written.provenance.signature
    assert read.provenance.parts == {"appearance": (0, 3), "motion": (3, 4)}
    np.testing.assert_array_equal(read.part("motion"), read.values[:, 3:4])
    with pytest.raises(InputError, match="no part 'sound'"):
        read.part("sound")


def test_large_values_keep_their_size(tmp_path: Path) -> None:
    written = features()
    written.values[0, 0] = 1e6  # beyond half precision's 65,504
    save_features(tmp_path / "v.safetensors", written)
    assert load_features(tmp_path / "v.safetensors").values[0, 0] == 1e6


def test_any_tool_can_read_the_header(tmp_path: Path) -> None:
    """By the safetensors format: eight bytes of length, then JSON with __metadata__."""
    save_features(tmp_path / "v.safetensors", features())
    content = (tmp_path / "v.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    provenance = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["provenance"])
    assert provenance["encoder"]["name"] == "means"
    assert provenance["encoder"]["weights_sha256"] == "ab" * 32
    assert provenance["encoder"]["preprocessing"] == {"rgb_size": [8, 8]}
    assert provenance["rule"] == {"seconds": 0.64}
    assert provenance["sampling"]["rgb_frames"] == 1
    assert {"width", "height", "rate_hz", "duration_s"} <= set(provenance["source"])
    assert provenance["version"] == "0.1.0"


def test_a_failing_write_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "v.safetensors"
    save_features(path, features(0))
    before = path.read_bytes()

    def full(arrays: object, partial: Path, metadata: object) -> None:
        partial.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("refinevad.features.store.save_file", full)
    with pytest.raises(InputError, match=r"cannot write .*No space left"):
        save_features(path, features(1))
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["v.safetensors"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_write_leaves_nothing(error: type[BaseException], tmp_path: Path) -> None:
    def interrupted() -> None:
        with atomic_write(tmp_path / "new" / "file.json") as partial:
            partial.write_text("{")
            raise error

    with pytest.raises(error):
        interrupted()
    assert list((tmp_path / "new").iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next_write(tmp_path: Path) -> None:
    program = (
        "import os, sys, pathlib; from refinevad.files.whole import atomic_write\n"
        "with atomic_write(pathlib.Path(sys.argv[1])) as partial:\n"
        "    partial.write_text('half'); os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "a.b.json")], timeout=patience(60))
    assert done.returncode == -9
    assert len(list(tmp_path.iterdir())) == 1
    others = {f".mine.{os.getppid()}.partial.json", ".notes.partial.json", "v.123.partial.json"}
    for name in others:  # of a living process, or none of ours
        (tmp_path / name).touch()
    with atomic_write(tmp_path / "other.json") as partial:
        partial.write_text("{}")
    assert {path.name for path in tmp_path.iterdir()} == {"other.json", *others}


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write"):
        save_features(tmp_path / "file" / "v.safetensors", features())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_refused(value: float, tmp_path: Path) -> None:
    bad = features()
    bad.values[2, 1] = value
    save_features(tmp_path / "v.safetensors", bad)
    with pytest.raises(InputError, match=r"NaN or infinite values in 1 of 4 segments \(first: segment 2\)"):
        load_features(tmp_path / "v.safetensors")


def _sentence(expected: Provenance, found: Provenance) -> str:
    with pytest.raises(InputError) as caught:
        require_same_signature(expected.signature, found, "v.safetensors")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_other_features_are_refused_in_one_sentence() -> None:
    require_same_signature(PROVENANCE.signature, replace(PROVENANCE, source={}, version="9"), "v.safetensors")
    other = replace(PROVENANCE, encoder={**PROVENANCE.encoder, "name": "clip"})
    assert "by encoder 'clip', the model expects 'means' (they differ in name)" in _sentence(PROVENANCE, other)
    other = replace(PROVENANCE, encoder={**PROVENANCE.encoder, "weights_sha256": "cd" * 32})
    assert "they differ in weights_sha256" in _sentence(PROVENANCE, other)
    other = replace(PROVENANCE, encoder={**PROVENANCE.encoder, "preprocessing": {"rgb_size": [9, 8]}})
    assert "they differ in preprocessing" in _sentence(PROVENANCE, other)
    other = replace(PROVENANCE, rule={"frames": 16})
    assert "segments of 16 frames, the model was trained on 0.64 seconds" in _sentence(PROVENANCE, other)


def _foreign(path: Path) -> None:
    save_file({"values": np.zeros((2, 2), np.float32)}, path)


def _headless(path: Path) -> None:
    save_features(path, features())
    with safe_open(path, framework="numpy") as file:
        arrays = {name: file.get_tensor(name) for name in ("values", "frame_bounds", "time_bounds")}
    save_file(arrays, path, metadata={"format": "refinevad-features-1", "provenance": "{"})


def _without_times(path: Path) -> None:
    header = {"format": "refinevad-features-1", "provenance": json.dumps({"encoder": {}, "rule": {}, "parts": {}})}
    save_file({"values": np.zeros((2, 2), np.float32)}, path, metadata=header)


def _short(path: Path) -> None:
    save_features(path, features())
    path.write_bytes(path.read_bytes()[:-8])


_WHOLE = {
    "values": np.zeros((2, 3), np.float32),
    "frame_bounds": np.array([0, 16, 32]),
    "time_bounds": np.array([0.0, 0.64, 1.28]),
}
_HEADER = {"encoder": {}, "rule": {}, "parts": {"motion": [0, 3]}}


@pytest.mark.parametrize(
    ("arrays", "header"),
    [
        ({"values": np.zeros(2, np.float32)}, {}),
        ({"values": np.zeros((), np.float32)}, {}),
        ({"values": np.zeros((2, 3), np.int64)}, {}),
        ({"values": np.zeros((2, 3), np.complex64)}, {}),
        ({"frame_bounds": np.array(0)}, {}),
        ({"frame_bounds": np.array([[0, 16, 32]])}, {}),
        ({"frame_bounds": np.array([0.0, 16.0, 32.0])}, {}),
        ({"frame_bounds": np.array([-16, 0, 16])}, {}),
        ({"frame_bounds": np.array([0, 16, 2**62])}, {}),
        ({"frame_bounds": np.array([5, 16, 32])}, {}),
        ({"time_bounds": np.array(0.0)}, {}),
        ({"time_bounds": np.array([0.0, np.nan, 1.28])}, {}),
        ({"time_bounds": np.array([0.0, 0.64, np.inf])}, {}),
        ({"time_bounds": np.array([0.0, 0.64, 1e300])}, {}),
        ({"time_bounds": np.array([0, 1, 2])}, {}),
        ({"early_ends": np.array([0.5, np.nan])}, {}),
        ({"early_ends": np.array(0.5)}, {}),
        ({}, {"encoder": []}),
        ({}, {"encoder": "lite"}),
        ({}, {"rule": None}),
        ({}, {"source": 5}),
        ({}, {"sampling": []}),
        ({}, {"version": 5}),
        ({}, {"parts": {"motion": [0, 4]}}),
        ({}, {"parts": {"motion": [-1, 3]}}),
        ({}, {"parts": {"motion": [2, 1]}}),
        ({}, {"parts": {"motion": [0, 1e999]}}),
        ({}, {"parts": {"motion": ["0", "3"]}}),
        ({}, {"parts": [1]}),
        ({}, {"strange": 1}),
    ],
    ids=str,
)
def test_arrays_and_headers_that_do_not_fit_are_one_sentence(
    arrays: dict[str, np.ndarray], header: dict[str, object], tmp_path: Path
) -> None:
    path = tmp_path / "v.safetensors"

    def write(arrays: dict[str, np.ndarray], header: dict[str, object]) -> None:
        metadata = {"format": "refinevad-features-1", "provenance": json.dumps({**_HEADER, **header})}
        save_file({**_WHOLE, **arrays}, path, metadata=metadata)

    write({}, {})
    assert load_features(path).timeline.frames == 32
    write(arrays, header)
    with pytest.raises(InputError, match=r"v\.safetensors"):
        load_features(path)
    with pytest.raises(InputError, match=r"v\.safetensors"):
        _ = StoredFeatures(path).values


@pytest.mark.parametrize("text", ["[" * 100_000, '{"encoder": ' + "9" * 5000 + "}", "[" * 900 + "]" * 900, "[]", "5"])
def test_a_header_that_is_no_provenance_is_one_sentence(text: str, tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    save_file(_WHOLE, path, metadata={"format": "refinevad-features-1", "provenance": text})
    with pytest.raises(InputError, match=r"header of .*v\.safetensors"):
        load_features(path)


@pytest.mark.parametrize(("kind", "bytes_each"), [("BF16", 2), ("F8_E4M3", 1)])
@pytest.mark.parametrize("name", ["values", "time_bounds"])
def test_numbers_that_numpy_has_not_are_one_sentence(kind: str, bytes_each: int, name: str, tmp_path: Path) -> None:
    """A header by hand: `safetensors` writes no such arrays from NumPy's."""
    shapes = {"values": [2, 3], "frame_bounds": [3], "time_bounds": [3]}
    kinds = {"values": ("F32", 4), "frame_bounds": ("I64", 8), "time_bounds": ("F64", 8), name: (kind, bytes_each)}
    described: dict[str, object] = {
        "__metadata__": {"format": "refinevad-features-1", "provenance": json.dumps(_HEADER)}
    }
    end = 0
    for array, shape in shapes.items():
        begin, end = end, end + int(np.prod(shape)) * kinds[array][1]
        described[array] = {"dtype": kinds[array][0], "shape": shape, "data_offsets": [begin, end]}
    head = json.dumps(described).encode()
    path = tmp_path / "v.safetensors"
    path.write_bytes(len(head).to_bytes(8, "little") + head + bytes(end))
    with pytest.raises(InputError, match=r"v\.safetensors"):
        load_features(path)


@pytest.mark.parametrize("length", [0, 1, 2**32, 2**63 - 1, 2**64 - 1])
def test_a_header_whose_length_is_no_length_is_one_sentence(length: int, tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    save_features(path, features())
    path.write_bytes(length.to_bytes(8, "little") + path.read_bytes()[8:])
    for read in (load_features, map_values):
        with pytest.raises(InputError, match=r"v\.safetensors"):
            read(path)


@pytest.mark.parametrize(
    ("begin", "end", "shape", "kind"),
    [
        (0, 24, [2, -3], "F32"),
        (0, 24, [2**40, 3], "F32"),
        (-8, 16, [2, 3], "F32"),
        (0, 24, [6], "F32"),
        (0, float("inf"), [2, 3], "F32"),
        (0, 24, [2, 3], ["F32"]),
        (0, 24, "23", "F32"),
        (0, 24, [2, 3.5], "F32"),
        (0, 24, {"a": 1}, "F32"),
    ],
)
def test_a_map_of_what_is_not_there_is_one_sentence(
    begin: object, end: object, shape: object, kind: object, tmp_path: Path
) -> None:
    head = json.dumps({"values": {"dtype": kind, "shape": shape, "data_offsets": [begin, end]}}).encode()
    path = tmp_path / "v.safetensors"
    path.write_bytes(len(head).to_bytes(8, "little") + head + bytes(24))
    with pytest.raises(InputError, match=r"v\.safetensors"):
        map_values(path)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda path: None, "not found"),
        (lambda path: path.write_text("not a tensor"), "cannot be read"),
        (lambda path: path.touch(), "cannot be read"),
        (lambda path: path.mkdir(), "cannot be read"),
        (_short, "cannot be read"),
        (_foreign, "no refinevad features"),
        (_headless, "header of"),
        (_without_times, "not whole"),
    ],
)
def test_anything_else_is_refused(write, words: str, tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    write(path)
    with pytest.raises(InputError, match=words) as caught:
        load_features(path)
    assert str(path) in str(caught.value)
    if write is not _without_times:
        with pytest.raises(InputError):
            read_provenance(path)
