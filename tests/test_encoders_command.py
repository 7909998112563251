"""`refinevad encoders`: what is here and what is not, in words and as JSON, without going anywhere."""

import importlib.util
import json
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import pytest

from cli_cases import call, error_of
from refinevad.encoders import hub, known, timing
from refinevad.encoders.choice import NETWORK_KINDS, open_encoder
from tiny_networks import FAMILIES, captioner, saved, sentences


def test_every_word_is_listed_with_why_it_is_not_here(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    there = importlib.util.find_spec

    def without_openvino(name: str, package: str | None = None) -> object:
        return None if name == "openvino" else there(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without_openvino)
    monkeypatch.setattr(hub, "_cached", lambda *_: None)
    monkeypatch.setattr(known, "cached_words", lambda: iter(()))
    assert call("encoders", "--json", "-") == 0
    rows = {row["encoder"]: row for row in json.loads(capsys.readouterr().out)["encoders"]}
    kinds = {word.partition(":")[0] for word in rows}
    assert kinds == {"lite", "lite2", "vectors", "captions", "captioned", "audio", *NETWORK_KINDS}
    assert rows["lite"]["here"] is True
    assert rows["lite:openvino"]["why"] == "needs openvino: pip install 'refinevad[openvino]'"
    clip = rows["clip:openai/clip-vit-large-patch14"]
    assert clip["here"] is False
    assert "hf download openai/clip-vit-large-patch14" in clip["why"]
    assert rows["vectors"]["here"] is True
    assert all(row["licence"] and (row["megabytes"] > 0) is (name != "vectors") for name, row in rows.items())
    assert call("encoders") == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[0].split() == ["encoder", "here", "licence", "MB"]
    assert "refinevad: lite:openvino: needs openvino" in told.err


def test_a_folder_says_its_own_and_is_timed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = saved(tmp_path / "dino", FAMILIES["dino"][1])
    (folder / "README.md").write_text("---\nlicense: mit\n---\n")
    with mock.patch.object(timing, "_LEAST_S", 0.01):
        assert call("encoders", f"dino:{folder}", "--time", "--json", "-") == 0
    (row,) = json.loads(capsys.readouterr().out)["encoders"]
    bytes_there = (folder / "model.safetensors").stat().st_size
    assert (row["licence"], row["megabytes"], row["channels"]) == ("mit", round(bytes_there / 1e6), 16)
    assert row["real_time"] == pytest.approx(row["segments_hz"] * 0.64, abs=2e-3)
    assert call("encoders", "dino:owner/none") == 2
    assert "hf download owner/none" in error_of(capsys)


def test_every_branch_is_timed(tmp_path: Path) -> None:
    made = {"captioner": captioner, "sentences": sentences, "ast": FAMILIES["ast"][1]}
    at = {name: saved(tmp_path / name, make) for name, make in made.items()}
    for spec in (f"captioned:{at['captioner']}:{at['sentences']}+audio:{at['ast']}", f"captions:{at['sentences']}"):
        assert timing.measure(open_encoder(spec), 0.01).segments_hz > 0


def test_cached_models_are_listed_by_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    types = {"a/clip": "clip", "b/llama": "llama", "c/mae": "videomae"}
    repos = [SimpleNamespace(repo_id=name) for name in reversed(types)]
    monkeypatch.setattr(huggingface_hub, "scan_cache_dir", lambda: SimpleNamespace(repos=repos))
    monkeypatch.setattr(hub, "settings", lambda source, *_: {"model_type": types[source]})
    assert list(known.cached_words()) == ["clip:a/clip", "video:c/mae"]
