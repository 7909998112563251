"""`refinevad metrics` from the command line."""

import json
from pathlib import Path

import numpy as np
import pytest

from refinevad.apps.cli import main

VIDEOS = [
    {
        "name": "a",
        "label": "fire",
        "frames": 32,
        "segments": [[0, 16]],
        "segment_labels": ["fire"],
        "anomalous_frames": [[0, 16]],
    },
    {"name": "b", "label": "normal", "frames": 32, "segments": [], "segment_labels": [], "anomalous_frames": []},
]


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    truth, predictions = tmp_path / "truth.json", tmp_path / "scores.npz"
    truth.write_text(json.dumps({"columns": ["normal", "fire"], "videos": VIDEOS}))
    np.savez(predictions, a=np.array([0.9, 0.1]), b=np.array([0.2, 0.8, 0.1]))
    return ["metrics", "--predictions", str(predictions), "--truth", str(truth)]


def test_table_on_stdout_and_adjusted_videos_on_stderr(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(files) == 0
    shown = capsys.readouterr()
    # 16 anomalous frames at 0.9 above all 48 normal ones
    assert "AUC, all frames                         100.00 %" in shown.out
    assert "false-alarm rate, normal videos at 0.5  50.00 %" in shown.out
    assert "b: 3 scores, 2 segments: cut" in shown.err


def test_json_to_a_file_and_to_stdout(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*files, "--json", str(tmp_path / "figures.json")]) == 0
    capsys.readouterr()
    assert main([*files, "--json", "-", "--protocol", "strict"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures == json.loads((tmp_path / "figures.json").read_text())
    figure_names = {"auc", "ap", "ap_trapezoid", "ano_auc", "video_auc", "far", "map", "map_average"}
    assert figure_names | {"frames", "anomalous_frames", "adjusted"} <= set(figures)
    assert (figures["far"], figures["frames"]) == (0.5, 64)
    assert figures["map"]["0.5"] == pytest.approx(100)  # one category: the score stands for it
    assert figures["adjusted"] == [{"video": "b", "predicted": 3, "expected": 2, "rule": "cut"}]


def test_wrong_files_exit_with_2(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*files[:-1], str(tmp_path / "absent.json")]) == 2
    assert "truth cannot be read" in capsys.readouterr().err


def test_one_score_a_frame_is_told_once(files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "scores.npz", a=np.repeat([0.9, 0.1], 16), b=np.repeat([0.2, 0.8], 16))
    assert main(files) == 0
    seen = capsys.readouterr()
    assert seen.err == "2 videos have one score a frame, not one a segment, and are judged so\n"
    assert "AUC, all frames                         100.00 %" in seen.out


def test_names_that_match_nothing_are_told(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    np.savez(tmp_path / "scores.npz", a=np.array([0.9, 0.1]), bb=np.array([0.2, 0.8]))
    assert main(files) == 2
    assert "1 of 2 videos have no prediction, 'b' first (nearest: bb)" in capsys.readouterr().err
    assert main([*files, "--allow-missing"]) == 0
    told = capsys.readouterr().err
    assert "b: no prediction has this name: not judged" in told
    assert "bb: no video of the truth has this name: its 2 scores are left aside" in told


def test_an_anomalous_video_without_a_frame_is_refused(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = {"columns": ["normal", "fire"], "videos": [{**VIDEOS[0], "anomalous_frames": []}, VIDEOS[1]]}
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    assert main(files) == 2
    assert "1 anomalous videos have no anomalous frame: a" in capsys.readouterr().err
    assert main([*files, "--lenient"]) == 0
    assert "judged as if nothing happened" in capsys.readouterr().err


def test_a_folders_events_are_truth(data_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    events = data_root / "survfights" / "events.csv"
    scores = tmp_path / "scores.json"
    scores.write_text(json.dumps({"test/fighting/v001": [0.5] * 30, "test/normal/v001.mp4": [0.25] * 30}))
    assert (
        main(["metrics", "--predictions", str(scores), "--truth", str(events), "--allow-missing", "--json", "-"]) == 0
    )
    figures = json.loads(capsys.readouterr().out)
    rules = [entry["rule"] for entry in figures["adjusted"]]
    assert figures["videos"] == 2
    assert rules.count("missing") == 48
    assert figures["anomalous_frames"] > 0


def test_help_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        main(["metrics", "--help"])
    assert stop.value.code == 0
    assert "refinevad metrics --predictions scores.npz" in capsys.readouterr().out
