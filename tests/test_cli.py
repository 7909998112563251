"""The program from outside: exit codes, JSON, one sentence on bad input, and nothing lost when it is stopped."""

import json
import os
import resource
import runpy
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest
import torch
from safetensors.torch import load_file

from fakes import MeanEncoder, replaced
from refinevad import side_by_side
from refinevad.apps.cli import COMMANDS, main
from refinevad.apps.commands import detect
from refinevad.checkpoint import Checkpoint
from refinevad.side_by_side import Workers
from refinevad.training import featurize
from refinevad.training.figure_rows import read_figures
from refinevad.training.loop import Trainer
from videos import film, write_sound, write_video

pytestmark = pytest.mark.usefixtures("small_encoder")

torch.set_num_threads(1)
FAKES = Path(__file__).with_name("fakes.py")
RECIPES = Path(__file__).parents[1] / "recipes"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def make_set(root: Path, train: int = 3) -> Path:
    """A data set of tiny videos: normal ones stand nearly still, falls move."""
    for split, count in (("train", train), ("val", 1), ("test", 1)):
        for label, codec_size in (("normal", (32, 32)), ("fall", (48, 32))):
            for number in range(count):
                write_video(root / split / label / f"{number}.mkv", frames=40, codec="mpeg4", size=codec_size)
    (root / "events.csv").write_text("path,start_s,end_s,category\ntest/fall/0.mkv,0.2,1.0,fall\n")
    return root


def make_recipe(root: Path, features: Path, smoothing: int = 0) -> Path:
    """A tiny set under `root`, to be REFINEVAD_DATA, and a recipe on it that trains an epoch."""
    make_set(root / "set")
    recipe = root / "set.toml"
    recipe.write_text(
        f'[data]\nroot = "set"\nfeatures = "{features}"\n[encoder]\nname = "lite"\n'
        f"[model]\nwidth = 8\nsmoothing = {smoothing}\n[train]\nepochs = 1\nbatch = 4\n"
    )
    return recipe


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("set") / "videos")


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    with replaced():
        assert main(["train", str(data), "--out", str(folder), "--epochs", "2", "--workers", "1"]) == 0
    return folder


def call(*arguments: object) -> int:
    """The program in this process; argparse's own exits count as exit codes."""
    try:
        return main([str(argument) for argument in arguments])
    except SystemExit as stop:
        return int(stop.code or 0)


def error_of(capsys: pytest.CaptureFixture[str]) -> str:
    """The one error sentence."""
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("refinevad: error: ")]
    assert len(lines) == 1
    return lines[0]


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if ".partial" in path.name]


# --- help and options ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_helps_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(command, "--help") == 0
    text = capsys.readouterr().out
    assert "example" in text
    assert f"refinevad {command} " in text
    # bench has commands of its own; what watch prints is JSON
    assert "--json" in text or command in ("bench", "watch")


def test_the_programs_own_help_is_light() -> None:
    """No torch, no video library: the help is there at once."""
    program = (
        "import sys; from refinevad.apps.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "heavy = {'torch', 'av', 'cv2', 'onnxruntime', 'transformers', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert all(command in done.stdout for command in COMMANDS)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["dance"],
        ["extract"],
        ["train", "DATA"],
        ["extract", "DATA", "--out", "OUT", "--segment-s", "1", "--segment-frames", "16"],
        ["extract", "DATA", "--out", "OUT", "--segment-s", "abc"],
    ],
)
def test_wrong_usage_is_2(arguments: list[str]) -> None:
    assert call(*arguments) == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["extract", "OUT/absent", "--out", "OUT"], "absent"),
        (["extract", "DATA", "--out", "OUT", "--encoder", "guess"], "unknown encoder 'guess'"),
        (["extract", "DATA", "--out", "OUT", "--encoder", "lite+lite"], "unknown encoder 'lite+lite'"),
        (["extract", "DATA", "--out", "OUT", "--segment-s", "0"], "must last"),
        (["extract", "DATA", "--out", "OUT", "--segment-frames", "0"], "must last"),
        (["extract", "DATA", "--out", "OUT", "--workers", "0"], "--workers"),
        (["train", "OUT/absent.toml", "--out", "OUT"], "neither a recipe"),
        (["train", "DATA", "--out", "OUT", "--alerts-per-hour", "0", "--workers", "1"], "--alerts-per-hour"),
        (["evaluate", "OUT/absent", "--data", "DATA"], "no finished run"),
        (["evaluate", "RUN", "--data", "OUT/absent"], "neither a recipe"),
        (["detect", "OUT/absent.mp4", "--model", "RUN", "--out", "OUT"], "video not found"),
        (["detect", "DATA", "--model", "RUN", "--out", "OUT"], "is a folder"),
        (["detect", "OUT/absent.mp4", "--model", "OUT", "--out", "OUT"], "no finished run"),
        (["detect", "V", "--model", "RUN", "--out", "OUT", "--threshold", "7"], "--threshold"),
        (["detect", "V", "--model", "RUN", "--out", "OUT", "--workers", "0"], "--workers"),
    ],
)
def test_bad_input_is_one_sentence_and_2(
    arguments: list[str], words: str, data: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = {"DATA": data, "RUN": run, "OUT": tmp_path}
    filled = []
    for argument in arguments:
        head, slash, rest = argument.partition("/")
        filled.append(f"{places.get(head, head)}{slash}{rest}")
    assert call(*filled) == 2
    assert words in error_of(capsys)


# --- whole commands --------------------------------------------------------------------------------------------------


def test_json_on_stdout_and_all_else_on_stderr(
    data: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = data / "test" / "fall" / "0.mkv"
    answers = {}
    for name, arguments in {
        "extract": ("extract", data, "--out", tmp_path / "features", "--workers", 1),
        "train": ("train", data, "--out", tmp_path / "run", "--epochs", 1, "--workers", 1),
        "evaluate": ("evaluate", run, "--data", data, "--workers", 1),
        "detect": ("detect", video, video, "--model", run, "--out", tmp_path / "found"),
    }.items():
        assert call(*arguments, "--json", "-") == 0
        out, err = capsys.readouterr()
        answers[name] = json.loads(out)
        assert err
    assert answers["extract"]["extracted"] == 10
    assert answers["extract"]["failed"] == {}
    assert {"video_auc", "epoch"} <= set(answers["train"])
    assert {"auc", "ap", "ano_auc", "far", "map", "map_average", "frames", "anomalous_frames"} <= set(
        answers["evaluate"]
    )
    assert answers["evaluate"]["frames"] == 80
    assert answers["evaluate"]["anomalous_frames"] == 20  # 0.2 s to 1.0 s at 25 Hz
    assert answers["evaluate"]["resampled"]["units"] == answers["evaluate"]["videos"]
    assert {"within_auc", "cross_auc_ci95", "recall_at_fpr", "event_f1_at"} <= set(answers["evaluate"])
    assert "auc" in answers["evaluate"]["controls"]["chance"]["model_minus_control"]
    assert {"resolution", "bitrate", "brightness"} <= set(answers["evaluate"]["scene_bias"])
    assert len(answers["detect"]["videos"]) == 2


def test_json_into_a_file(data: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("evaluate", run, "--data", data, "--workers", 1, "--json", tmp_path / "new" / "figures.json") == 0
    assert "frame AUC" in capsys.readouterr().out
    assert json.loads((tmp_path / "new" / "figures.json").read_text())["frames"] == 80


def test_a_test_set_alone_can_be_evaluated(data: Path, run: Path, tmp_path: Path) -> None:
    shutil.copytree(data / "test", tmp_path / "other" / "test")
    shutil.copy(data / "events.csv", tmp_path / "other")
    features = tmp_path / "features"
    assert call("evaluate", run, "--data", tmp_path / "other", "--workers", 1, "--features", features) == 0


def test_a_set_without_truth_cannot_be_evaluated(
    data: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(data / "test", tmp_path / "other" / "test")
    features = tmp_path / "features"
    assert call("evaluate", run, "--data", tmp_path / "other", "--workers", 1, "--features", features) == 2
    assert "no temporal truth" in error_of(capsys)


@pytest.mark.parametrize(
    ("absent", "words"),
    [("train/normal", "no normal videos"), ("train/fall", "no anomalous"), ("train", "no training")],
)
def test_a_split_that_lacks_a_side(
    absent: str, words: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(data, tmp_path / "videos")
    shutil.rmtree(tmp_path / "videos" / absent)
    assert call("train", tmp_path / "videos", "--out", tmp_path / "run", "--workers", 1) == 2
    assert words in error_of(capsys)


def test_a_category_that_training_does_not_know(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(data, tmp_path / "videos")
    write_video(tmp_path / "videos" / "val" / "arson" / "0.mkv", frames=20, codec="mpeg4")
    recipe = tmp_path / "held_out.toml"  # by default validation videos are trained on, too
    recipe.write_text(f'[data]\nroot = "{tmp_path / "videos"}"\nsettings = "default"\n[train]\ncross_fit = 0\n')
    assert call("train", recipe, "--out", tmp_path / "run", "--workers", 1) == 2
    assert "unknown category arson; the model knows fall" in error_of(capsys)


def test_a_category_of_the_validation_split_alone_is_learnt_and_told(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(data, tmp_path / "videos")
    write_video(tmp_path / "videos" / "val" / "arson" / "0.mkv", frames=20, codec="mpeg4")
    assert call("train", tmp_path / "videos", "--out", tmp_path / "run", "--workers", 1, "--epochs", 1) == 0
    assert "category 'arson' has a single training video" in capsys.readouterr().err
    assert Checkpoint.load(tmp_path / "run").model.config.categories == ("arson", "fall")


def test_a_category_with_one_video_is_told(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(data, tmp_path / "videos")
    write_video(tmp_path / "videos" / "train" / "arson" / "0.mkv", frames=20, codec="mpeg4")
    assert call("train", tmp_path / "videos", "--out", tmp_path / "run", "--workers", 1, "--epochs", 1) == 0
    assert "category 'arson' has a single training video" in capsys.readouterr().err


def test_one_fold_is_trained_and_evaluated(data: Path, tmp_path: Path) -> None:
    folder, rows = tmp_path / "videos", ["path,labels,fold"]
    shutil.copytree(data, folder)
    for number in range(3):
        rows += [f"train/{label}/{number}.mkv,{label},{number}" for label in ("normal", "fall")]
    (folder / "videos.csv").write_text("\n".join(rows) + "\n")
    (folder / "events.csv").write_text("path,start_s,end_s,category\ntrain/fall/1.mkv,0.2,1.0,fall\n")
    assert call("train", folder, "--out", tmp_path / "run", "--fold", 1, "--workers", 1, "--epochs", 1) == 0
    assert call("evaluate", tmp_path / "run", "--data", folder, "--workers", 1) == 0


def test_a_fold_is_evaluated_on_a_set_without_folds_and_the_other_way_round(
    data: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folded, rows = tmp_path / "folded", ["path,labels,fold"]
    shutil.copytree(data, folded)
    rows += [f"train/{label}/{number}.mkv,{label},{number % 2}" for number in range(3) for label in ("normal", "fall")]
    (folded / "videos.csv").write_text("\n".join(rows) + "\n")
    events = "".join(f"train/fall/{number}.mkv,0.2,1.0,fall\n" for number in range(3))
    (folded / "events.csv").write_text(f"path,start_s,end_s,category\n{events}")
    for out, more in (("one/fold0", ["--fold", 0]), ("both/fold0", ["--fold", 0]), ("both/fold1", ["--fold", 1])):
        arguments = ("--out", tmp_path / out, "--features", tmp_path / "features", "--epochs", 1, "--workers", 1)
        assert call("train", folded, *arguments, *more) == 0
    capsys.readouterr()
    own = ("--workers", 1, "--json", "-")
    assert call("evaluate", tmp_path / "one" / "fold0", "--data", data, *own) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["videos"] == 2  # the set's own test split
    assert "has no folds: its test split is judged" in err
    assert call("evaluate", run, "--data", folded, "--features", tmp_path / "features", *own) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["videos"] == 6
    assert "all its videos are judged" in err
    assert call("evaluate", tmp_path / "both", "--data", data, *own) == 2
    assert "holds 2 folds, each a model of its own" in error_of(capsys)


# --- batches and repetition ------------------------------------------------------------------------------------------


def extract_json(data: Path, out: Path, capsys: pytest.CaptureFixture[str], workers: int = 1) -> tuple[int, dict]:
    capsys.readouterr()
    code = call("extract", data, "--out", out, "--workers", workers, "--json", "-")
    return code, json.loads(capsys.readouterr().out)


def test_a_second_extract_makes_nothing_and_a_changed_video_anew(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos, out = tmp_path / "videos", tmp_path / "features"
    shutil.copytree(data, videos)
    code, first = extract_json(videos, out, capsys)
    assert (code, first["extracted"], first["up_to_date"]) == (0, 10, 0)
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")}
    _, second = extract_json(videos, out, capsys)
    assert (second["extracted"], second["up_to_date"]) == (0, 10)
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.safetensors")} == stamps
    changed = videos / "train" / "fall" / "1.mkv"
    changed.touch()  # as after a copy: the same bytes at another time
    _, copied = extract_json(videos, out, capsys)
    assert (copied["extracted"], copied["up_to_date"]) == (0, 10)
    whole = bytearray(changed.read_bytes())
    whole[-1] ^= 1  # of the same length
    changed.write_bytes(whole)
    _, third = extract_json(videos, out, capsys)
    assert (third["extracted"], third["up_to_date"]) == (1, 9)
    damaged = out / "train" / "fall" / "2.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-10])
    _, fourth = extract_json(videos, out, capsys)
    assert (fourth["extracted"], fourth["up_to_date"]) == (1, 9)
    featurize._encoder.cache_clear()
    with replaced(lambda: MeanEncoder("1" * 64)):
        _, fifth = extract_json(videos, out, capsys)
    assert fifth["extracted"] == 10


def test_one_bad_video_is_told_and_the_others_finish(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = tmp_path / "videos"
    shutil.copytree(data, videos)
    bad = {
        "train/fall/bad.mp4": "not a video",
        "train/normal/sound.mkv": "audio only",
        "test/fall/empty.mp4": "0 bytes",
    }
    (videos / "train/fall/bad.mp4").write_text("text" * 100)
    write_sound(videos / "train/normal/sound.mkv")
    (videos / "test/fall/empty.mp4").touch()
    code, summary = extract_json(videos, tmp_path / "features", capsys)
    assert (code, summary["extracted"]) == (1, 10)
    assert set(summary["failed"]) == set(bad)
    assert all(words in summary["failed"][name] for name, words in bad.items())
    assert len(json.loads((tmp_path / "features" / "dataset.json").read_text())["items"]) == 10
    assert call("train", videos, "--out", tmp_path / "run", "--epochs", 1, "--workers", 1) == 1
    assert capsys.readouterr().err.count("left out: ") == 3


def test_a_test_video_that_cannot_be_read_is_told_by_evaluate(
    data: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    videos = tmp_path / "videos"
    shutil.copytree(data, videos)
    (videos / "train/fall/bad.mp4").write_text("text" * 100)
    arguments = ("evaluate", run, "--data", videos, "--features", tmp_path / "features", "--workers", 1)
    assert call(*arguments) == 0  # every test video was judged
    (videos / "test/fall/broken.mp4").write_text("text" * 100)
    capsys.readouterr()
    assert call(*arguments, "--json", "-") == 1
    out, err = capsys.readouterr()
    assert list(json.loads(out)["failed"]) == ["test/fall/broken.mp4"]
    assert "left out: " in err
    assert "test/fall/broken.mp4" in err
    assert json.loads(out)["frames"] == 80
    page = tmp_path / "explained.html"
    assert call("explain", run, *arguments[2:], "--out", page) == 1
    assert page.exists()


def test_all_bad_is_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("normal/a.mp4", "fall/b.mp4"):
        (tmp_path / "videos" / "train" / name).parent.mkdir(parents=True)
        (tmp_path / "videos" / "train" / name).touch()
    assert call("extract", tmp_path / "videos", "--out", tmp_path / "features", "--workers", 1) == 2
    assert "none of the 2 videos could be read" in error_of(capsys)


def test_detect_tells_of_bad_videos_and_finishes_the_others(
    data: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = data / "test" / "fall" / "0.mkv", tmp_path / "bad.mp4"
    bad.write_text("text" * 100)
    assert call("detect", bad, good, "--model", run, "--out", tmp_path / "found", "--json", "-") == 1
    out, err = capsys.readouterr()
    summary = json.loads(out)
    assert list(summary["failed"]) == [str(bad)]
    assert [entry["video"] for entry in summary["videos"]] == [str(good)]
    assert "not a video" in err
    assert {"0.json", "0.csv", "0.html", "index.html"} <= {path.name for path in (tmp_path / "found").iterdir()}
    assert call("detect", bad, bad, "--model", run, "--out", tmp_path / "found") == 2


def test_detect_shares_a_long_video_among_workers_and_writes_the_same(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MeanEncoder, "portable", True)
    monkeypatch.setattr(detect, "LONG_S", 20.0)
    opened: list[int] = []

    class Noted(Workers):
        def __init__(self, count: int) -> None:
            opened.append(count)
            super().__init__(count)

    monkeypatch.setattr(side_by_side, "Workers", Noted)
    long, short = film(tmp_path / "long.mp4", 700), film(tmp_path / "short.mp4", 30)
    for count in (1, 2):
        assert call("detect", short, long, "--model", run, "--out", tmp_path / f"{count}", "--workers", count) == 0
    assert call("detect", short, "--model", run, "--out", tmp_path / "short", "--workers", 2) == 0
    assert opened == [2]  # not for one, nor for short videos alone
    for name in ("long.json", "long.csv", "short.csv"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_a_model_refuses_another_encoder(
    data: Path, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with replaced(lambda: MeanEncoder("1" * 64)):
        assert call("detect", data / "test" / "fall" / "0.mkv", "--model", run, "--out", tmp_path) == 2
    assert "they differ in weights_sha256" in error_of(capsys)
    features = tmp_path / "features"
    assert call("extract", data, "--out", features, "--segment-frames", 16, "--workers", 1) == 0
    capsys.readouterr()
    shutil.copy(data / "events.csv", features)
    assert call("evaluate", run, "--data", features) == 2
    assert "segments of 16 frames, the model was trained on 0.64 seconds" in error_of(capsys)


# --- stopped in the middle -------------------------------------------------------------------------------------------


STARTED: "list[subprocess.Popen[str]]" = []


@pytest.fixture(autouse=True)
def no_process_outlives_its_test() -> Iterator[None]:
    yield
    for process in STARTED:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    STARTED.clear()


def start(*arguments: object, **environment: str) -> "subprocess.Popen[str]":
    """The program with the small encoder, in a process group of its own as a terminal would give it."""
    process = subprocess.Popen(
        [sys.executable, str(FAKES), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**ENVIRONMENT, **environment},
        start_new_session=True,
    )
    STARTED.append(process)
    return process


def wait_until(reached: Callable[[], bool], process: "subprocess.Popen[str]", seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not reached():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "never came so far"
        time.sleep(0.02)


@pytest.mark.parametrize("workers", [1, 2])
def test_ctrl_c_in_extract(workers: int, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Stopped in the fourth video of a process: those before are kept, nothing is half-written, and it goes on."""
    out = tmp_path / "features"
    process = start("extract", data, "--out", out, "--workers", workers, FAKE_PAUSE_AT="4")
    wait_until(lambda: len(list(out.rglob("*.safetensors"))) == 3 * workers, process)
    time.sleep(0.2)  # into the video that pauses
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted; the same command goes on where it stopped" in err
    assert "Traceback" not in err
    assert leftovers(out) == []
    code, summary = extract_json(data, out, capsys)
    assert code == 0
    assert (summary["extracted"], summary["up_to_date"]) == (10 - 3 * workers, 3 * workers)


def test_a_killed_worker_of_extract_is_one_sentence_and_what_is_done_is_kept(data: Path, tmp_path: Path) -> None:
    """Killed in the second video of a process, with SIGKILL."""
    out = tmp_path / "features"
    process = start("extract", data, "--out", out, "--workers", 2, FAKE_PAUSE_AT="2")
    wait_until(lambda: len(list(out.rglob("*.safetensors"))) == 2 and not leftovers(out), process)
    started = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    workers = [int(pid) for pid in started if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()]
    assert len(workers) == 2
    os.kill(workers[0], signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "a process that extracts features was killed, perhaps for want of memory; run again with fewer" in err
    assert "Traceback" not in err
    assert len(list(out.rglob("*.safetensors"))) == 2
    assert leftovers(out) == []


def test_ctrl_c_in_train_goes_on_to_the_same_weights(run: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "held_out.toml"
    recipe.write_text(f'[data]\nroot = "{run / "features"}"\nsettings = "default"\n[train]\ncross_fit = 0\n')
    arguments = ("train", recipe, "--epochs", 6)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert call(*arguments, "--out", whole) == 0
    process = start(*arguments, "--out", stopped, FAKE_PAUSE_EPOCH="3")
    history = stopped / "history.jsonl"
    wait_until(lambda: history.exists() and len(history.read_text().splitlines()) == 3, process)
    time.sleep(0.5)  # into the fourth epoch
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert leftovers(stopped) == []
    assert not (stopped / "model.safetensors").exists()
    with mock.patch.object(Trainer, "_epoch", autospec=True, side_effect=Trainer._epoch) as epoch:
        assert call(*arguments, "--out", stopped) == 0
    assert epoch.call_count == 3  # gone on, not begun again
    assert history.read_text() == (whole / "history.jsonl").read_text()
    one, other = load_file(whole / "model.safetensors"), load_file(stopped / "model.safetensors")
    assert set(one) == set(other)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_ctrl_c_between_the_models_that_validate_goes_on_with_the_next(run: Path, tmp_path: Path) -> None:
    arguments = ("train", run / "features", "--epochs", 2)
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    with mock.patch.object(Trainer, "_epoch", autospec=True, side_effect=Trainer._epoch) as epoch:
        assert call(*arguments, "--out", whole) == 0
    trained = epoch.call_count  # of all models together
    process = start(*arguments, "--out", stopped, FAKE_PAUSE_EPOCH="1", FAKE_PAUSE_FOLDER="held1")
    history = stopped / "held1" / "history.jsonl"
    wait_until(lambda: history.exists() and len(history.read_text().splitlines()) == 1, process)
    time.sleep(0.5)  # into its second epoch
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130
    with mock.patch.object(Trainer, "_epoch", autospec=True, side_effect=Trainer._epoch) as epoch:
        assert call(*arguments, "--out", stopped) == 0
    assert epoch.call_count == trained - 3  # two epochs of the first model and one of the second were done
    assert not list(stopped.glob("held*"))
    one, other = load_file(whole / "model.safetensors"), load_file(stopped / "model.safetensors")
    assert all(torch.equal(one[name], other[name]) for name in one)
    calibrations = [(folder / "calibration.json").read_text() for folder in (whole, stopped)]
    assert calibrations[0] == calibrations[1]


# --- a full disk -----------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KB, where this machine lets us mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.getuid() != 0:
        pytest.skip("a small file system can only be mounted by root")
    options = ["-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if subprocess.run([mount, *options], capture_output=True).returncode:
        pytest.skip("this machine mounts no tmpfs")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_in_extract(data: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = small_disk / "features"
    (small_disk / "other").write_bytes(b"x" * (64 << 10) if not _fits(small_disk, 56 << 10) else b"x" * (40 << 10))
    assert call("extract", data, "--out", out, "--workers", 1) == 2
    assert "No space left on device" in error_of(capsys)
    assert leftovers(small_disk) == []
    made = len(list(out.rglob("*.safetensors")))
    (small_disk / "other").unlink()
    assert call("extract", data, "--out", out, "--workers", 1, "--json", "-") in (0, 2)
    assert len(list(out.rglob("*.safetensors"))) >= made


def _fits(place: Path, size: int) -> bool:
    return shutil.disk_usage(place).free >= size


def test_a_full_disk_in_train_and_detect(
    data: Path, run: Path, small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = run / "features"
    assert call("train", data, "--out", small_disk / "run", "--features", features, "--workers", 1, "--epochs", 1) == 2
    assert "No space left on device" in error_of(capsys)
    assert leftovers(small_disk) == []
    free = shutil.disk_usage(small_disk).free
    (small_disk / "other").write_bytes(b"x" * max(free - 4096, 0))
    assert call("detect", data / "test" / "fall" / "0.mkv", "--model", run, "--out", small_disk / "found") == 2
    assert "No space left on device" in error_of(capsys)
    assert leftovers(small_disk) == []


def test_a_write_that_fails_halfway(data: Path, tmp_path: Path) -> None:
    """Where nothing can be mounted: files above 1 KB fail, as at the end of a quota."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (512, 512))

    command = [sys.executable, "-B", str(FAKES), "extract", str(data), "--out", str(tmp_path / "out"), "--workers", "1"]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=60, preexec_fn=limit)
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("refinevad: error: cannot write ") == 1
    assert "Traceback" not in done.stderr
    assert leftovers(tmp_path) == []
    assert not list(tmp_path.rglob("*.safetensors"))


@pytest.mark.parametrize(
    ("kind", "option", "name"),
    [("recipe", None, "all"), ("ablation", "--variants", "other"), ("accuracy", "--heads", "other")],
)
def test_tables_leave_their_figures_as_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, option: str | None, name: str
) -> None:
    """figures.csv beside table.md: each row's mean over seeds is that of the rows on disk."""
    recipe = make_recipe(tmp_path, tmp_path / "features")
    monkeypatch.setenv("REFINEVAD_DATA", str(tmp_path))
    (tmp_path / "other.toml").write_text("[head]\nname = 'sultani'\n" if kind == "accuracy" else "[model]\nwidth = 4\n")
    out = tmp_path / "out"
    words = [option, tmp_path / "other.toml"] if option else []
    with replaced():
        assert call("bench", kind, recipe, "--seeds", "0", "1", "--workers", "1", "--out", out, *words) == 0
    runs = out / name if option else out
    evaluated = [json.loads((runs / f"seed{seed}" / "row.json").read_text())["metrics"]["auc"] for seed in (0, 1)]
    found = {(row.row, row.figure): row for row in read_figures(out / "figures.csv")}
    assert found[name, "auc"].value == pytest.approx(sum(evaluated) / 2, abs=1e-5)
    assert found[name, "seeds"].value == 2
    assert 0 <= found[name, "auc_over_videos"].value <= 1
    assert ("chance", "auc") in found
    assert (found[name, "auc"].common == 2) == (option is not None)  # compared with the first row
    assert ((name, "parameters") in found) == (kind == "accuracy")
    assert (out / "table.md").exists()


def test_a_recipe_on_another_encoder_keeps_its_own_features_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = tmp_path / "own"
    recipe = make_recipe(tmp_path, own)
    monkeypatch.setenv("REFINEVAD_DATA", str(tmp_path))
    arguments = ["bench", "recipe", recipe, "--seeds", "0", "--workers", "1", "--out", tmp_path / "out"]
    with replaced() as opened:
        assert call(*arguments, "--encoder", "lite:int8") == 0
    assert {asked.args for asked in opened.call_args_list} == {("lite", "int8")}
    assert not own.exists()
    assert len(list((tmp_path / "out" / "features").rglob("*.safetensors"))) == 10
    (tmp_path / "ucf-crime").mkdir()
    assert call("bench", "recipe", RECIPES / "ucf_crime.toml", "--encoder", "lite", "--out", own) == 2
    assert "a recipe of published features takes no encoder" in error_of(capsys)


def test_the_parts_a_model_looks_at_can_be_named(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = ["train", data, "--epochs", "1", "--workers", "1"]
    assert call(*train, "--out", tmp_path / "run", "--inputs", "frame_difference") == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["model"]["inputs"] == [[3, 4]]
    assert call(*train, "--out", tmp_path / "none", "--inputs", "motion_mean") == 2
    assert "['motion_mean'] are no parts of these features; they have ['appearance'" in error_of(capsys)


def test_settings_are_chosen_on_other_sets_and_what_was_run_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = make_recipe(tmp_path, tmp_path / "features")
    other = tmp_path / "other.toml"
    other.write_text(recipe.read_text().replace("width = 8", "width = 12"))
    for name, text in {"as_is": "", "wide": "[model]\nwidth = 16\n"}.items():
        (tmp_path / f"{name}.toml").write_text(text)
    monkeypatch.setenv("REFINEVAD_DATA", str(tmp_path))
    out = tmp_path / "out"
    words: list[object] = ["bench", "choose", recipe, other, "--seeds", "0", "--workers", "1", "--out", out]
    words += ["--candidates", tmp_path / "as_is.toml", tmp_path / "wide.toml"]
    assert call(*words) == 0
    table = capsys.readouterr().out
    aucs = {
        name: [
            json.loads((out / s / name / "seed0" / "row.json").read_text())["metrics"]["auc"] for s in ("set", "other")
        ]
        for name in ("as_is", "wide")
    }
    shown = {cells[1].strip(): cells for cells in (line.split("|") for line in table.splitlines() if "|" in line)}
    for name, (on_set, on_other) in aucs.items():
        assert shown[name][2:4] == [f" {on_set:.4f} ", f" {on_other:.4f} "]
    for row, rest in ((shown["set"], 1), (shown["other"], 0)):  # each is shown with what is best on the other
        best = "as_is" if aucs["as_is"][rest] >= aucs["wide"][rest] else "wide"
        assert row[2].strip() == best
    stamps = {path: path.stat().st_mtime_ns for path in out.rglob("row.json")}
    assert len(stamps) == 4
    assert call(*words) == 0
    assert capsys.readouterr().out == table
    assert {path: path.stat().st_mtime_ns for path in out.rglob("row.json")} == stamps


def test_readings_average_finished_runs_and_the_control_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """benchmarks/readings.py: a row a head; the recipe's own half-width gives the figures it was evaluated with."""
    recipe = make_recipe(tmp_path, tmp_path / "features", smoothing=1)
    monkeypatch.setenv("REFINEVAD_DATA", str(tmp_path))
    out = tmp_path / "runs" / "ours"
    assert call("bench", "recipe", recipe, "--seeds", "0", "1", "--workers", "1", "--out", out) == 0
    evaluated = [json.loads((out / f"seed{seed}" / "row.json").read_text())["metrics"]["auc"] for seed in (0, 1)]
    capsys.readouterr()
    words = ["readings", str(tmp_path / "runs"), "--recipe", str(recipe), "--half-widths", "0", "1"]
    monkeypatch.setattr(sys, "argv", words)
    runpy.run_path(str(Path(__file__).parents[1] / "benchmarks" / "readings.py"), run_name="__main__")
    head, _, ours, control = capsys.readouterr().out.splitlines()
    assert head.count("|") == ours.count("|") == control.count("|") == 8
    cells = [cell.strip() for cell in ours.split("|")]
    assert cells[1] == "ours"
    assert cells[5].startswith(f"{sum(evaluated) / 2:.4f} ± ")
    assert control.startswith("| linear on video means | ")
