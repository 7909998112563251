"""The ledger of a large folder: going on opens no header, and believes nothing that has changed."""

import json
import os
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from cli_cases import extract_json, make_set
from refinevad.datasets import feature_folder, ledger
from refinevad.features.store import load_features
from videos import write_video

pytestmark = pytest.mark.usefixtures("small_encoder")


def test_it_is_believed_while_nothing_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, out = make_set(tmp_path / "videos", train=1), tmp_path / "features"
    monkeypatch.setattr(ledger, "WORTH", 1)
    _, first = extract_json(data, out, capsys)
    assert (first["extracted"], first["up_to_date"]) == (6, 0)
    with mock.patch.object(feature_folder, "keep", side_effect=AssertionError("a header was opened")):
        _, again = extract_json(data, out, capsys)
    assert (again["extracted"], again["up_to_date"], again["notes"]) == (0, 6, first["notes"])
    # a video and another's features that change are seen; so are features that are gone, and another signature
    write_video(data / "train/fall/0.mkv", frames=50, codec="mpeg4")
    os.utime(data / "train/normal/0.mkv", ns=(1, 1))
    (out / "val/fall/0.safetensors").unlink()
    (out / "val/normal/0.safetensors").write_bytes(b"damaged")
    with mock.patch.object(feature_folder, "keep", side_effect=feature_folder.keep) as kept:
        _, changed = extract_json(data, out, capsys)
    assert sorted(str(call.args[0].relative_to(data)) for call in kept.call_args_list) == [
        "train/fall/0.mkv",
        "train/normal/0.mkv",
        "val/fall/0.mkv",
        "val/normal/0.mkv",
    ]
    assert (changed["extracted"], changed["up_to_date"]) == (
        3,
        3,
    )  # what only has another time is the same by its bytes
    for path in out.rglob("*.safetensors"):
        assert np.isfinite(load_features(path).values).all()
    content = json.loads((out / "ledger.json").read_text())
    (out / "ledger.json").write_text(json.dumps({**content, "signature": "0"}))
    assert extract_json(data, out, capsys)[1]["up_to_date"] == 6
    (out / "ledger.json").write_text('{"signature": 1, "lines": [')
    assert extract_json(data, out, capsys)[1]["up_to_date"] == 6


def test_a_small_folder_has_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    extract_json(make_set(tmp_path / "videos", train=1), tmp_path / "features", capsys)
    assert not (tmp_path / "features" / ledger.NAME).exists()
