"""Runs shared: to a hub that speaks Hugging Face's API, to a folder, to a storage, and back; checked on both ways."""

import json
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from cli_cases import call, error_of, leftovers
from hub_server import TOKEN, Hub
from refinevad.checkpoint import Checkpoint
from refinevad.errors import InputError
from refinevad.files.whole_folder import whole_folder
from refinevad.model import RefineVAD
from refinevad.model_config import RefineVADConfig
from refinevad.scoring.events import Calibration
from refinevad.sharing.addresses import HubAddress, StorageAddress, read_address
from refinevad.shipped.names import shipped_folder

hub_library = pytest.importorskip("huggingface_hub", reason="the extra `hub` is not installed")
fsspec = pytest.importorskip("fsspec", reason="the extra `hub` is not installed")

REPOSITORY = "someone/fights"
FILES = {"README.md", "calibration.json", "config.json", "metrics.json", "model.safetensors"}
METRICS = {
    "validation": {"video_auc": 0.7, "loss": 0.4, "epoch": 3, "compared": None},
    "test": {
        "auc": 0.87654,
        "auc_ci95": [0.8123, 0.9234],
        "ap": 0.5,
        "ap_ci95": None,
        "map_average": 61.25,
        "event_f1": None,
        "videos": 50,
    },
    "controls": {"ridge control": {"auc": 0.8}},
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    from huggingface_hub import constants

    served = Hub()
    monkeypatch.setenv("HF_ENDPOINT", served.address)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # a protocol of its own; else git-lfs's is spoken
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    yield served
    served.close()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with figures, and with what training leaves in it."""
    folder = tmp_path / "runs" / "mine"
    torch.manual_seed(0)
    model = RefineVAD(RefineVADConfig(channels=6, categories=("fighting",), width=8)).eval()
    signature = {"encoder": {"name": "made up", "preprocessing": {}, "weights_sha256": ""}, "rule": {"seconds": 0.64}}
    training = {"data": "/home/somebody/Street fights", "videos": {"train": 12}, "options": {"seed": 0}}
    Checkpoint(model, "features:made up", signature, Calibration(0.8, 0.6, 6.0, True, 1.5), training).save(folder)
    (folder / "metrics.json").write_text(json.dumps(METRICS))
    (folder / "features" / "train").mkdir(parents=True)
    (folder / "features" / "train" / "a.safetensors").write_bytes(b"not to leave the house")
    (folder / "history.jsonl").write_text("{}\n")
    return folder


def scores(folder: Path) -> np.ndarray:
    with torch.inference_mode():
        values = torch.linspace(-1, 1, 60).reshape(1, 10, 6)
        return Checkpoint.load(folder).model(values, torch.ones(1, 10, dtype=torch.bool)).logits.numpy()


def test_a_run_goes_to_a_hub_and_comes_back_as_it_was(
    hub: Hub, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("push", run, f"hf:{REPOSITORY}", "--licence", "cc-by-4.0") == 0
    said = capsys.readouterr()
    repository = hub.repositories[REPOSITORY]
    sha, files = repository.commits[-1]
    assert said.out == f"5 files to hf:{REPOSITORY} at {sha}\n"
    assert "2 left here: features, history.jsonl" in said.err
    assert set(files) == FILES | {".gitattributes"}
    assert repository.private
    assert any(line.startswith("PUT /lfs/") for line in hub.said)  # the weights went as a large file
    for name in FILES - {"README.md"}:
        assert files[name] == (run / name).read_bytes()
    out = tmp_path / "theirs"
    assert call("pull", f"hf:{REPOSITORY}", "--out", out) == 0
    assert sha in capsys.readouterr().out
    assert {path.name for path in out.iterdir()} == FILES | {"origin.json"}
    np.testing.assert_array_equal(scores(out), scores(run))
    origin = json.loads((out / "origin.json").read_text())
    assert (origin["address"], origin["revision"]) == (f"hf:{REPOSITORY}", sha)
    assert not leftovers(tmp_path)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    assert call("pull", f"hf:{REPOSITORY}", "--out", out) == 0
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    commits = len(repository.commits)
    assert call("push", run, f"hf:{REPOSITORY}", "--licence", "cc-by-4.0") == 0
    assert repository.commits[commits - 1][1] == repository.commits[-1][1]


def test_the_card_says_what_hubs_read_and_nothing_of_the_machine(hub: Hub, run: Path) -> None:
    assert call("push", run, f"hf:{REPOSITORY}", "--licence", "cc-by-4.0") == 0
    text = hub.repositories[REPOSITORY].commits[-1][1]["README.md"].decode()
    head = yaml.safe_load(text.split("---\n")[1])
    assert head["license"] == "cc-by-4.0"
    assert head["library_name"] == "refinevad"
    (index,) = head["model-index"]
    assert index["name"] == "mine"
    (result,) = index["results"]
    assert result["dataset"] == {"name": "Street fights", "type": "street-fights", "split": "test"}
    assert result["task"]["type"] == "video-classification"
    found = {row["name"]: row for row in result["metrics"]}
    assert found["frame AUC"]["value"] == 0.8765
    assert found["frame AUC"]["type"] == "roc_auc"
    assert found["frame AUC"]["args"] == {"ci95_over_videos": [0.8123, 0.9234]}
    assert found["mAP@IoU 0.1-0.5 (%)"]["value"] == 61.25
    assert set(found) == {"frame AUC", "frame AP", "mAP@IoU 0.1-0.5 (%)"}  # what is undefined is left out
    read_back = hub_library.ModelCard(text).data.eval_results  # as the hub's own library reads it
    assert {(one.metric_name, one.metric_value) for one in read_back} == {
        ("frame AUC", 0.8765),
        ("frame AP", 0.5),
        ("mAP@IoU 0.1-0.5 (%)", 61.25),
    }
    assert "| frame AUC of the ridge control | 0.8000 | - |" in text
    assert "/home/somebody" not in text


def test_a_shipped_model_takes_its_card_along(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("push", "fighting", f"hf:{REPOSITORY}", "--public", "--json", "-") == 0
    captured = capsys.readouterr()
    assert "says no licence" in captured.err
    assert json.loads(captured.out)["files"] == [
        *("README.md", "calibration.json", "card.json", "config.json", "model.safetensors", "ridge.safetensors")
    ]
    repository = hub.repositories[REPOSITORY]
    assert not repository.private
    text = repository.commits[-1][1]["README.md"].decode()
    card = json.loads((shipped_folder("fighting") / "card.json").read_text())
    assert f"| frame AUC | {card['held_out']['auc']:.4f} |" in text
    assert card["data"]["licence"] in text
    assert call("pull", f"hf:{REPOSITORY}", "--out", tmp_path / "theirs") == 0
    weights = bytearray(repository.commits[-1][1]["model.safetensors"])
    weights[-1] ^= 1
    repository.commit({"model.safetensors": bytes(weights)})
    capsys.readouterr()
    assert call("pull", f"hf:{REPOSITORY}", "--out", tmp_path / "changed") == 2
    assert "are not those of its card" in error_of(capsys)
    assert not (tmp_path / "changed").exists()


def test_a_revision_is_the_one_that_was_asked_for(
    hub: Hub, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("push", run, f"hf:{REPOSITORY}") == 0
    first = hub.repositories[REPOSITORY].commits[-1][0]
    calibration = (run / "calibration.json").read_text()
    (run / "calibration.json").write_text(calibration.replace("0.8", "0.9"))
    assert call("push", run, f"hf:{REPOSITORY}") == 0
    out = tmp_path / "theirs"
    for revision, threshold in ((first, 0.8), ("main", 0.9), (first, 0.8)):  # unchanged, a pull may go on or back
        assert call("pull", f"hf:{REPOSITORY}@{revision}", "--out", out) == 0
        assert Checkpoint.load(out).calibration.threshold == threshold
        assert json.loads((out / "origin.json").read_text())["revision"] == (
            first if revision == first else hub.repositories[REPOSITORY].commits[-1][0]
        )
    capsys.readouterr()
    assert call("pull", f"hf:{REPOSITORY}@{'0' * 40}", "--out", tmp_path / "none") == 2
    assert "has no revision" in error_of(capsys)
    assert call("pull", "hf:someone/else", "--out", tmp_path / "none") == 2
    assert "no model someone/else" in error_of(capsys)
    assert call("push", run, f"hf:{REPOSITORY}@{first}") == 2
    assert "goes to the main branch" in error_of(capsys)
    (out / "calibration.json").write_text(calibration)
    (out / "notes.txt").write_text("mine")
    assert call("pull", f"hf:{REPOSITORY}", "--out", out) == 2
    assert "holds other things" in error_of(capsys)
    assert (out / "notes.txt").read_text() == "mine"


class Evil:
    def __reduce__(self) -> tuple:
        return (Path("/tmp/refinevad-was-here").touch, ())


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("model.pkl", "can run code"),
        ("pytorch_model.bin", "can run code"),
        ("weights.PT", "can run code"),
        ("modeling.py", "no part of a run"),
        ("more/model.safetensors", "no part of a run"),
        ("model.safetensors.index.json", "no part of a run"),
    ],
)
def test_pickles_and_unknown_files_pass_neither_way(
    name: str, said: str, hub: Hub, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {path.name: path.read_bytes() for path in run.iterdir() if path.name in FILES}
    hub.make(REPOSITORY, {**files, name: pickle.dumps(Evil())})
    assert call("pull", f"hf:{REPOSITORY}", "--out", tmp_path / "theirs") == 2
    assert said in error_of(capsys)
    assert not any("/resolve/" in line for line in hub.said)  # refused before anything was fetched
    assert call("push", run, f"hf:{REPOSITORY}") == 2  # nor is it mixed with what lies there
    assert said in error_of(capsys)
    path = run / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(pickle.dumps(Evil()))
    for target in ("hf:someone/new", str(tmp_path / "folder")):
        assert call("push", run, target) == 2
        assert error_of(capsys).count("holds") == 1
    assert "someone/new" not in hub.repositories
    assert not (tmp_path / "folder").exists()
    assert not (tmp_path / "theirs").exists()
    assert not leftovers(tmp_path)


def test_what_is_damaged_or_incomplete_is_not_left(
    hub: Hub, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {path.name: path.read_bytes() for path in run.iterdir() if path.name in FILES}
    for changed, said in (
        ({"model.safetensors": pickle.dumps(Evil())}, "holds no weights"),
        ({"config.json": b"{}"}, "is missing"),
        ({"config.json": b" " * (9 << 20)}, "at most 8,388,608"),
        ({"calibration.json": None}, "calibration.json is missing"),
    ):
        kept = {name: content for name, content in {**files, **changed}.items() if content is not None}
        hub.make(REPOSITORY, kept)
        assert call("pull", f"hf:{REPOSITORY}", "--out", tmp_path / "theirs") == 2
        sentence = error_of(capsys)
        assert said in sentence
        assert "partial-folder" not in sentence
        assert not (tmp_path / "theirs").exists()
        assert not leftovers(tmp_path)


def test_a_private_run_and_a_silent_hub_are_one_sentence(
    hub: Hub, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("push", run, f"hf:{REPOSITORY}") == 0
    monkeypatch.setenv("HF_TOKEN", "hf_of_somebody_else")
    capsys.readouterr()
    assert call("pull", f"hf:{REPOSITORY}", "--out", tmp_path / "theirs") == 2
    assert "that you may see" in error_of(capsys)
    assert call("push", run, "hf:someone/other") == 2
    assert "the hub says" in error_of(capsys)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nobody answers there
    assert call("pull", f"hf:{REPOSITORY}", "--out", tmp_path / "theirs") == 2
    assert "the hub says" in error_of(capsys)
    assert not (tmp_path / "theirs").exists()


@pytest.mark.parametrize("place", ["folder", "memory", "file"])
def test_a_folder_or_a_storage_is_a_hub_too(
    place: str, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = tmp_path / "shared" / "fights"
    url = {"folder": str(shared), "memory": "memory://bucket/fights", "file": f"file://{shared}"}[place]
    assert call("push", run, url) == 0
    revision = capsys.readouterr().out.split()[-1]
    assert revision.startswith("sha256:")
    out = tmp_path / "theirs"
    assert call("pull", url, "--out", out) == 0
    assert {path.name for path in out.iterdir()} == FILES | {"origin.json"}
    assert json.loads((out / "origin.json").read_text())["revision"] == revision
    np.testing.assert_array_equal(scores(out), scores(run))
    assert call("push", run, url) == 0  # again: the same
    assert capsys.readouterr().out.split()[-1] == revision
    torch.manual_seed(1)
    other = tmp_path / "other"
    shutil.copytree(run, other, ignore=shutil.ignore_patterns("features"))
    checkpoint = Checkpoint.load(other)
    with torch.no_grad():
        checkpoint.model.head[0].weight.add_(1.0)  # type: ignore[attr-defined]
    checkpoint.save(other)
    assert call("push", other, url) == 2
    assert "holds another run" in error_of(capsys)
    system, path = fsspec.core.url_to_fs(url)
    with system.open(f"{path}/model.pkl", "wb") as file:
        file.write(pickle.dumps(Evil()))
    for words in (("push", run, url), ("pull", url, "--out", tmp_path / "more")):
        assert call(*words) == 2
        assert "can run code" in error_of(capsys)
    assert call("pull", f"{url}-not-there", "--out", tmp_path / "more") == 2
    assert "there is no run at" in error_of(capsys)
    system.rm(path, recursive=True)


def test_a_storage_whose_package_is_missing_says_so(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        import s3fs  # noqa: F401

        pytest.skip("s3fs is installed")
    except ImportError:
        pass
    assert call("push", run, "s3://bucket/fights") == 2
    assert "s3fs" in error_of(capsys)
    assert call("pull", "nosuch://bucket/fights", "--out", tmp_path / "theirs") == 2
    assert "nosuch" in error_of(capsys)


def test_addresses_are_read_as_people_write_them() -> None:
    assert read_address("hf:a/b") == HubAddress("a/b")
    assert read_address("hf:a-1/b.2_c@v1.0") == HubAddress("a-1/b.2_c", "v1.0")
    assert read_address("runs/mine@home") == StorageAddress("runs/mine@home")
    for wrong in (
        "hf:",
        "hf:a",
        "hf:a/b/c",
        "hf:../b",
        "hf:a/..",
        "hf:a/b@",
        "hf:a/b@../c",
        "hf:a /b",
        "hf:a--b/c",
        "",
    ):
        with pytest.raises(InputError, match="address"):
            read_address(wrong)


def test_a_folder_is_whole_or_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def fill(text: str, fail: bool = False) -> None:
        with whole_folder(out, lambda _: True) as folder:
            (folder / "a").write_text(text)
            if fail:
                raise InputError("stopped")

    with pytest.raises(InputError, match="stopped"):
        fill("first", fail=True)
    assert not out.exists()
    fill("first")
    at = (out / "a").stat().st_mtime_ns
    fill("first")
    assert (out / "a").stat().st_mtime_ns == at  # equal: left as it lies
    with pytest.raises(InputError, match="stopped"):
        fill("second", fail=True)
    assert (out / "a").read_text() == "first"
    fill("second")
    assert (out / "a").read_text() == "second"
    left = tmp_path / ".out.999999999.partial-folder"  # of a process that was killed
    left.mkdir()
    fill("third")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
