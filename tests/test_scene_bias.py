"""Scene bias: scores of normal frames at one pole of a factor against the other, by hand and frame by frame."""

from pathlib import Path

import av
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from refinevad.judging.brightness import brightness_of
from refinevad.judging.predictions import AlignedVideo, VideoPrediction, align
from refinevad.judging.resampling import Bootstrap
from refinevad.judging.scene_bias import scene_bias, source_factors, table_factors
from refinevad.judging.truth import Truth, VideoTruth
from refinevad.timeline import SegmentRule, Timeline

RULE = SegmentRule(frames=4)


def made(
    scores: dict[str, list[float]], anomalous: dict[str, tuple[int, int]]
) -> tuple[Truth, tuple[AlignedVideo, ...]]:
    truth = Truth(
        ("normal", "x"),
        tuple(
            VideoTruth(
                name,
                ("x",) if name in anomalous else (),
                Timeline.uniform(4 * len(values), 25.0, RULE),
                (),
                (anomalous[name],) if name in anomalous else (),
            )
            for name, values in scores.items()
        ),
    )
    return truth, align({name: VideoPrediction.of(np.array(s)) for name, s in scores.items()}, truth).videos


def test_by_hand() -> None:
    # normal frames only: the 0.9 of `a` is an event, and c is one from end to end
    _, videos = made(
        {"a": [0.1, 0.9], "b": [0.2, 0.4], "c": [0.9, 0.9], "d": [0.5, 0.7], "e": [0.3, 0.0]},
        {"a": (4, 8), "c": (0, 8)},
    )
    factor = {"a": 100.0, "b": 100.0, "c": 100.0, "d": 900.0, "e": 400.0}
    bias = scene_bias(videos, {"resolution": factor, "bitrate": dict.fromkeys(factor, 5.0)})
    # means a 0.1, b 0.3 against d 0.6, e 0.15: three of four pairs
    found = bias["resolution"]
    assert found["auc"] == pytest.approx(0.75)
    high, low = [0.5, 0.7, 0.3, 0.0], [0.1, 0.2, 0.4]
    frames = np.repeat([*high, *low], 4)
    assert found["frame_auc"] == pytest.approx(roc_auc_score(np.repeat([1] * 4 + [0] * 3, 4), frames))
    assert found["low"] == {"from": 100.0, "to": 100.0, "videos": 2}
    assert found["high"] == {"from": 400.0, "to": 900.0, "videos": 2}
    assert (found["ci95"], found["excludes_half"]) == (None, None)
    assert bias["bitrate"] is None  # alike everywhere
    assert bias["brightness"] is None  # not known


def test_halves_are_as_even_as_values_allow() -> None:
    _, videos = made({name: [0.5] for name in "abcdefg"}, {})
    even = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0}
    assert scene_bias(videos, {"bitrate": even})["bitrate"]["low"]["videos"] == 2
    # more than half share the highest value: the median alone would leave no high pole
    many = {"a": 1.0, "b": 2.0, "c": 5.0, "d": 5.0, "e": 5.0, "f": 5.0, "g": 5.0}
    found = scene_bias(videos, {"bitrate": many})["bitrate"]
    assert (found["low"]["videos"], found["high"]["videos"]) == (2, 5)


def test_a_score_that_reads_the_factor_is_told_from_one_that_does_not() -> None:
    rng = np.random.default_rng(2)
    names = [f"v{place}" for place in range(40)]
    factor = {name: float(place % 2) for place, name in enumerate(names)}
    reads = {name: [0.3 * factor[name] + 0.2 * rng.random()] for name in names}
    truth, videos = made(reads, {})
    found = scene_bias(videos, {"night": factor}, Bootstrap.of(truth, resamples=200))["night"]
    assert found["excludes_half"] is True
    assert found["auc"] == 1.0
    truth, videos = made({name: [float(rng.random())] for name in names}, {})
    found = scene_bias(videos, {"night": factor}, Bootstrap.of(truth, resamples=200))["night"]
    assert found["excludes_half"] is False
    assert found["ci95"][0] < found["auc"] < found["ci95"][1]


def test_factors_of_sources_and_of_the_table(tmp_path: Path) -> None:
    found = source_factors({"a": {"width": 320, "height": 240, "bytes": 1000, "duration_s": 4.0}, "b": {}})
    assert found == {"resolution": {"a": 76800.0}, "bitrate": {"a": 2000.0}}
    assert table_factors(tmp_path, ["a.mp4"]) == {}
    (tmp_path / "videos.csv").write_text(
        "path,labels,split,brightness,night,colour\na.mp4,x,test,12.5,Yes,red\nb.mp4,x,test,,no,grey\nc.mp4,x,test,9,no,sepia\n"
    )
    assert table_factors(tmp_path, ["a.mp4", "b.mp4", "c"]) == {
        "brightness": {"a.mp4": 12.5, "c": 9.0},
        "night": {"a.mp4": 1.0, "b.mp4": 0.0, "c": 0.0},
    }  # three words are no two poles


def test_brightness_is_the_luma_of_the_files_that_can_be_read(tmp_path: Path) -> None:
    for name, grey in (("dark.mp4", 40), ("light.mp4", 200)):
        with av.open(str(tmp_path / name), "w") as container:
            stream = container.add_stream("libx264", rate=10)
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for _ in range(30):
                frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), grey, np.uint8), format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    (tmp_path / "torn.mp4").write_bytes((tmp_path / "dark.mp4").read_bytes()[:200])
    (tmp_path / "features.npy").write_bytes(b"")
    found = brightness_of(tmp_path, ["dark.mp4", "light.mp4", "torn.mp4", "absent.mp4", "features.npy"])
    assert found == {"dark.mp4": pytest.approx(40, abs=3), "light.mp4": pytest.approx(200, abs=3)}
