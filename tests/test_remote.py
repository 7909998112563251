"""Videos and features in a store that fsspec opens, by a real S3 server: the same bits, read by ranges."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cli_cases import call, error_of, make_set
from object_store import s3_server
from refinevad.encoders.choice import EncoderChoice
from refinevad.errors import InputError
from refinevad.features.extraction import extract
from refinevad.features.store import load_features, map_values, read_provenance
from refinevad.files import remote
from refinevad.files.remote import RemotePath, located
from refinevad.files.whole import atomic_write, sampled_sha256
from refinevad.timeline import SegmentRule
from refinevad.video.frames import FrameNeeds
from refinevad.video.reading import probe
from refinevad.video.recording import Recording
from test_workers import PortableEncoder
from videos import B_FRAMES, film, write_video

RULE = SegmentRule.default()

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RemotePath]:
    with s3_server(tmp_path_factory.mktemp("s3") / "log"):
        import fsspec

        remote._store.cache_clear()
        fsspec.filesystem("s3").mkdir("videos")
        place = located("s3://videos")
        assert isinstance(place, RemotePath)
        yield place
        remote._store.cache_clear()


def put(source: Path, target: Path) -> RemotePath:
    assert isinstance(target, RemotePath)
    target.put(source)
    return target


def test_addresses_are_paths() -> None:
    path = located("s3://bucket/train/fall/a.b.mp4")
    assert str(path) == f"{path}" == os.fspath(path) == "s3://bucket/train/fall/a.b.mp4"
    assert (path.name, path.stem, path.suffix) == ("a.b.mp4", "a.b", ".mp4")
    assert str(path.parent / "c") == str(path.with_name("c")) == "s3://bucket/train/fall/c"
    assert path.relative_to(located("s3://bucket")).as_posix() == "train/fall/a.b.mp4"
    assert str(located("sftp://me@host:22/videos/a.mp4")) == "sftp://me@host:22/videos/a.mp4"
    assert located("file:///srv/a.mp4") == Path("/srv/a.mp4")
    for plain in ("a.mp4", "/srv/a.mp4", "c:/a.mp4", "./odd:name//a.mp4"):
        assert type(located(plain)) is type(Path())
    with pytest.raises(InputError, match=r"nosuch:// is no address that fsspec knows|cannot be opened here"):
        located("nosuch://a/b").exists()


@pytest.mark.parametrize("block_bytes", [5000, remote.BLOCK_BYTES])
def test_bytes_are_those_of_the_file(
    block_bytes: int, bucket: RemotePath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "BLOCK_BYTES", block_bytes)
    content = np.random.default_rng(1).bytes(100_001)
    (tmp_path / "a.bin").write_bytes(content)
    path = put(tmp_path / "a.bin", bucket / "bytes" / f"{block_bytes}.bin")
    assert path.read_bytes() == content
    with path.open("rb") as file:
        for begin, length in ((99_990, 100), (0, 7), (4998, 5), (50_000, 12_500), (100_001, 3)):
            file.seek(begin)
            assert file.read(length) == content[begin : begin + length]
        assert file.seek(-3, os.SEEK_END) == 99_998
        assert file.read() == content[-3:]
    assert sampled_sha256(path) == sampled_sha256(tmp_path / "a.bin")
    assert (path.is_file(), path.is_dir(), path.parent.is_dir(), (bucket / "none").exists()) == (
        True,
        False,
        True,
        False,
    )
    assert path.stat().st_size == 100_001
    assert 1.7e18 < path.stat().st_mtime_ns < 3e18


@pytest.mark.parametrize("name", ["a.mp4", "b.mkv", "c.ts", "d.avi", "e.h264", "f.webm"])
def test_every_container_gives_the_same_bits(name: str, bucket: RemotePath, tmp_path: Path) -> None:
    codec = {".avi": "mpeg4", ".webm": "libvpx-vp9"}.get(Path(name).suffix, "libx264")
    here = write_video(tmp_path / name, frames=60, codec=codec, options=B_FRAMES if codec == "libx264" else {})
    there = put(here, bucket / "containers" / name)
    encoder = EncoderChoice("lite", PortableEncoder(), None)
    ours, theirs = extract(here, encoder, RULE), extract(there, encoder, RULE)
    np.testing.assert_array_equal(ours.values, theirs.values)
    np.testing.assert_array_equal(ours.timeline.time_bounds, theirs.timeline.time_bounds)
    ours_said, theirs_said = dict(ours.provenance.source), dict(theirs.provenance.source)
    assert ours_said.pop("mtime_ns") != theirs_said.pop("mtime_ns")
    assert ours_said == theirs_said


def test_a_share_is_read_by_its_range(bucket: RemotePath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the last of several shares takes: a part of the file, not what lies before it."""
    monkeypatch.setattr(remote, "BLOCK_BYTES", 16_384)
    here = film(tmp_path / "long.mp4", 1500)
    there = put(here, bucket / "long.mp4")
    needs = FrameNeeds(rgb_frames=1, rgb_size=(8, 8))
    shares = list(Recording(there, needs, RULE).shares(lambda start_s, stated_s: 6.0))
    assert len(shares) >= 5
    remote._block.cache_clear()
    clips = list(Recording.clips_of(there, shares[-1]))
    read_bytes = remote._block.cache_info().misses * 16_384
    assert read_bytes < 0.6 * here.stat().st_size
    for ours, theirs in zip(Recording.clips_of(here, shares[-1]), clips, strict=True):
        np.testing.assert_array_equal(ours.rgb, theirs.rgb)


@pytest.mark.usefixtures("small_encoder")
def test_a_set_in_a_store_is_extracted_into_a_store_and_gone_on_with(
    bucket: RemotePath, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_set(tmp_path / "set", train=1)
    for path in data.rglob("*.*"):
        put(path, bucket / "set" / path.relative_to(data).as_posix())
    out = bucket / "features"
    assert call("extract", bucket / "set", "--out", out, "--workers", 1, "--json", "-") == 0
    first = json.loads(capsys.readouterr().out)
    assert (first["extracted"], first["up_to_date"]) == (6, 0)
    assert call("extract", data, "--out", tmp_path / "features", "--workers", 1) == 0
    for path in (tmp_path / "features").rglob("*.safetensors"):
        there = out / path.relative_to(tmp_path / "features").as_posix()
        np.testing.assert_array_equal(load_features(path).values, load_features(there).values)
        np.testing.assert_array_equal(map_values(path), map_values(there))
        assert read_provenance(path).signature == read_provenance(there).signature
    capsys.readouterr()
    assert call("extract", bucket / "set", "--out", out, "--workers", 1, "--json", "-") == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["extracted"], again["up_to_date"]) == (0, 6)


def test_detect_reads_and_writes_there_and_tells_of_what_is_not(
    bucket: RemotePath, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    here = film(tmp_path / "v.mp4", 60)
    there, out = put(here, bucket / "v.mp4"), bucket / "found"
    assert call("detect", there, bucket / "none.mp4", "--model", "fighting", "--out", out) == 1
    assert "video not found: s3://videos/none.mp4" in capsys.readouterr().err
    assert call("detect", here, "--model", "fighting", "--out", tmp_path / "found") == 0
    for suffix in ("json", "csv"):
        assert (out / f"v.{suffix}").read_bytes() == (tmp_path / "found" / f"v.{suffix}").read_bytes()
    assert "index.html" in [path.name for path in out.iterdir()]
    assert probe(there).duration_s == probe(here).duration_s
    assert call("detect", "s3://no-such-bucket/v.mp4", "--model", "fighting", "--out", tmp_path) == 2
    assert "s3://no-such-bucket/v.mp4" in error_of(capsys)


def test_what_is_written_is_whole_or_absent(bucket: RemotePath) -> None:
    target = bucket / "whole.txt"

    def stopped(partial: Path) -> None:
        partial.write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), atomic_write(target) as partial:
        stopped(partial)
    assert not target.exists()
    with atomic_write(target) as partial:
        partial.write_text("whole")
    assert target.read_text() == "whole"
    nowhere = located("s3://no-such-bucket/a.txt")
    with pytest.raises(InputError, match="cannot write s3://no-such-bucket/"), atomic_write(nowhere) as partial:
        partial.write_text("whole")


def test_a_package_that_is_missing_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def absent(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    remote._store.cache_clear()
    monkeypatch.setattr(remote, "import_module", absent)
    assert call("detect", "s3://bucket/v.mp4", "--out", tmp_path) == 2
    assert error_of(capsys).endswith(
        "s3:// cannot be opened here (No module named 'fsspec'); pip install 'refinevad[ray]'"
    )
