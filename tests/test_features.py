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

from refinevad.errors import InputError
from refinevad.features import (
    Features,
    Provenance,
    load_features,
    read_provenance,
    require_same_signature,
    save_features,
)
from refinevad.files import atomic_write
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

    monkeypatch.setattr("refinevad.features.save_file", full)
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
        "import os, sys, pathlib; from refinevad.files import atomic_write\n"
        "with atomic_write(pathlib.Path(sys.argv[1])) as partial:\n"
        "    partial.write_text('half'); os.kill(os.getpid(), 9)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path / "a.b.json")], timeout=60)
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
