"""The program from outside: exit codes, JSON, and one sentence on bad input."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from cli_cases import call, error_of, make_run, make_set
from patience import patience
from refinevad.apps.cli import COMMANDS
from refinevad.checkpoint import Checkpoint
from videos import write_video

pytestmark = pytest.mark.usefixtures("small_encoder")

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_set(tmp_path_factory.mktemp("set") / "videos")


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_run(data, tmp_path_factory.mktemp("runs") / "run")


# --- help and options ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_helps_with_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(command, "--help") == 0
    text = capsys.readouterr().out
    assert "example" in text
    assert f"refinevad {command} " in text
    # bench has commands of its own; what watch prints is JSON, and completion's is a script
    assert "--json" in text or command in ("bench", "watch", "completion")


def test_the_programs_own_help_is_light() -> None:
    """No torch, no video library: the help is there at once."""
    program = (
        "import sys; from refinevad.apps.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit as stop: assert stop.code == 0\n"
        "heavy = {'torch', 'av', 'cv2', 'onnxruntime', 'transformers', 'sklearn', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=patience(60))
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
