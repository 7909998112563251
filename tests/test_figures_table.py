"""What `evaluate` prints, line by line."""

from typing import Any

from refinevad.apps.figures_table import figures_table


def figures(auc: float) -> dict[str, Any]:
    return {
        "auc": auc,
        "auc_ci95": [auc - 0.05, auc + 0.04],
        "recall_at_fpr": {"0.01": 0.25},
        "recall_at_fpr_ci95": {"0.01": [0.2, 0.3]},
        "map_average": 31.41,
        "map_average_ci95": [5.0, 47.25],
        "auc_time_weighted": 0.7,
        "frame_rate_hz": [25.0, 25.0],
        "scene_bias": {"resolution": {"auc": 0.61, "ci95": [0.4, 0.8]}, "brightness": None},
        "frames": 1200,
        "anomalous_frames": 100,
        "videos": 12,
        "resampled": {"unit": "source", "units": 5, "resamples": 1000, "note": "intervals rest on 5 sources"},
    }


def test_intervals_controls_and_differences() -> None:
    gap = {"difference": 0.3, "ci95": [0.2, 0.41], "excludes_0": True}
    near = {"difference": 0.01, "ci95": [-0.02, 0.03], "excludes_0": False}
    controls = {"chance": {**figures(0.5), "model_minus_control": {"auc": gap, "ap": None}}, "ridge": figures(0.79)}
    controls["ridge"]["model_minus_control"] = {"auc": near, "map_average": gap, "recall_at_fpr/0.01": near}
    controls["chance"]["model_minus_control"]["map_average"] = {
        "difference": 3.14,
        "ci95": [-0.96, 7.2],
        "excludes_0": False,
    }
    lines = figures_table({**figures(0.8), "auc_minus_video_mean": near}, controls).splitlines()
    assert lines[0].split() == ["RefineVAD", "95", "%", "interval", "chance", "ridge"]
    plain = [" ".join(line.split()) for line in lines]
    assert "frame AUC 0.8000 [0.750, 0.840] 0.5000 0.7900" in plain
    assert "recall at 1 % false frames 0.2500 [0.200, 0.300] 0.2500 0.2500" in plain
    assert "mAP@IoU 0.1-0.5 (%) 31.4 [5.0, 47.2] 31.4 31.4" in plain
    assert "scene bias, resolution 0.6100 [0.400, 0.800] 0.6100 0.6100" in plain
    # not known, not different, not there
    assert not any("brightness" in line or "seconds" in line or line.startswith("Ano-AUC") for line in plain)
    below = plain[plain.index("RefineVAD minus chance ridge its own video means") :]
    surely, hardly = "+0.300 [+0.200, +0.410] yes", "+0.010 [-0.020, +0.030] no"
    assert below[1:4] == [
        f"frame AUC {surely} {hardly} {hardly}",
        "mAP@IoU 0.1-0.5 (%) +3.1 [-1.0, +7.2] no +0.3 [+0.2, +0.4] yes -",
        f"recall at 1 % false frames - {hardly} -",
    ]
    assert lines[-1] == "95 % intervals over 5 sources, 1,000 resamples; intervals rest on 5 sources"


def test_seconds_where_rates_differ_and_old_figures() -> None:
    assert "AUC by seconds" in figures_table({**figures(0.8), "frame_rate_hz": [25.0, 30.0]}, {})
    old = {"auc": 0.8, "frames": 10, "anomalous_frames": 1, "videos": 2}
    assert figures_table(old, {"chance": {"auc": 0.5}}).splitlines()[-1] == "10 frames, 1 anomalous, 2 videos"
