"""Training and evaluation from Python: what the commands do, and features, an encoder and a head of one's own."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import refinevad
from cli_cases import make_set
from refinevad.apps.cli import main
from refinevad.datasets.dataset import FeatureIndex
from refinevad.encoders import choice
from refinevad.errors import InputError
from refinevad.features import kept
from refinevad.peers.choice import REGISTERED

pytestmark = pytest.mark.usefixtures("small_encoder")
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def nothing_stays_registered() -> Iterator[None]:
    known, encoders = dict(REGISTERED), dict(choice._registered)
    yield
    REGISTERED.clear()
    REGISTERED.update(known)
    choice._registered.clear()
    choice._registered.update(encoders)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("set") / "videos")


def sensor(count: int = 12, seed: int = 0, channels: int = 5, tests: bool = True) -> list[refinevad.Video]:
    """Half of them fall in the middle third; a third are for testing."""
    generator = np.random.default_rng(seed)
    videos = []
    for number in range(count):
        values = generator.normal(size=(12, channels))
        fell = number % 2 == 1
        if fell:
            values[4:8] += 4.0
        split = "test" if tests and number >= 2 * count // 3 else "train"
        events = [(4.0, 8.0, "fall")] if fell else []
        videos.append(refinevad.Video(f"{split}/{number}", values, ["fall"] if fell else [], split, events))
    return videos


# -- the same as the commands ----------------------------------------------------------------------------------------


def test_train_and_evaluate_are_the_commands(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at, other, features = tmp_path / "python", tmp_path / "command", tmp_path / "features"
    options = ["--epochs", "2", "--seed", "3", "--features", str(features), "--alerts-per-hour", "60"]
    run = refinevad.train(data, at, epochs=2, seed=3, features=features, alerts_per_hour=60.0)
    assert main(["train", str(data), "--out", str(other), *options, "--workers", "1", "--json", "-"]) == 0
    assert dict(run.validation) == json.loads(capsys.readouterr().out)
    mine, theirs = load_file(at / "model.safetensors"), load_file(other / "model.safetensors")
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    assert (at / "calibration.json").read_text() == (other / "calibration.json").read_text()

    figures = refinevad.evaluate(run, data, features=features)
    document = tmp_path / "figures.json"
    where = ["--data", str(data), "--features", str(features), "--workers", "1"]
    assert main(["evaluate", str(other), *where, "--json", str(document)]) == 0
    assert json.loads(figures.to_json()) == json.loads(document.read_text())
    stored = json.loads((at / "metrics.json").read_text())
    assert stored["test"]["auc"] == figures["auc"].value
    assert stored["validation"] is not None


def test_a_run_is_taken_wherever_its_folder_is(data: Path, tmp_path: Path) -> None:
    run = refinevad.train(str(data), str(tmp_path / "run"), epochs=1)
    assert run.folder == tmp_path / "run"
    assert list(run.by_name) == ["run"]
    detector = refinevad.Detector.open(run)
    assert detector.categories == ("fall",)
    by_path = refinevad.Detector.open(str(run.folder)).detect(str(data / "test/fall/0.mkv"))
    np.testing.assert_array_equal(detector.detect(data / "test/fall/0.mkv").scores, by_path.scores)
    assert refinevad.StreamingDetector.open(run).categories == ("fall",)


def test_progress_counts_videos_and_epochs(data: Path, tmp_path: Path) -> None:
    seen: list[refinevad.Progress] = []
    refinevad.train(data, tmp_path / "run", epochs=2, progress=seen.append)
    videos = [one.done for one in seen if one.stage == "extract"]
    assert videos == [*range(11)]  # 3 + 1 + 1 videos of two kinds
    epochs = [one for one in seen if one.stage == "train"]
    assert [one.done for one in epochs] == [*range(9)]  # two for each of three folds held out, and for the run itself
    assert epochs[0].total is None
    assert {one.total for one in epochs[1:]} == {8}
    assert all("loss" in one.figures for one in epochs[1:])
    assert {one.folder for one in seen} == {tmp_path / "run"}


def test_folds_are_trained_each_into_its_folder(data: Path, tmp_path: Path) -> None:
    lines = ["path,labels,fold"]
    for number, video in enumerate(sorted(data.glob("train/*/*.mkv"))):
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / f"{number}.mkv").symlink_to(video)
        lines.append(f"{number}.mkv,{video.parent.name},{number % 3}")
    (tmp_path / "set" / "videos.csv").write_text("\n".join(lines) + "\n")
    recipe = tmp_path / "r.toml"
    recipe.write_text(
        f'[data]\nroot = "{tmp_path / "set"}"\nfolds = 3\n[model]\nwidth = 8\n[train]\nepochs = 1\nbatch = 4\n'
    )
    seen: list[refinevad.Progress] = []
    run = refinevad.train(recipe, tmp_path / "run", progress=seen.append)
    assert list(run.validation) == list(run.by_name) == ["fold0", "fold1", "fold2"]
    assert {(one.fold, one.folder.name) for one in seen if one.stage == "train"} == {
        (0, "fold0"),
        (1, "fold1"),
        (2, "fold2"),
    }
    one = refinevad.train(recipe, tmp_path / "one", fold=1)
    assert list(one.by_name) == ["one"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"workers": 0}, "workers .* must be at least 1"),
        ({"encoder": "guess"}, "unknown encoder 'guess'"),
        ({"device": "tpu"}, "use cpu"),
        ({"alerts_per_hour": -1.0}, "alerts_per_hour .* must be above 0"),
        ({"alerts_per_hour": float("nan")}, "alerts_per_hour .* must be above 0"),
        ({"segment_s": 1.0, "segment_frames": 16}, "either seconds or frames"),
        ({"segment_s": -1.0}, "a segment must last"),
        ({"epochs": -3}, "epochs"),
        ({"head": "guess"}, "unknown head 'guess'"),
        ({"head": {"width": 8}}, "holds its name"),
        ({"head": {"name": "sultani", "widht": 8}}, "unknown head option widht"),
        ({"inputs": ["guess"]}, "no parts of these features"),
        ({"inputs": "guess"}, r"\['guess'\] are no parts"),
        ({"fold": 1}, "fold 1 does not exist"),
    ],
)
def test_options_that_cannot_be_are_said(options: dict[str, Any], words: str, data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        refinevad.train(data, tmp_path / "run", **options)


def test_what_cannot_be_evaluated_is_said(data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no finished run"):
        refinevad.evaluate(tmp_path, data)
    with pytest.raises(InputError, match="protocol is strict or legacy"):
        refinevad.evaluate(tmp_path, data, protocol="other")
    with pytest.raises(InputError, match="neither a recipe"):
        refinevad.train(tmp_path / "absent", tmp_path / "run")


# -- figures ---------------------------------------------------------------------------------------------------------


def test_figures_have_intervals_and_controls(tmp_path: Path) -> None:
    folder = refinevad.write_features(tmp_path / "features", sensor(24), "sensor", segment_s=1.0)
    run = refinevad.train(folder, tmp_path / "run", epochs=8)
    figures = refinevad.evaluate(run, folder)
    document = json.loads(figures.to_json())
    auc = figures["auc"]
    assert (auc.value, [auc.low, auc.high]) == (document["auc"], document["auc_ci95"])
    assert str(auc) == f"{auc.value:.3f} [{auc.low:.3f}, {auc.high:.3f}]"
    inner = figures["recall_at_fpr/0.01"]
    assert inner.value == document["recall_at_fpr"]["0.01"]
    assert inner.low == document["recall_at_fpr_ci95"]["0.01"][0]
    gap = document["controls"]["chance"]["model_minus_control"]["auc"]
    ahead = figures.ahead_of("chance")
    assert ahead is not None
    assert [ahead.value, ahead.low, ahead.high] == [gap["difference"], *gap["ci95"]]
    assert figures.controls["ridge control"]["auc"].value == document["controls"]["ridge control"]["auc"]
    assert "auc" in figures
    assert "auc_ci95" not in figures
    assert len(figures) == len(list(figures))
    assert f"auc {auc}" in repr(figures)
    with pytest.raises(KeyError):
        _ = figures["acu"]
    with pytest.raises(InputError, match=r"no control 'chanse' \(nearest: chance\)"):
        figures.ahead_of("chanse")
    with pytest.raises(InputError, match="no difference in 'acu'"):
        figures.ahead_of("chance", "acu")


# -- own features ----------------------------------------------------------------------------------------------------


def test_written_features_train_and_are_judged_wherever_they_are_moved(tmp_path: Path) -> None:
    folder = refinevad.write_features(tmp_path / "features", iter(sensor()), "sensor", segment_s=1.0)
    run = refinevad.train(folder, tmp_path / "run", epochs=2)
    before = refinevad.evaluate(run, folder)
    moved = folder.rename(tmp_path / "elsewhere")
    assert refinevad.evaluate(run, moved).to_json() == before.to_json()
    assert (before["videos"].value, before["frames"].value) == (4.0, 4 * 12 * 25.0)
    assert before["anomalous_frames"].value == 2 * 4 * 25.0
    found = refinevad.Detector.open(run).detect_features(sensor()[1].values, "one")
    index = FeatureIndex.open(moved)
    stored = refinevad.Detector.open(run).detect_features(index.load(index.items[1:2])[0], "one")
    np.testing.assert_allclose(found.scores, stored.scores, atol=1e-3)  # stored as float16
    assert found.times_s[-1].tolist() == [11.0, 12.0]


def test_segments_of_frames_last_as_their_videos_rate_says(tmp_path: Path) -> None:
    videos = [
        refinevad.Video("slow", np.ones((3, 2)), rate_hz=8.0),
        refinevad.Video("fast", np.ones((3, 2)), ["fall"], rate_hz=32.0),
    ]
    folder = refinevad.write_features(tmp_path / "f", videos, "sensor", segment_frames=16)
    index = FeatureIndex.open(folder)
    assert [video.timeline.duration_s for video in index.load(index.items)] == [6.0, 1.5]
    assert not (folder / "events.csv").exists()


def test_training_never_opens_written_events(tmp_path: Path) -> None:
    folder = refinevad.write_features(tmp_path / "f", sensor(), "sensor", segment_s=1.0)
    (folder / "events.csv").write_bytes(b"\xff not a table")
    refinevad.train(folder, tmp_path / "run", epochs=1)
    with pytest.raises(InputError, match=r"events\.csv"):
        refinevad.evaluate(tmp_path / "run", folder)


V = refinevad.Video
GOOD = V("a", np.ones((3, 2)))


@pytest.mark.parametrize(
    ("videos", "words"),
    [
        ([], "no video to write"),
        ([GOOD, V("a", np.ones((3, 2)))], "lists a twice|twice"),
        ([V("a.mp4", np.ones((3, 2))), V("a.mkv", np.ones((3, 2)))], "must differ in more than the suffix"),
        ([GOOD, V("b", np.ones((3, 3)))], "b has 3 numbers a segment, others have 2"),
        ([V("a", np.full((3, 2), np.nan))], "features of a hold NaN"),
        ([V("a", np.full((3, 2), np.inf))], "features of a hold NaN or infinite"),
        ([V("a", np.ones(3))], "must be numbers of shape"),
        ([V("a", np.ones((0, 2)))], "at least one of each"),
        ([V("a", np.ones((3, 2)), split="exam")], "split of a is none of train, val, test"),
        ([V("a", np.ones((3, 2)), labels="fall")], "labels of a are a list"),
        ([V("../a", np.ones((3, 2)))], "a path inside its set"),
        ([V("/a", np.ones((3, 2)))], "a path inside its set"),
        ([V("", np.ones((3, 2)))], "a path inside its set"),
        ([V("a\0b", np.ones((3, 2)))], "a path inside its set"),
        ([V("a", np.ones((3, 2)), ["fall"], events=[(2.0, 2.0, "fall")])], "an event of a must last"),
        ([V("a", np.ones((3, 2)), ["fall"], events=[(-1.0, 2.0, "fall")])], "an event of a must last"),
        ([V("a", np.ones((3, 2)), ["fall"], events=[(1.0, float("inf"), "fall")])], "an event of a must last"),
    ],
)
def test_videos_that_cannot_be_written_are_named(videos: Sequence[refinevad.Video], words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        refinevad.write_features(tmp_path / "f", videos, "sensor", segment_s=1.0)
    assert not (tmp_path / "f" / "dataset.json").exists()  # so that nothing takes it for a whole set
    refinevad.write_features(tmp_path / "f", [GOOD], "sensor", segment_s=1.0)
    with pytest.raises(InputError, match="already holds features"):
        refinevad.write_features(tmp_path / "f", [GOOD], "sensor", segment_s=1.0)


def test_features_of_another_name_or_length_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="either seconds or frames"):
        refinevad.write_features(tmp_path / "f", [GOOD], "sensor")
    with pytest.raises(InputError, match="features need a name"):
        refinevad.write_features(tmp_path / "f", [GOOD], " ", segment_s=1.0)
    with pytest.raises(InputError, match="give rate_hz"):
        refinevad.write_features(tmp_path / "f", [GOOD], "sensor", segment_frames=16)
    one = refinevad.write_features(tmp_path / "one", sensor(), "sensor", segment_s=1.0)
    other = refinevad.write_features(tmp_path / "other", sensor(), "another", segment_s=1.0)
    run = refinevad.train(one, tmp_path / "run", epochs=1)
    with pytest.raises(InputError, match="made by encoder 'another', the model expects 'sensor'"):
        refinevad.evaluate(run, other)


# -- an own encoder --------------------------------------------------------------------------------------------------


class Brightness:
    """Mean of each colour."""

    needs = refinevad.FrameNeeds(rgb_frames=1, rgb_size=(8, 8))

    def __init__(self, version: int = 1, channels: int = 3) -> None:
        self.identity = {"version": version}
        self.channels, self.calls = channels, 0

    def encode(self, clips: Sequence[refinevad.Clip]) -> np.ndarray:
        self.calls += 1
        return np.stack([clip.rgb.mean(axis=(0, 1, 2)) / 255 for clip in clips])[:, : self.channels]


def test_an_own_encoder_is_taken_wherever_one_is_named(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refinevad.register_encoder("brightness", Brightness())
    run = refinevad.train(
        data, tmp_path / "run", encoder="brightness", epochs=1, workers=2
    )  # in one process all the same
    detector = refinevad.Detector.open(run)
    film = data / "test/fall/0.mkv"
    found = detector.detect(film)
    assert detector.checkpoint.model.config.channels == 3
    assert refinevad.evaluate(run, data)["videos"].value == 2
    assert main(["detect", str(film), "--model", str(run.folder), "--out", str(tmp_path / "found")]) == 0
    written = json.loads((tmp_path / "found" / "0.json").read_text())
    np.testing.assert_allclose([row["score"] for row in written["segments"]], found.scores, atol=1e-6)
    stream = refinevad.StreamingDetector.open(run, window=60.0)
    from refinevad.video.reading import FrameReader

    outputs = [*(stream.push_frame(frame, time_s) for frame, time_s in FrameReader(film)), stream.flush()]
    assert sum(len(output.segments) for output in outputs) == len(found.scores)
    capsys.readouterr()


def test_a_run_of_an_own_encoder_needs_the_same_one_again(data: Path, tmp_path: Path) -> None:
    refinevad.register_encoder("brightness", Brightness())
    run = refinevad.train(data, tmp_path / "run", encoder="brightness", epochs=1)
    refinevad.register_encoder("brightness", Brightness(version=2))
    with pytest.raises(InputError, match="they differ in preprocessing, weights_sha256"):
        refinevad.Detector.open(run)
    choice._registered.clear()
    with pytest.raises(InputError, match=r"unknown encoder 'brightness'.*refinevad\.register_encoder"):
        refinevad.Detector.open(run)


def test_a_name_registered_again_is_the_later_one(data: Path, tmp_path: Path) -> None:
    first, second = Brightness(), Brightness(version=2)
    for encoder in (first, second):
        refinevad.register_encoder("brightness", encoder)
        refinevad.train(data, tmp_path / f"run{encoder.identity['version']}", encoder="brightness", epochs=1)
    assert first.calls == second.calls > 0
    assert kept.open_kept("brightness").vision is choice._registered["brightness"]


class Wrong(Brightness):
    def __init__(self, vectors: Callable[[int], np.ndarray]) -> None:
        super().__init__()
        self.vectors = vectors

    def encode(self, clips: Sequence[refinevad.Clip]) -> np.ndarray:
        return self.vectors(len(clips))


@pytest.mark.parametrize(
    ("vectors", "words"),
    [
        (lambda count: np.ones(count), "must give numbers of shape"),
        (lambda count: np.ones((count + 1, 2)), "must give numbers of shape"),
        (lambda count: np.ones((count, 0)), "must give numbers of shape"),
        (lambda count: np.array([["a"]] * count), "must give numbers of shape"),
        (lambda count: np.full((count, 2), np.nan), "NaN or infinite"),
    ],
)
def test_vectors_that_are_none_are_said(
    vectors: Callable[[int], np.ndarray], words: str, data: Path, tmp_path: Path
) -> None:
    refinevad.register_encoder("wrong", Wrong(vectors))
    with pytest.raises(InputError, match=words):
        refinevad.train(data, tmp_path / "run", encoder="wrong", epochs=1)


def test_vectors_keep_their_width() -> None:
    encoder = choice.Adapted("own", Brightness())
    clip = refinevad.Clip(
        np.zeros((1, 8, 8, 3), np.uint8), np.zeros(1), np.zeros((0, 2, 2), np.uint8), np.zeros(0), 0.0, 1.0, False
    )
    assert encoder.encode([clip]).shape == (1, 3)
    assert (encoder.dim, encoder.parts) == (3, {"own": (0, 3)})
    encoder.own.channels = 2
    with pytest.raises(InputError, match=r"must give numbers of shape \(1, 3\) for 1 clips; got float64 of shape"):
        encoder.encode([clip])


class Lacking:
    needs = refinevad.FrameNeeds()
    identity = {"version": 1}  # noqa: RUF012 - as the page shows it


@pytest.mark.parametrize(
    ("name", "encoder", "words"),
    [
        ("lite", Brightness(), "refinevad's own"),
        ("clip", Brightness(), "refinevad's own"),
        ("captions", Brightness(), "refinevad's own"),
        ("features", Brightness(), "refinevad's own"),
        ("Brightness", Brightness(), "small letters"),
        ("a+b", Brightness(), "small letters"),
        ("a:b", Brightness(), "small letters"),
        ("", Brightness(), "small letters"),
        ("own", Brightness(version=float("nan")), "what JSON holds"),
        ("own", Brightness(version={1, 2}), "what JSON holds"),
    ],
)
def test_an_encoder_that_cannot_be_registered(name: str, encoder: Brightness, words: str) -> None:
    with pytest.raises(InputError, match=words):
        refinevad.register_encoder(name, encoder)


def test_an_encoder_that_lacks_a_member_is_named() -> None:
    with pytest.raises(InputError, match="encoder 'own' has no encode"):
        choice.Adapted("own", Lacking())
    wrong = Brightness()
    wrong.needs = {"rgb_frames": 1}
    with pytest.raises(InputError, match="needs are FrameNeeds"):
        choice.Adapted("own", wrong)


# -- an own head -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SmallConfig(refinevad.HeadConfig):
    width: int = 4


class Small(refinevad.Head):
    def __init__(self, config: SmallConfig) -> None:
        super().__init__(config)
        self.layers = torch.nn.Sequential(
            torch.nn.Linear(config.channels, config.width), torch.nn.ReLU(), torch.nn.Linear(config.width, 1)
        )

    def score(self, x: torch.Tensor, mask: torch.Tensor) -> refinevad.HeadOutput:
        return refinevad.HeadOutput(self.layers(x).squeeze(-1) * mask, None)

    def loss(self, output: refinevad.HeadOutput, labels: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        highest = output.logits.masked_fill(~mask, -1e4).amax(1)
        wanted = (labels.sum(1) > 0).float()
        return {"highest": torch.nn.functional.binary_cross_entropy_with_logits(highest, wanted)}


def test_an_own_head_is_trained_saved_opened_and_judged(tmp_path: Path) -> None:
    folder = refinevad.write_features(tmp_path / "f", sensor(24), "sensor", segment_s=1.0)
    refinevad.register_head("small", SmallConfig, Small)
    run = refinevad.train(folder, tmp_path / "run", head={"name": "small", "width": 6}, epochs=30)
    assert load_file(run.folder / "model.safetensors")["head.layers.0.weight"].shape == (6, 5)
    assert refinevad.evaluate(run, folder)["auc"].value > 0.9  # the fall is four times as loud as the rest
    found = refinevad.Detector.open(run).detect_features(sensor(24)[1].values)
    assert found.scores[4:8].min() > found.scores[:3].max()
    del REGISTERED["small"]
    with pytest.raises(InputError, match="unknown head 'small'"):
        refinevad.Detector.open(run)


@pytest.mark.parametrize(
    ("name", "config", "head", "words"),
    [
        ("linear", SmallConfig, Small, "refinevad's own heads"),
        ("vadclip", SmallConfig, Small, "refinevad's own heads"),
        ("", SmallConfig, Small, "refinevad's own heads, or no name"),
    ],
)
def test_a_head_that_cannot_be_registered(name: str, config: type, head: type, words: str) -> None:
    with pytest.raises(InputError, match=words):
        refinevad.register_head(name, config, head)
    assert name not in REGISTERED or REGISTERED[name] != (config, head)
