"""Options that only hand something on: what is handed on is looked at in place of what it then does."""

from pathlib import Path
from typing import Any

import pytest

from refinevad.apps.cli import main
from refinevad.datasets.importing import ImportRequest


class _HandedError(Exception):
    """Ends a command where it hands its work on."""


def _taker(taken: dict[str, Any]) -> Any:
    def take(*values: Any, **named: Any) -> None:
        taken.update(named, values=values)
        raise _HandedError

    return take


def test_serve_hands_on_where_files_lie_how_long_uploads_stay_and_how_many_are_analysed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fastapi", reason="the service needs the extra `service`")
    from refinevad.apps.service import running

    taken: dict[str, Any] = {}
    monkeypatch.setattr(running, "serve", _taker(taken))
    monkeypatch.chdir(tmp_path)
    options = ["--files-from", str(tmp_path / "a"), "--files-from", "b", "--upload-hours", "0.5", "--analyses", "3"]
    with pytest.raises(_HandedError):
        main(["serve", *options, "--connections", "50", "--connections-each", "5"])
    settings = taken["values"][1]
    assert settings.roots == (tmp_path / "a", Path("b"))
    assert settings.upload_s == 1800
    assert settings.analyses == 3
    assert (settings.connections.most, settings.connections.most_each) == (50, 5)
    assert main(["serve", "--analyses", "0", "--upload-hours", "0"]) == 2


def test_watch_hands_on_how_often_it_tells_and_whether_events_are_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("av", reason="video needs the extra `video`")
    from refinevad.apps.live import watching

    taken: dict[str, Any] = {}
    configured = watching.configured
    lines: list[bool] = []

    def noting(*values: Any, **named: Any) -> Any:
        lines.append(named["lines"])
        return configured(*values, **named)

    monkeypatch.setattr(watching, "configured", noting)
    monkeypatch.setattr(watching, "run_watch", _taker(taken))
    source = ["rtsp://127.0.0.1:9/x", "--state", str(tmp_path)]
    with pytest.raises(_HandedError):
        main(["watch", *source, "--statistics", "7", "--no-learning", "--no-json"])
    assert (taken["statistics_s"], taken["learn"], lines[-1]) == (7, False, False)
    with pytest.raises(_HandedError):
        main(["watch", *source])
    assert (taken["statistics_s"], taken["learn"], lines[-1]) == (60, True, True)


def test_import_hands_on_sound_and_crops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from refinevad.datasets import importing

    taken: dict[str, Any] = {}
    monkeypatch.setattr(importing, "import_features", _taker(taken))
    told = ["--audio", str(tmp_path / "sound"), "--train-crop", "2", "--test-crop", "0"]
    with pytest.raises(_HandedError):
        main(["import", str(tmp_path), "--benchmark", "ucf-crime", "--data", str(tmp_path), "--out", "x", *told])
    asked = taken["values"][0]
    assert isinstance(asked, ImportRequest)
    assert (asked.audio, asked.train_crop, asked.test_crop) == (tmp_path / "sound", 2, 0)
    with pytest.raises(SystemExit):
        main(["import", str(tmp_path), "--out", "x", "--train-crop", "-1"])


def test_doctor_looks_at_the_disk_of_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from refinevad.apps.starting import machine_report

    taken: dict[str, Any] = {}
    monkeypatch.setattr(machine_report, "examine", _taker(taken))
    with pytest.raises(_HandedError):
        main(["doctor", "--folder", str(tmp_path), "--rtsp", "rtsp://a/1", "--rtsp", "rtsp://a/2"])
    assert taken["values"] == (tmp_path, ["rtsp://a/1", "rtsp://a/2"])


def test_code_of_a_captioner_is_trusted_where_it_is_said_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("transformers", reason="captions need the extra `words`")
    from refinevad.encoders import captioner

    (tmp_path / "a.mp4").write_bytes(b"")
    taken: dict[str, Any] = {}
    monkeypatch.setattr(captioner.Captioner, "__init__", _taker(taken))
    words = ["caption", str(tmp_path / "a.mp4"), "--model", str(tmp_path), "--out", str(tmp_path / "out")]
    for more, trusted in (([], False), (["--trust-remote-code"], True)):
        with pytest.raises(_HandedError):
            main([*words, *more])
        assert taken["values"][-1] is trusted
