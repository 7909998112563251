"""Rows over videos: what is kept of a seed, seeds averaged, paired differences, and rows of earlier versions."""

import json
from pathlib import Path

import numpy as np
import pytest

from refinevad.errors import InputError
from refinevad.judging.predictions import VideoPrediction, read_predictions
from refinevad.judging.resampling import Bootstrap, interval, paired
from refinevad.judging.truth import Truth, VideoTruth
from refinevad.study.ablation import ablation_table
from refinevad.study.over_seeds import markdown_table
from refinevad.study.over_videos import OverVideos, averaged
from refinevad.study.seed_rows import CONTROL_SCORES, ROW, SCORES, SeedRow, read_row, store_row
from refinevad.study.standings import OURS, Standing, standings_table
from refinevad.timeline import SegmentRule, Timeline

NAMES = [f"test/x/v{place}.mp4" for place in range(20)]


def truth() -> Truth:
    timeline = Timeline.uniform(40, 25.0, SegmentRule(frames=8))
    videos = [
        VideoTruth(name, ("x",), timeline, (), ((8, 24),)) if place % 2 else VideoTruth(name, (), timeline, (), ())
        for place, name in enumerate(NAMES)
    ]
    return Truth(("normal", "x"), tuple(videos))


def scores(seed: int, gain: float) -> dict[str, np.ndarray]:
    """Noise that is `gain` higher where something happens."""
    rng = np.random.default_rng(seed)
    event = np.array([0, 1, 1, 0, 0])
    return {name: rng.random(5) + gain * event * (place % 2) for place, name in enumerate(NAMES)}


def row(seed: int, gain: float) -> SeedRow:
    return SeedRow(seed, 0.9, {"auc": 0.8}, {"chance": {"auc": 0.5}}, scores(seed, gain), {"chance": scores(99, 0.0)})


def test_a_row_is_read_back_as_it_was_stored(tmp_path: Path) -> None:
    kept = row(3, 0.5)
    store_row(tmp_path, kept, {"model": {}})
    found = read_row(tmp_path, 3)
    assert found is not None
    assert found[1] == {"model": {}}
    assert found[0].figures() == kept.figures() == json.loads(json.dumps(kept.figures()))
    for given, back in (
        (kept.scores, found[0].scores),
        (kept.control_scores["chance"], found[0].control_scores["chance"]),
    ):
        assert list(given) == sorted(back, key=NAMES.index)
        assert all(np.array_equal(given[name], back[name]) for name in given)
    # anyone's tool for predictions reads them
    assert np.array_equal(read_predictions(tmp_path / SCORES)[NAMES[1]].scores, kept.scores[NAMES[1]])


def test_a_row_without_scores_is_read_and_has_nothing_over_videos(tmp_path: Path) -> None:
    assert read_row(tmp_path, 0) is None
    (tmp_path / ROW).write_text(json.dumps({"validation": 0.5, "metrics": {"auc": 0.7}, "controls": {}, "recipe": {}}))
    found = read_row(tmp_path, 0)
    assert found is not None
    assert (found[0].metrics, found[0].scores, found[0].control_scores) == ({"auc": 0.7}, {}, {})
    over = OverVideos(Bootstrap.of(truth(), resamples=50))
    assert markdown_table([found[0]], ("auc",), over) == markdown_table([found[0]], ("auc",))


@pytest.mark.parametrize("name", [SCORES, CONTROL_SCORES])
def test_damaged_scores_are_named(tmp_path: Path, name: str) -> None:
    store_row(tmp_path, row(0, 0.5), {})
    (tmp_path / name).write_bytes(b"no tensors")
    with pytest.raises(InputError, match=f"{name} is damaged"):
        read_row(tmp_path, 0)


def test_seeds_are_averaged_where_all_have_scores_of_the_same_videos() -> None:
    first, second = row(0, 0.5), row(1, 0.5)
    found = averaged([first, second])
    assert found is not None
    for name, prediction in found.items():
        assert prediction.scores == pytest.approx((first.scores[name] + second.scores[name]) / 2)
    assert averaged([first, SeedRow(1, 0.9, {}, {})]) is None
    fewer = {name: values for name, values in second.scores.items() if name != NAMES[0]}
    assert averaged([first, SeedRow(1, 0.9, {}, {}, fewer)]) is None
    shorter = {**second.scores, NAMES[0]: second.scores[NAMES[0]][:-1]}
    assert averaged([first, SeedRow(1, 0.9, {}, {}, shorter)]) is None
    assert averaged([]) is None


def test_tables_tell_intervals_and_differences_over_videos() -> None:
    bootstrap = Bootstrap.of(truth(), resamples=300)
    strong, weak = [row(seed, 0.6) for seed in range(2)], [row(seed, 0.1) for seed in range(2)]
    rows = {"all": strong, "weak": weak, "old": [SeedRow(0, 0.9, {"auc": 0.7}, {})]}
    lines = ablation_table(rows, ("auc",), "all", OverVideos(bootstrap)).splitlines()
    means = {
        name: {video: VideoPrediction.of((one.scores[video] + two.scores[video]) / 2) for video in NAMES}
        for name, (one, two) in {"all": strong, "weak": weak}.items()
    }
    sampled = {name: bootstrap.figures(predictions) for name, predictions in means.items()}
    low, high = interval(sampled["all"]["auc"]) or (0, 0)
    assert lines[2] == f"| all | 2 | 0.9000 | 0.8000 ± 0.0000 [{low:.3f}, {high:.3f}] |"
    assert "[" not in lines[4]  # a row of an earlier version
    gap = paired(sampled["weak"]["auc"], sampled["all"]["auc"])
    assert gap is not None
    assert gap.high < 0
    below = lines[lines.index("") :]
    assert below[1] == "Over 20 videos, 300 resamples, scores averaged over seeds:"
    assert [line.split("|")[1].strip() for line in below[5:7]] == ["all", "weak"]
    assert f"| {gap.mean:+.4f} [{gap.low:+.3f}, {gap.high:+.3f}] | yes |" in below[6]

    # where alarms must be rare: recall, differences too; mAP is not defined on a truth without events
    assert below[8].startswith("| row | video AUC | minus all | differs | recall at 1 % | minus all | differs |")
    assert "mAP" not in below[8]
    recall = {name: row["recall_at_fpr/0.01"] for name, row in sampled.items()}
    (low_recall, high_recall), minus = interval(recall["weak"]) or (0, 0), paired(recall["weak"], recall["all"])
    assert minus is not None
    cells = [cell.strip() for cell in below[11].split("|")]
    assert cells[1] == "weak"
    assert cells[5] == f"{recall['weak'].value:.4f} [{low_recall:.3f}, {high_recall:.3f}]"
    assert cells[6] == f"{minus.mean:+.4f} [{minus.low:+.3f}, {minus.high:+.3f}]"

    standings = [Standing(OURS, strong, 10, None, True), Standing("weak", weak, 10, None, True)]
    over = OverVideos(bootstrap)
    over.add_controls(strong)
    table = standings_table(standings, {"chance": {"auc": 0.5}}, over)
    assert f"0.8000 ± 0.0000 [{low:.3f}, {high:.3f}]" in table
    assert f"{gap.mean:+.4f} [{gap.low:+.3f}, {gap.high:+.3f}] | yes" in table
    assert "| chance | 0." in table

    recipe = markdown_table(strong, ("auc",), OverVideos(bootstrap))
    assert f"| RefineVAD (2 seeds) | 0.8000 ± 0.0000 [{low:.3f}, {high:.3f}] |" in recipe
    assert "| minus RefineVAD (2 seeds) | differs |" in recipe
