"""Published features against one's own: each planted difference is named, and two real sources are told alike."""

import json
from pathlib import Path

import numpy as np
import pytest

from cli_cases import call, error_of
from refinevad.datasets.comparing import compare, compare_folders
from refinevad.errors import InputError
from refinevad.training.recipe import find_data


def _film(crops: int = 1, segments: int = 40, channels: int = 24, seed: int = 0) -> np.ndarray:
    """Features as videos have them: near their own mean, changing slowly, crops alike."""
    random = np.random.default_rng(seed)
    steps = random.normal(size=(1, segments, channels)).cumsum(axis=1) * 0.4
    own = random.normal(size=(crops, segments, channels)).cumsum(axis=1) * 0.2
    return (random.normal(size=channels) * 4 + steps + own).astype(np.float32)


def _unit(features: np.ndarray) -> np.ndarray:
    return features / np.linalg.norm(features, axis=-1, keepdims=True)


def test_the_same_differs_in_nothing_and_noise_is_no_order() -> None:
    film = _film(10)
    same = compare("a", film, film.astype(np.float16).astype(np.float32))
    assert (same.differences, round(same.median, 4), len(same.cosines)) == ((), 1.0, 40)
    noisy = film + np.random.default_rng(1).normal(size=film.shape).astype(np.float32) * 0.05
    assert compare("a", film, noisy).differences == ()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda x: np.roll(x, 1, axis=1), "off by 1 segment: what we have at t they have later"),
        (lambda x: x[:, 2:], "off by 2 segments: what we have at t they have earlier"),
        (lambda x: x[:, ::-1], "segments lie backwards"),
        (_unit, "theirs are brought to length 1, ours are not"),
        (lambda x: x * 3, "theirs are 3 times as long"),
        (lambda x: x[..., :20], "ours have 24 channels, theirs 20"),
        (lambda x: x[:, :39], "ours have 40 segments, theirs 39"),
        (lambda x: x.reshape(len(x), 8, 5, -1).mean(axis=2), "as means over 8 equal stretches"),
        (lambda x: x[[0, 1, 2, 4, 3]], "crops lie in another order: our crop 3 is their 4, our crop 4 is their 3"),
        (lambda x: x[:1], "ours have 5 crops, theirs 1"),
        (lambda x: _film(5, seed=9), "another network"),
    ],
)
def test_each_planted_difference_is_named(change, said: str) -> None:
    film = _film(5)
    found = compare("a", film, np.ascontiguousarray(change(film)))
    assert any(said in sentence for sentence in found.differences), found.differences


def test_the_other_way_round_is_told_too() -> None:
    film = _film()
    assert compare("a", _unit(film), film).differences == ("ours are brought to length 1, theirs are not",)


def test_folders_of_every_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    film = _film(10)
    for folder in ("ours", "theirs", "other"):
        (tmp_path / folder / "deep").mkdir(parents=True)
    for crop in range(10):
        np.save(tmp_path / "ours" / f"a__{crop}.npy", film[crop])
    np.save(tmp_path / "theirs" / "deep" / "a.npy", film.transpose(1, 0, 2))
    np.save(tmp_path / "theirs" / "b.npy", film[0])
    (found,), alone = compare_folders(tmp_path / "ours", tmp_path / "theirs")
    assert (found.video, found.differences, round(found.median, 5)) == ("a", (), 1.0)
    assert alone == {"b": f"only in {tmp_path / 'theirs'}"}
    assert call("bench", "features", tmp_path / "ours", tmp_path / "theirs") == 0
    told = capsys.readouterr()
    assert told.out.splitlines()[1].split() == ["a", "40", "1.0000", "1.0000"]
    assert "1 videos are in one folder alone, such as b" in told.err
    np.save(tmp_path / "other" / "a.npy", np.roll(film[0], 1, axis=0))
    assert call("bench", "features", tmp_path / "ours", tmp_path / "other", "--json", "-") == 1
    assert any("off by 1" in sentence for sentence in json.loads(capsys.readouterr().out)["videos"][0]["differences"])


def test_what_cannot_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / f"{name}.npy", _film()[0])
    for pair, said in (
        (("absent", "one"), "is no folder of features"),
        (("empty", "one"), "holds no features"),
        (("one", "two"), "no video is in both"),
    ):
        assert call("bench", "features", *(tmp_path / name for name in pair)) == 2
        assert said in error_of(capsys)
    np.save(tmp_path / "one" / "flat.npy", np.zeros(4, np.float32))
    np.save(tmp_path / "two" / "flat.npy", np.zeros(4, np.float32))
    with pytest.raises(InputError, match="expected"):
        compare_folders(tmp_path / "one", tmp_path / "two")


def test_the_official_sample_beside_another_source() -> None:
    """Two videos are in both: cosines 0.985 and 0.994 by the data's README; one source is of length 1, one is not."""
    try:
        root = find_data("ucf-c3d")
    except InputError:
        pytest.skip("ucf-c3d is not here")
    found, _ = compare_folders(root / "features", root / "official-sample")
    by_video = {one.video.removesuffix("_x264"): one for one in found}
    assert set(by_video) == {"RoadAccidents022", "RoadAccidents123"}
    for name, cosine in (("RoadAccidents022", 0.985), ("RoadAccidents123", 0.994)):
        assert by_video[name].cosines.mean() == pytest.approx(cosine, abs=0.002)
        assert by_video[name].differences == (
            "theirs are brought to length 1, ours are not",
            "near, and not the same: another decoder or resizing, or other frames of a segment",
        )
