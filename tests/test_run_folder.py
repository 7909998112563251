"""What a RUN folder may hold: anything else is one sentence, soon, and before memory is taken for it."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import torch
from safetensors.torch import load_file, save_file

from cases import config, random_model
from fakes import replaced
from patience import patience
from peer_cases import CATEGORIES, CHANNELS, SMALL
from refinevad.apps.cli import main
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.encoders import choice, hub
from refinevad.errors import InputError
from refinevad.model_choice import open_model
from refinevad.peers.contender import ContenderConfig
from refinevad.run_folder import MOST_CALIBRATION_BYTES, MOST_CONFIG_BYTES
from test_streaming import checkpoint_of, small_model
from videos import write_video

FILES = ("model.safetensors", "config.json", "calibration.json")
GOOD = {"threshold": 0.5, "low_threshold": 0.4, "alerts_per_hour": 6.0, "certified": True, "normal_hours": 1.0}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    checkpoint_of(small_model()).save(tmp_path / "run")
    return tmp_path / "run"


def change(run: Path, name: str, how: Any) -> None:
    content = json.loads((run / name).read_text())
    how(content)
    (run / name).write_text(json.dumps(content))


def refused(run: Path) -> str:
    with pytest.raises(InputError) as caught:
        Checkpoint.load(run)
    sentence = str(caught.value)
    assert str(run) in sentence
    assert "\n" not in sentence.strip()
    assert len(sentence) < 600
    return sentence


# -- calibration ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["threshold", "low_threshold", "alerts_per_hour", "normal_hours"])
@pytest.mark.parametrize("value", ["NaN", "null", '"0.5"', "Infinity", "-Infinity", "1e999", "-0.1", "true", "[0.5]"])
def test_a_calibration_with_which_nothing_would_ever_alert_is_refused(run: Path, name: str, value: str) -> None:
    shown = {key: "@" if key == name else number for key, number in GOOD.items()}
    (run / "calibration.json").write_text(json.dumps(shown).replace('"@"', value))
    assert name in refused(run)


@pytest.mark.parametrize(
    "changes",
    [
        {"threshold": 1.01},
        {"threshold": 0.3},  # below the low one
        {"certified": 1},
        {"certified": None},
        {"certified": "yes"},
        {"more": 1},
        {"threshold": 10**400},
    ],
)
def test_a_calibration_of_other_values_is_refused(run: Path, changes: dict[str, Any]) -> None:
    (run / "calibration.json").write_text(json.dumps({**GOOD, **changes}))
    refused(run)


@pytest.mark.parametrize("name", list(GOOD))
def test_a_calibration_that_lacks_a_value_is_refused(run: Path, name: str) -> None:
    (run / "calibration.json").write_text(json.dumps({key: value for key, value in GOOD.items() if key != name}))
    assert f"{name} is missing" in refused(run)


def test_thresholds_at_the_ends_are_taken(run: Path) -> None:
    for low, high in ((0, 0), (0, 1), (1, 1)):
        (run / "calibration.json").write_text(json.dumps({**GOOD, "low_threshold": low, "threshold": high}))
        assert Checkpoint.load(run).calibration == Calibration(float(high), float(low), 6.0, True, 1.0)


# -- what stands in place of a file -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["folder", "pipe", "socket", "loop", "device", "dangling"])
def test_what_is_no_file_is_never_waited_for(run: Path, name: str, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    place = run / name
    place.unlink()
    if kind == "folder":
        place.mkdir()
    elif kind == "pipe":
        os.mkfifo(place)
    elif kind == "socket":
        monkeypatch.chdir(run)  # a socket's path is short
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(name)
    elif kind == "loop":
        place.symlink_to(place)
    elif kind == "device":
        place.symlink_to("/dev/zero")
    else:
        place.symlink_to(run / "nowhere")
    assert name in refused(run)


def test_a_link_to_a_file_is_a_file(run: Path, tmp_path: Path) -> None:
    shutil.move(run / "config.json", tmp_path / "elsewhere.json")
    (run / "config.json").symlink_to(tmp_path / "elsewhere.json")
    Checkpoint.load(run)


def test_a_run_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").write_text("{}")
    for name in ("pipe", "loop", "file", "nowhere"):
        refused(tmp_path / name)


# -- JSON -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES[1:])
@pytest.mark.parametrize("depth", [40, 500, 990, 100_000])
@pytest.mark.parametrize("opening", ['{"a":', "["])
def test_json_that_nests_deeply_is_refused(run: Path, name: str, depth: int, opening: str) -> None:
    closing = "}" if opening.startswith("{") else "]"
    bomb = f"{opening * depth}1{closing * depth}"
    content = (run / name).read_text().rstrip().removesuffix("}")
    (run / name).write_text(f'{content}, "training": {bomb}}}')
    refused(run)
    (run / name).write_text(bomb)
    refused(run)


@pytest.mark.parametrize(
    ("name", "most"), [("config.json", MOST_CONFIG_BYTES), ("calibration.json", MOST_CALIBRATION_BYTES)]
)
def test_huge_json_is_refused_unread(run: Path, name: str, most: int) -> None:
    with (run / name).open("r+b") as file:
        file.truncate(most + 1)
    assert f"at most {most:,}" in refused(run)
    with (run / name).open("r+b") as file:
        file.truncate(1 << 40)  # a sparse terabyte
    refused(run)


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '{"model": 1' + "0" * 5000 + "}", "\ufeff{}", "{} {}"])
def test_what_is_no_object_is_refused(run: Path, text: str) -> None:
    for name in FILES[1:]:
        before = (run / name).read_bytes()
        (run / name).write_text(text)
        refused(run)
        (run / name).write_bytes(before)


# -- configuration ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "how",
    [
        lambda c: c.pop("model"),
        lambda c: c.pop("encoder"),
        lambda c: c.pop("signature"),
        lambda c: c.update(model=None),
        lambda c: c.update(model=[]),
        lambda c: c.update(encoder=None),
        lambda c: c.update(encoder=["lite"]),
        lambda c: c.update(signature=[]),
        lambda c: c.update(training=[1]),
        lambda c: c.update(more=1),
        lambda c: c["model"].update(more=1),
        lambda c: c["model"].update(width=float("nan")),
        lambda c: c["model"].update(dropout=float("inf")),
        lambda c: c["model"].update(dropout=None),
        lambda c: c["model"].update(categories=None),
        lambda c: c["model"].update(categories="ab"),
        lambda c: c["model"].update(categories=[["a"]]),
        lambda c: c["model"].update(inputs=[[0]]),
        lambda c: c["model"].update(inputs=[[0, "x"]]),
        lambda c: c["model"].update(inputs=3),
        lambda c: c["model"].update(prompt_owner=[[1]]),
        lambda c: c["model"].update(prompt_owner={"a": 1}),
        lambda c: c["model"].update(smoothing=10**12),
        lambda c: c["model"].update(gate=[]),
        lambda c: c["model"].update(head="nobody"),
        lambda c: c["model"].update(head=["rtfm"]),
        lambda c: c["signature"].update(rule={}),
        lambda c: c["signature"].update(rule={"seconds": 1e9}),
        lambda c: c["signature"].update(rule={"seconds": float("nan")}),
        lambda c: c["signature"].update(rule={"seconds": "0.64"}),
        lambda c: c["signature"].update(rule={"seconds": 0}),
        lambda c: c["signature"].update(rule={"frames": 1.5}),
        lambda c: c["signature"].update(rule={"seconds": 1, "frames": 1}),
        lambda c: c["signature"].update(rule=None),
        lambda c: c["signature"].update(encoder=None),
        lambda c: c["signature"].update(encoder={"name": 1}),
        lambda c: c.update(training={"options": {"window_s": float("inf"), "delay_s": 0}}),
        lambda c: c.update(training={"options": {"window_s": 10**400, "delay_s": 0}}),
        lambda c: c.update(training={"options": {"window_s": -1, "delay_s": 0}}),
        lambda c: c.update(training={"options": {"window_s": 5, "delay_s": "x"}}),
        lambda c: c.update(training={"options": [1]}),
        lambda c: c.update(training={"options": {"seed": "0"}}),
    ],
)  # fmt: skip
def test_a_configuration_of_other_kinds_is_refused(run: Path, how: Any) -> None:
    change(run, "config.json", how)
    refused(run)


OTHER_SIZES: list[dict[str, Any]] = [
    {"width": 2_000_000},
    {"width": 16_000_000},
    {"layers": 200_000},
    {"layers": 2_000_000_000},
    {"channels": 10**12},
    {"channels": 1_000_000},
    {"heads": 10**9, "width": 10**9},
    {"categories": [str(n) for n in range(50_000)]},
    {"layers": 2},
    {"width": 16},
    {"channels": 5},
    {"inputs": [[0, 1]]},
    {"inputs": [[0, 4]] * 50_000},
    {"direct": False},
]
LOADING = """
import resource, sys
from pathlib import Path
from refinevad.checkpoint import Checkpoint
from refinevad.errors import InputError
for run in sys.argv[1:]:
    before = resource.getrusage(resource.RUSAGE_SELF)
    try:
        Checkpoint.load(Path(run))
    except InputError as error:
        print(error)
    after = resource.getrusage(resource.RUSAGE_SELF)
    print(after.ru_maxrss - before.ru_maxrss)
"""


def test_sizes_that_are_not_the_weights_take_no_memory(run: Path, tmp_path: Path) -> None:
    """In a process that is as the program is: the tests' own check the kinds of all arguments. Nor minutes: it ends."""
    runs = []
    for number, options in enumerate(OTHER_SIZES):
        runs.append(shutil.copytree(run, tmp_path / f"other{number}"))
        change(runs[-1], "config.json", lambda c, options=options: c["model"].update(options))
    command = [sys.executable, "-c", LOADING, *map(str, runs)]
    lines = subprocess.run(
        command, capture_output=True, text=True, timeout=patience(100), check=True
    ).stdout.splitlines()
    for other, sentence, kilobytes in zip(runs, lines[::2], lines[1::2], strict=True):
        assert sentence.startswith(str(other))
        assert int(kilobytes) < 200_000  # 2,000,000 wide it was 12.8 GB


# -- weights ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_one_weight_that_is_no_number_is_found(run: Path, value: float) -> None:
    weights = load_file(run / FILES[0])
    for name in ("core.prototypes", "input_mean", "head.0.bias"):
        changed = {key: array.clone() for key, array in weights.items()}
        changed[name].view(-1)[-1] = value
        save_file(changed, run / FILES[0])
        assert name in refused(run)


@pytest.mark.parametrize("value", [0.0, 1e-45, -0.0])
def test_weights_with_which_the_model_gives_no_number_are_refused(run: Path, value: float) -> None:
    weights = load_file(run / FILES[0])
    weights["input_scale"][:] = value
    save_file(weights, run / FILES[0])
    assert "no numbers" in refused(run)


@pytest.mark.parametrize("how", ["less", "more", "shape", "kind", "empty", "cut", "text"])
def test_weights_of_another_model_are_refused(run: Path, how: str) -> None:
    weights = load_file(run / FILES[0])
    if how == "less":
        del weights["core.prototypes"]
    elif how == "more":
        weights["other"] = torch.zeros(1)
    elif how == "shape":
        weights["core.prototypes"] = weights["core.prototypes"].T.contiguous()
    elif how == "kind":
        weights["core.prototypes"] = weights["core.prototypes"].half()
    elif how == "empty":
        weights = {}
    save_file(weights, run / FILES[0])
    if how == "cut":
        (run / FILES[0]).write_bytes((run / FILES[0]).read_bytes()[:-1])
    elif how == "text":
        (run / FILES[0]).write_text("weights")
    refused(run)


@pytest.mark.parametrize("head", list(SMALL))
def test_runs_of_every_head_are_whole(head: str, tmp_path: Path) -> None:
    model = open_model(ContenderConfig(CHANNELS, CATEGORIES, head, SMALL[head])).eval()
    signature = {"encoder": {"name": "e"}, "rule": {"frames": 16}}
    Checkpoint(model, "e", signature, Calibration(**GOOD)).save(tmp_path)
    again = Checkpoint.load(tmp_path)
    assert again.model.config == model.config
    for name, value in model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value)
    change(tmp_path, "config.json", lambda c: c["model"]["options"].update(layers=200_000))
    refused(tmp_path)


def test_runs_of_every_option_are_whole(tmp_path: Path) -> None:
    for options in ({"prompt_owner": (0, 1, 2, 3)}, {"direct": True, "layers": 0}, {"inputs": ((0, 2), (4, 6))}):
        model = random_model(config(**options), 3)
        signature = {"encoder": {"name": "e"}, "rule": {"seconds": 0.64}}
        Checkpoint(model, "e", signature, Calibration(**GOOD)).save(tmp_path)
        assert Checkpoint.load(tmp_path).model.config == model.config
    change(tmp_path, "config.json", lambda c: c["model"].update(prompt_owner=[0]))
    refused(tmp_path)


def test_opening_a_run_imports_no_compiler(run: Path) -> None:
    """torch's takes a second, at every start of detect, watch and serve; shapes alone need none."""
    program = """
import sys
from pathlib import Path
from peer_cases import CATEGORIES, CHANNELS, SMALL
from refinevad.checkpoint import Checkpoint
from refinevad.model_choice import open_model
from refinevad.peers.contender import ContenderConfig
import torch
Checkpoint.load(Path(sys.argv[1]))
with torch.device("meta"):
    for head, options in SMALL.items():
        open_model(ContenderConfig(CHANNELS, CATEGORIES, head, options))
assert not {"torch._dynamo", "sympy"} & set(sys.modules)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    subprocess.run([sys.executable, "-c", program, run], check=True, env=environment)


# -- every door -------------------------------------------------------------------------------------------------------


COMMANDS = ("detect", "watch", "serve", "evaluate", "explain")


def arguments(command: str, run: Path, folder: Path) -> list[str]:
    video = write_video(folder / "data" / "test" / "normal" / "v.mp4", frames=20)
    out = str(folder / "out")
    return {
        "detect": ["detect", str(video), "--model", str(run), "--out", out],
        "watch": ["watch", str(video), "--model", str(run), "--fast"],
        "serve": ["serve", "--model", str(run), "--data", out, "--port", "0"],
        "evaluate": ["evaluate", str(run), "--data", str(folder / "data")],
        "explain": ["explain", str(run), "--data", str(folder / "data"), "--out", f"{out}.html"],
    }[command]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("fault", ["calibration", "config", "weights"])
def test_every_door_says_one_sentence(
    run: Path, tmp_path: Path, command: str, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if fault == "calibration":
        (run / "calibration.json").write_text(json.dumps({**GOOD, "threshold": float("nan")}))
    elif fault == "config":
        change(run, "config.json", lambda c: c["signature"].update(rule={}))
    else:
        (run / FILES[0]).unlink()
        os.mkfifo(run / FILES[0])
    with replaced():
        assert main(arguments(command, run, tmp_path)) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"refinevad: error: {run}")
    assert said.count("\n") == 1


@pytest.mark.parametrize("command", COMMANDS)
def test_no_door_goes_online_for_an_encoder_that_a_run_names(
    run: Path, tmp_path: Path, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    change(run, "config.json", lambda c: c.update(encoder="clip:owner/name"))
    change(run, "config.json", lambda c: c["training"].update(options={"seed": 0}))
    with mock.patch.object(choice, "_open_vision", side_effect=InputError("opened")) as opened:
        assert main(arguments(command, run, tmp_path)) == 2
        said = capsys.readouterr().err
        assert "clip:owner/name" in said
        assert "--allow-download" in said
        assert said.count("\n") == 1
        assert not opened.called


@pytest.mark.parametrize("where", ["allowed", "folder"])
def test_an_encoder_is_opened_where_it_is_allowed_or_lies_here(
    run: Path, tmp_path: Path, where: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clip").mkdir()
    source = "owner/name" if where == "allowed" else str(tmp_path / "clip")
    change(run, "config.json", lambda c: c.update(encoder=f"clip:{source}"))
    change(run, "config.json", lambda c: c["training"].update(options={"seed": 0}))
    flag = ["--allow-download"] if where == "allowed" else []
    for command in ("detect", "watch"):
        with (
            mock.patch.object(choice, "_open_vision", side_effect=InputError("opened")) as opened,
            mock.patch.object(hub, "fetch") as fetch,
        ):
            assert main([*arguments(command, run, tmp_path), *flag]) == 2
            assert opened.call_args.args == ("clip", source)
            assert [call.args for call in fetch.call_args_list] == ([(source,)] if where == "allowed" else [])
    assert "--allow-download" not in capsys.readouterr().err


def test_a_package_that_a_run_names_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "harmless.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("harmless", "os.path", "__main__", "not there", "no_such_package"):
        with pytest.raises(InputError, match=r"sentence encoder|no model folder"):
            choice.open_encoder(f"captions:{name}")


def test_evaluate_needs_the_seed_of_the_splits(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with replaced():
        assert main(arguments("evaluate", run, tmp_path)) == 2
    assert "does not tell the seed" in capsys.readouterr().err
