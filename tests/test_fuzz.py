"""A short run of what `make fuzz` does at length, and that it finds what is there to be found."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("fastapi", reason="the service needs the extra `service`")

from fuzz import kinds, mutators, run
from fuzz.worker import _forget_peak, _judged, _memory
from patience import patience
from refinevad.apps.live.settings.config import read_config
from refinevad.datasets.npy import open_npy
from refinevad.errors import InputError
from refinevad.model_choice import open_config
from refinevad.study.ablation import read_variant
from refinevad.training.recipe import read_recipe


def test_spoilt_inputs_are_borne(tmp_path: Path) -> None:
    tallies = run.run(500, 1, sorted(kinds.KINDS), tmp_path / "found")
    assert sum(tally.tried for tally in tallies) == 500
    assert [f"{tally.kind}: {found.what}: {found.said}" for tally in tallies for found in tally.findings] == []


@pytest.mark.parametrize("name", [name for name in kinds.KINDS if name not in ("routes", "http", "websockets")])
def test_inputs_that_are_whole_are_read_to_their_end(name: str, tmp_path: Path) -> None:
    """Where they were refused already, spoilt ones would be refused by the same sentence, and nothing be found."""
    examples, reader = kinds.KINDS[name].examples(tmp_path), run._Reader(name, tmp_path)
    try:
        for number, (end, content) in enumerate(examples):
            path = tmp_path / f"input-{number}{end}"
            path.write_bytes(content)
            assert (end, reader.read(path, 0)) == (end, ("", ""))
    finally:
        reader.stop()


def test_the_same_seed_makes_the_same_inputs(tmp_path: Path) -> None:
    for name in ("captions", "npy", "events.csv"):
        kind = kinds.KINDS[name]
        ((_, content), *_) = kind.examples(tmp_path)
        one, other, third = (kind.spoil(Random(seed), content) for seed in (1, 1, 2))
        assert one == other != third
    spoilt = {mutators.binary(Random(number), bytes(100)) for number in range(50)}
    assert len(spoilt) > 30


def test_what_is_not_borne_is_found(tmp_path: Path) -> None:
    def fail(path: Path, seed: int) -> str | None:
        errors = {0: InputError("one sentence"), 1: InputError(""), 2: ValueError("a slip"), 3: MemoryError()}
        if seed in errors:
            raise errors[seed]
        return "said" if seed == 4 else None

    found = [_judged(fail, tmp_path, seed)[0] for seed in range(6)]
    assert found == ["", "no sentence", "traceback", "memory", "said", ""]


def test_a_reader_that_dies_or_hangs_is_found_and_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = run._Reader("cameras.toml", tmp_path)
    (tmp_path / "x.toml").write_text("")
    monkeypatch.setattr(run, "HANG_S", 1.0)
    try:
        assert reader.read(tmp_path / "x.toml", 0) == ("", "")
        assert reader._process is not None
        os.kill(reader._process.pid or 0, 9)
        assert reader.read(tmp_path / "x.toml", 0)[0] == "crash"
        os.mkfifo(tmp_path / "fifo.toml")  # opening it waits for a writer, for ever
        began = time.monotonic()
        assert reader.read(tmp_path / "fifo.toml", 0)[0] == "hang"
        assert time.monotonic() - began < patience(120)
        monkeypatch.setattr(run, "HANG_S", patience(60))
        assert reader.read(tmp_path / "x.toml", 0) == ("", "")
    finally:
        reader.stop()


def test_the_most_memory_of_an_input_is_counted_though_it_is_given_back() -> None:
    before = _forget_peak()
    bytearray(b"1") * 300_000_000
    assert 290_000_000 < _memory("VmHWM") - before < 600_000_000
    assert _memory("VmHWM") - _forget_peak() >= 0
    assert _memory("VmHWM") - _memory("VmRSS") < 100_000_000


def test_each_finding_is_kept_as_a_file_and_the_first_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run._Reader, "read", lambda self, path, seed: ("traceback", "ValueError: a slip (x.py:1)"))
    (tally,) = run.run(12, 1, ["npy"], tmp_path)
    assert (tally.tried, tally.found, len(tally.findings)) == (12, 12, 5)
    kept = sorted((tmp_path / "npy").iterdir())
    assert len(kept) == 12
    assert all(finding.file in kept for finding in tally.findings)


LONG = "9" * 5000  # more digits than Python makes a number of
DEEP = "[" * 100_000


@pytest.mark.parametrize(
    ("read", "name", "content"),
    [
        (read_recipe, "a.toml", f"[train]\nepochs = {LONG}"),
        (read_recipe, "a.toml", f"x = {DEEP}"),
        (read_recipe, "a.toml", "[data]\nroot = inf"),
        (read_recipe, "a.toml", '[data]\nroot = "."\nfeatures = -inf'),
        (read_recipe, "a.toml", '[data]\nroot = "."\nfolds = "five"'),
        (read_recipe, "a.toml", '[data]\nroot = "."\n[events]\nalerts_per_hour = nan'),
        (read_recipe, "a.toml", "data = 5"),
        (read_recipe, "a.toml", '[data]\nroot = "."\n[[train]]\nepochs = 5'),
        (read_variant, "a.toml", f"prompts = {LONG}"),
        (read_config, "a.toml", f"outbox_envelopes = {LONG}"),
        (read_config, "a.toml", f"x = {DEEP}"),
        (open_npy, "a.npy", "\x93NUMPY\x01\x00\x12\x00{'descr': ('<f4',\n\n"),
        (open_npy, "a.npy", "\x93NUMPY\x01\x00\x12\x00{'descr': 1 2, 3 4}\n"),
    ],
)
def test_what_was_found_is_one_sentence(
    read: Callable[[Path], object], name: str, content: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(content.encode("latin-1"))
    with pytest.raises(InputError):
        read(tmp_path / name)


@pytest.mark.parametrize("values", ["text", ["a"], 5, None])
def test_a_model_that_is_no_table_is_one_sentence(values: object) -> None:
    with pytest.raises(InputError, match="table of options"):
        open_config(values)


@pytest.mark.parametrize("change", [{"inputs": "../../etc/passwd"}, {"inputs": 5}, {"channels": 2**63}])
def test_channels_that_are_none_are_one_sentence(change: dict[str, object]) -> None:
    with pytest.raises(InputError, match="channels"):
        open_config({"channels": 4, "categories": ["fall"], **change})


def test_an_option_beyond_every_float_is_one_sentence() -> None:
    with pytest.raises(InputError, match="is a number"):
        open_config({"channels": 4, "categories": ["fall"], "head_weight": 10**400})
