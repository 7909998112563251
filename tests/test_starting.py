"""The first minutes: `init`, `doctor` and a shell's completion, as a person at a prompt meets them."""

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from patience import patience
from refinevad.apps.cli import COMMANDS, main
from refinevad.apps.live.settings.config import read_config
from refinevad.apps.starting import machine_report
from refinevad.apps.starting.layout import KINDS, ask, layout
from refinevad.errors import InputError
from refinevad.shipped.names import shipped_folder
from refinevad.training.recipe import read_recipe
from videos import write_video


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_laid_out_once(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["init", str(tmp_path / "new"), "--kind", kind]
    assert main([*words, "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert all((tmp_path / "new" / name).exists() for name in told["made"])
    assert any("refinevad " in command for command in told["next"])
    before = {path: path.read_bytes() for path in (tmp_path / "new").rglob("*") if path.is_file()}
    assert main(words) == 2
    assert "is there already" in capsys.readouterr().err
    assert before == {path: path.read_bytes() for path in (tmp_path / "new").rglob("*") if path.is_file()}


def test_videos_get_folders_a_recipe_that_reads_and_a_table_for_truth(tmp_path: Path) -> None:
    assert main(["init", str(tmp_path), "--kind", "videos", "--categories", "fall", "fight", "fall"]) == 0
    for split in ("train", "val", "test"):
        assert {path.name for path in (tmp_path / "videos" / split).iterdir()} == {"normal", "fall", "fight"}
    assert (tmp_path / "videos/events.csv").read_text() == "path,start_s,end_s,category\n"
    recipe = read_recipe(tmp_path / "recipe.toml")
    assert recipe.data == tmp_path / "videos"
    assert recipe.inputs_by_data  # every default, as of the folder itself


@pytest.mark.parametrize("name", ["normal", "Normal", "a/b", "", " ", ".hidden", "a\0b"])
def test_a_category_is_a_folder_s_name(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "new"), "--kind", "videos", "--categories", name]) == 2
    assert "a category is the name of a folder" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_cameras_get_a_file_that_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.mp4").write_bytes(b"a recording")
    sources = ["rtsp://me:pass%22word@10.0.0.5/live", "here.mp4"]
    assert main(["init", "house", "--kind", "cameras", "--sources", *sources]) == 0
    config = read_config(tmp_path / "house/cameras.toml")
    assert [camera.model for camera in config.cameras] == [shipped_folder("fighting")] * 2
    assert config.cameras[0].source.url == sources[0]
    assert config.cameras[1].source.shown == str(tmp_path / "here.mp4")
    assert "pass%22word" not in capsys.readouterr().out  # which is on a screen, and in a log
    assert main(["init", "bare", "--kind", "cameras"]) == 0
    assert len(read_config(tmp_path / "bare/cameras.toml").cameras) == 1


def test_features_of_one_s_own_train_by_what_was_laid_out(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path), "--kind", "features"]) == 0
    rows = ["path,labels,split"]
    for number in range(8):
        np.save(tmp_path / "npy" / f"cam-{number}.npy", np.full((12, 4), number % 2, dtype=np.float32))
        rows.append(f"cam-{number},{'fall' if number % 2 else 'normal'},train")
    (tmp_path / "videos.csv").write_text("\n".join(rows) + "\n")
    done = subprocess.run([sys.executable, tmp_path / "make.py"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert main(["check", str(tmp_path / "features"), "--no-cost"]) == 0
    assert "8 videos, 0.02 h" in capfd.readouterr().out  # 8 x 12 x 0.64 s
    assert main(["train", str(tmp_path / "features"), "--out", str(tmp_path / "run"), "--epochs", "1"]) == 0


def test_a_person_is_asked_until_an_answer_is_one() -> None:
    answers, told = iter(["", "7", "Cameras "]), []
    assert ask(lambda _: next(answers), told.append) == "cameras"
    assert told[1:4] == [f"  {n}  {name}: {words}" for n, (name, words) in enumerate(KINDS.items(), 1)]
    assert ask(lambda _: "1", told.append) == "videos"
    with pytest.raises(InputError, match="--kind is one of"):
        layout("drawings", Path())


def test_without_a_tty_it_reads_a_line_or_says_what_to_say(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "refinevad", "init", str(tmp_path / "new")]
    silent = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert silent.returncode == 2
    assert "nobody answers; say --kind videos, cameras, features" in silent.stderr
    assert not (tmp_path / "new").exists()
    piped = subprocess.run(words, input="2\n", capture_output=True, text=True)
    assert (piped.returncode, (tmp_path / "new/cameras.toml").exists()) == (0, True)
    assert "What have you got?" not in piped.stdout


def test_at_a_terminal_the_question_is_answered(tmp_path: Path) -> None:
    mine, theirs = pty.openpty()
    words = [sys.executable, "-m", "refinevad", "init", str(tmp_path / "new")]
    with subprocess.Popen(words, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        os.close(theirs)
        os.write(mine, b"videos\n")
        process.communicate(timeout=patience(60))
    os.close(mine)
    assert process.returncode == 0
    assert (tmp_path / "new/videos/train/normal").is_dir()


def test_doctor_says_what_is_here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("onnxruntime", reason="the default encoder needs the extra `video`")
    assert main(["doctor", "--json", "-"]) == 0
    told = json.loads(capsys.readouterr().out)
    checks = {check["name"]: check for check in told["checks"]}
    assert told["fine"]
    assert {"core", "[video]", "codecs", "encoders", "models", "cores", "GPU", "memory", "disk", "clock"} <= set(checks)
    assert checks["codecs"]["facts"]["h264"] == "h264"
    assert checks["encoders"]["facts"]["lite"] is True
    assert checks["cores"]["facts"]["usable"] >= 1
    assert checks["disk"]["facts"]["free_gb"] == pytest.approx(shutil.disk_usage(Path()).free / 1e9, rel=0.05)
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines()[1].startswith("ok  core ")


@pytest.mark.parametrize("what", ["package", "disk", "clock", "decoder", "weights"])
def test_doctor_says_what_is_not(
    what: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = {
        "package": "not installed: av; pip install 'refinevad[video]'",
        "disk": "0.0 GB free",
        "clock": "1970-01-01 00:00:00 UTC",
        "decoder": "not h264",
        "weights": "changed: fighting",
    }[what]
    if what == "package":
        version = machine_report._version
        monkeypatch.setattr(machine_report, "_version", lambda name: None if name == "av" else version(name))
    elif what == "disk":
        monkeypatch.setattr(machine_report.shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 0))
    elif what == "clock":
        monkeypatch.setattr(machine_report.time, "time", lambda: 0.0)
    elif what == "decoder":
        monkeypatch.setattr(machine_report, "CODECS", ("mpeg4", "h264"))
        from av.codec import Codec

        def without(name: str, mode: str) -> Codec:
            if name == "h264":
                raise ValueError(name)
            return Codec(name, mode)

        monkeypatch.setattr("av.codec.Codec", without)
    else:
        from refinevad.shipped import names

        copy = shutil.copytree(shipped_folder("fighting"), tmp_path / "fighting")
        (Path(copy) / "model.safetensors").write_bytes(b"other")
        monkeypatch.setattr(names, "FOLDER", tmp_path)
    assert main(["doctor"]) == 1
    bad = [line for line in capsys.readouterr().out.splitlines() if line.startswith("BAD ")]
    assert len(bad) == 1
    assert words in bad[0]


def test_doctor_opens_what_it_is_given_and_shows_no_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("av", reason="videos need the extra `video`")
    video = write_video(tmp_path / "a.mp4", size=(64, 48))
    assert machine_report.reach(str(video)).fine is True
    assert "64x48, 25 frames a second stated" in machine_report.reach(str(video)).told
    assert main(["doctor", "--rtsp", "rtsp://me:hush@127.0.0.1:9/live"]) == 1  # nothing listens there
    told = capsys.readouterr()
    assert "hush" not in told.out + told.err
    assert "127.0.0.1:9/live" in told.out
    assert machine_report.reach("carrier-pigeon://x").fine is False


BASH = """
source /dev/stdin <<< "$(cat {script})"
COMP_WORDS=({words})
COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 ))
COMP_LINE="${{COMP_WORDS[*]}}"; COMP_POINT=${{#COMP_LINE}}
spec=$(complete -p refinevad); spec=${{spec##*-F }}; function=${{spec%% *}}
"$function" refinevad "${{COMP_WORDS[$COMP_CWORD]}}" "${{COMP_WORDS[$((COMP_CWORD - 1))]}}"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("shtab", reason="completion needs the extra `shell`")
    done = subprocess.run(
        [sys.executable, "-m", "refinevad.apps.cli", "completion", "bash"], capture_output=True, text=True, check=True
    )
    path = tmp_path_factory.mktemp("completion") / "refinevad.bash"
    path.write_text(done.stdout)
    return path


def completed(script: Path, words: str, folder: Path) -> set[str]:
    """What a real bash offers for the last word; '' stands for a word not begun."""
    command = ["bash", "--norc", "-c", BASH.format(script=script, words=words)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=patience(30))
    return {word.strip() for word in done.stdout.splitlines() if word.strip()}


def test_a_real_bash_completes_commands_options_choices_and_files(script: Path, tmp_path: Path) -> None:
    (tmp_path / "camera.mp4").write_bytes(b"")
    assert set(COMMANDS) <= completed(script, "refinevad ''", tmp_path)
    assert completed(script, "refinevad de", tmp_path) == {"demo", "detect"}
    assert {"--model", "--out", "--annotate"} <= completed(script, "refinevad detect --", tmp_path)
    assert completed(script, "refinevad bench abl", tmp_path) == {"ablation"}
    assert completed(script, "refinevad init x --kind cam", tmp_path) == {"cameras"}
    assert "camera.mp4" in completed(script, "refinevad detect cam", tmp_path)
    assert "camera.mp4" in completed(script, "refinevad detect a.mp4 --model cam", tmp_path)


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_script_is_one_that_the_shell_reads(shell: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("shtab", reason="completion needs the extra `shell`")
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not here")
    assert main(["completion", shell]) == 0
    path = tmp_path / "script"
    path.write_text(capsys.readouterr().out)
    done = subprocess.run([shell, "-n", str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_without_shtab_it_is_one_sentence(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main(["completion", "bash"]) == 2
    assert "completion needs shtab; pip install 'refinevad[shell]'" in capsys.readouterr().err
