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


def test_map_is_told_with_its_interval(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every video's event is found exactly, whichever are drawn."""
    one = {"label": "fire", "frames": 64, "segments": [[0, 16]], "segment_labels": ["fire"]}
    videos = [{**one, "name": f"v{place}", "anomalous_frames": [[0, 16]]} for place in range(6)]
    (tmp_path / "truth.json").write_text(json.dumps({"columns": ["normal", "fire"], "videos": videos}))
    np.savez(tmp_path / "scores.npz", **{video["name"]: np.array([0.9, 0.1, 0.1, 0.1]) for video in videos})
    command = ["metrics", "--predictions", str(tmp_path / "scores.npz"), "--truth", str(tmp_path / "truth.json")]
    assert main(command) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "mAP, mean over IoU 0.1-0.5 100.00 % [100.00, 100.00]" in lines
    assert "mAP@0.5 100.00 % [100.00, 100.00]" in lines


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


def test_figures_carry_their_intervals_over_sources(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = [{**VIDEOS[place % 2], "name": f"v{place}"} for place in range(24)]
    (tmp_path / "truth.json").write_text(json.dumps({"columns": ["normal", "fire"], "videos": videos}))
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "scores.npz", **{f"v{place}": rng.random(2) for place in range(24)})
    assert main([*files, "--json", "-", "--resamples", "200", "--threshold", "0.4"]) == 0
    figures = json.loads(capsys.readouterr().out)
    for name in ("auc", "ap", "ano_auc", "video_auc", "within_auc", "macro_within_auc", "cross_auc", "video_mean_auc"):
        low, high = figures[f"{name}_ci95"]
        assert low <= figures[name] <= high
        assert low < high
    assert figures["within_weight"] == pytest.approx(12 * 16 * 16 / (12 * 16 * 36 * 16))
    assert set(figures["recall_at_fpr_ci95"]) == set(figures["recall_at_fpr"]) == {"0.01", "0.02", "0.03", "0.05"}
    assert set(figures["event_f1_at_ci95"]) == set(figures["event_f1_at"]) == {"0.2", "0.3", "0.5"}
    assert figures["resampled"] == {
        "resamples": 200,
        "seed": 0,
        "units": 24,
        "level": 0.95,
        "unit": "video",
        "note": "",
    }
    assert set(figures["scene_bias"].values()) == {None}
    rows = [f"v{place},fire,test,camera {place // 2}" for place in range(24)]
    (tmp_path / "videos.csv").write_text("\n".join(["path,labels,split,source", *rows]))
    assert main(files) == 0
    shown = capsys.readouterr().out
    assert "[95 % interval] over 12 sources, 1,000 resamples" in shown
    assert "AUC within videos" in shown
    assert "by seconds" not in shown  # all videos have one rate


def test_frame_rates_that_differ_are_told_in_seconds_too(
    tmp_path: Path, data_root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # a folder whose videos differ in rate and size: falls at 30 and survfights at 25 frames a second
    for name, of in (("a", "survfights/test/fighting/v001.mp4"), ("b", "falls/normal/adl-01-cam0.mp4")):
        (tmp_path / f"{name}.mp4").symlink_to(data_root / of)
    (tmp_path / "videos.csv").write_text("path,labels,split\na.mp4,fighting,test\nb.mp4,normal,test\n")
    (tmp_path / "events.csv").write_text("path,start_s,end_s,category\na.mp4,2,6,fighting\n")
    scores = tmp_path / "scores.json"
    scores.write_text(json.dumps({"a": [0.1, 0.9, 0.2] * 20, "b": [0.3] * 10}))
    assert main(["metrics", "--predictions", str(scores), "--truth", str(tmp_path / "events.csv")]) == 0
    shown = capsys.readouterr().out
    assert "AUC, by seconds" in shown
    assert "scene bias, resolution" in shown
    assert "scene bias, bitrate" in shown


def test_how_scores_cover_frames_is_chosen(files: list[str], tmp_path: Path) -> None:
    """Three scores where two segments are: cut to the segments, or each a third of the video."""
    np.savez(files[2], a=np.array([0.9, 0.1]), b=np.array([0.2, 0.95, 0.1]))
    told = tmp_path / "told.json"
    found = {}
    for way in ("repeat", "stretch"):
        assert main([*files, "--expand", way, "--json", str(told)]) == 0
        found[way] = json.loads(told.read_text())["auc"]
    assert found["repeat"] == pytest.approx(32 / 48)  # 16 of the 48 normal frames lie above the 16 anomalous ones
    assert found["stretch"] in (pytest.approx(38 / 48), pytest.approx(37 / 48))  # a third of 32 frames: 10 or 11


def test_seconds_a_score_lasts_are_frames_at_the_fields_rate(files: list[str], tmp_path: Path) -> None:
    """Such truth files say no rate; UCF-Crime's is 30."""
    told = tmp_path / "told.json"
    np.savez(files[2], a=np.array([0.9, 0.1, 0.1, 0.1]), b=np.array([0.2, 0.8, 0.1, 0.1]))
    figures = {}
    for options in (["--segment-seconds", str(8 / 30)], ["--segment-frames", "8"]):
        assert main([*files, *options, "--json", str(told)]) == 0
        figures[options[0]] = json.loads(told.read_text())
    assert figures["--segment-seconds"]["adjusted"] == []
    assert figures["--segment-seconds"]["auc"] == figures["--segment-frames"]["auc"]
    with pytest.raises(SystemExit):
        main([*files, "--segment-seconds", "0.8", "--segment-frames", "8"])
