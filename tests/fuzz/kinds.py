"""What is spoilt, how, and who reads it: files of every format the program takes, and what the service is sent."""

import io
import json
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random

import numpy as np
import safetensors.numpy
import torch

from fakes import MeanEncoder
from fuzz import mutators, service
from refinevad.apps.live.config import read_config
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.contender import open_model
from refinevad.encoders.captions import read_captions
from refinevad.extraction import extract
from refinevad.features import Features, Provenance, load_features, map_values, save_features
from refinevad.model import RefineVADConfig
from refinevad.timeline import SegmentRule, Timeline
from refinevad.training.dataset import read_dataset
from refinevad.training.npy import open_npy
from refinevad.training.predictions import read_predictions
from refinevad.training.recipe import read_recipe
from refinevad.training.truth import read_events_csv, read_truth_json
from videos import write_video

Example = tuple[str, bytes]  # how the input's name ends, and what is in it
Read = Callable[[Path, int], str | None]  # of a path and a seed; what it says was not borne, beside what it raises
_ROOT = Path(__file__).parents[2]
_RULE = SegmentRule(seconds=0.4)


@dataclass(frozen=True)
class Kind:
    """Whole inputs to begin with, how they are spoilt, and what reads them in the folder of a run."""

    examples: Callable[[Path], Sequence[Example]]
    spoil: Callable[[Random, bytes], bytes]
    reader: Callable[[Path], Read]


def _text(random: Random, content: bytes) -> bytes:
    return mutators.text(random, content.decode())


def _json(random: Random, content: bytes) -> bytes:
    return mutators.dumped(random, json.loads(content))


def _any(random: Random, content: bytes) -> bytes:
    """By what it looks like: a tree, text, a headed file, or bytes."""
    if random.random() < 0.2:
        return mutators.binary(random, content)
    with suppress(ValueError):  # lines of JSON are text
        return _json(random, content)
    if content[8:9] == b"{":
        return mutators.headed(random, content)
    try:
        return _text(random, content)
    except UnicodeDecodeError:
        return mutators.binary(random, content)


def _plain(read: Callable[[Path], object]) -> Callable[[Path], Read]:
    """A reader that needs nothing but the path."""

    def reader(_: Path) -> Read:
        def one(path: Path, _: int) -> None:
            read(path)

        return one

    return reader


def _events(_: Path) -> list[Example]:
    rows = 'a/b.mp4,1.5,2.5,fall\na/c.mp4,0,3,fight\n"d,e.mp4",10,20.25,fall\n'
    return [(".csv", f"path,start_s,end_s,category\n{rows}".encode())]


def _videos(folder: Path) -> list[Example]:
    for name in ("a.mp4", "b.mp4", "c.mp4"):
        (folder / name).write_bytes(b"video")
    return [(".csv", b"path,labels,split\na.mp4,fall,train\nb.mp4,fall;fight,val\nc.mp4,normal,test\n")]


def _read_videos(folder: Path) -> Read:
    def read(path: Path, _: int) -> None:
        shutil.copyfile(path, folder / "videos.csv")
        read_dataset(folder)

    return read


def _recipes(_: Path) -> list[Example]:
    return [(".toml", path.read_bytes()) for path in sorted((_ROOT / "recipes").glob("*.toml"))]


def _cameras(folder: Path) -> list[Example]:
    text = (_ROOT / "docs" / "live.md").read_text().split("```toml\n")[1].split("```")[0]
    (folder / "door").write_text("a secret")
    (folder / "camera.pem").write_text("certificate")
    return [(".toml", text.replace("/run/secrets/door", str(folder / "door")).replace("env:", "file:").encode())]


def _run(folder: Path) -> list[Example]:
    torch.manual_seed(0)
    config = RefineVADConfig(channels=4, categories=("fall", "fight"), width=8, heads=2)
    signature = Provenance(MeanEncoder().identity.as_dict(), _RULE.as_dict()).signature
    run = folder / "run"
    Checkpoint(open_model(config).eval(), "lite", signature, Calibration(0.5, 0.4, 6.0, True, 1.0)).save(run)
    return [(f"-{path.name}", path.read_bytes()) for path in sorted(run.iterdir()) if path.is_file()]


def _read_run(folder: Path) -> Read:
    def read(path: Path, _: int) -> None:
        run = folder / "spoilt"
        shutil.rmtree(run, ignore_errors=True)
        shutil.copytree(folder / "run", run)
        shutil.copyfile(path, run / path.name.split("-", 2)[2])
        Checkpoint.load(run)

    return read


def _features(folder: Path) -> list[Example]:
    values = np.arange(20, dtype=np.float32).reshape(5, 4)
    timeline = Timeline(np.arange(6) * 10, np.arange(6) * 0.4)
    identity = MeanEncoder().identity.as_dict()
    save_features(folder / "x.safetensors", Features(values, timeline, Provenance(identity, _RULE.as_dict())))
    return [(".safetensors", (folder / "x.safetensors").read_bytes())]


def _read_features(path: Path) -> None:
    load_features(path)
    map_values(path).sum()


def _npy(_: Path) -> list[Example]:
    examples = []
    for dtype in ("<f4", ">f8", "<f2"):
        file = io.BytesIO()
        np.save(file, np.ones((5, 10, 4), dtype))
        examples.append((".npy", file.getvalue()))
    return examples


def _predictions(_: Path) -> list[Example]:
    scores = {"a": np.linspace(0, 1, 7), "b": np.full((5, 3), 1 / 3)}
    file = io.BytesIO()
    np.savez(file, **scores)
    tree = {name: values.tolist() for name, values in scores.items()}
    return [
        (".npz", file.getvalue()),
        (".json", json.dumps(tree).encode()),
        (".safetensors", safetensors.numpy.save(scores)),
    ]


def _truth(_: Path) -> list[Example]:
    video = {"name": "a", "label": "fall", "frames": 48, "segments": 3, "segment_labels": [0, 1, 0]}
    tree = {"columns": ["normal", "fall"], "videos": [{**video, "anomalous_frames": [[16, 32]]}]}
    return [(".json", json.dumps(tree).encode())]


def _captions(_: Path) -> list[Example]:
    cues = "1\n00:00:01,000 --> 00:00:02,500\nA man <i>falls</i>.\n\n2\n00:01:00,000 --> 00:01:02,000\nHe gets up.\n"
    tree = {"a": {"captions": [[0.0, 1.5, "A street."], [1.5, 3.0, "A man falls."]]}}
    lines = '{"start_s": 0, "end_s": 1.5, "text": "A street.", "video": "a"}\n{"start_s": 2, "end_s": 3, "text": "x"}\n'
    return [
        (".srt", cues.encode()),
        (".vtt", b"WEBVTT\n\nNOTE x\n\n" + cues.replace(",", ".").encode()),
        (".json", json.dumps(tree).encode()),
        (".jsonl", lines.encode()),
    ]


def _containers(folder: Path) -> list[Example]:
    examples = []
    for name, codec in (
        ("mp4", "libx264"),
        ("mkv", "libx264"),
        ("ts", "libx264"),
        ("avi", "mpeg4"),
        ("mpg", "mpeg2video"),
    ):
        path = write_video(folder / f"whole.{name}", codec=codec, frames=25, sound=name in ("mp4", "mkv"))
        examples.append((f".{name}", path.read_bytes()))
        path.unlink()
    return examples


def _read_container(folder: Path) -> Read:
    from fakes import replaced
    from refinevad.encoders.choice import open_encoder

    replaced().start()
    encoder = open_encoder("lite")

    def read(path: Path, _: int) -> None:
        extract(path, encoder, _RULE)

    return read


KINDS: dict[str, Kind] = {
    "events.csv": Kind(_events, _text, _plain(read_events_csv)),
    "videos.csv": Kind(_videos, _text, _read_videos),
    "recipes": Kind(_recipes, _text, _plain(read_recipe)),
    "cameras.toml": Kind(_cameras, _text, _plain(read_config)),
    "runs": Kind(_run, _any, _read_run),
    "features": Kind(_features, _any, _plain(_read_features)),
    "npy": Kind(_npy, mutators.binary, _plain(lambda path: open_npy(path).sum())),
    "predictions": Kind(_predictions, _any, _plain(read_predictions)),
    "truth": Kind(_truth, _json, _plain(read_truth_json)),
    "captions": Kind(_captions, _any, _plain(read_captions)),
    "containers": Kind(_containers, mutators.binary, _read_container),
    "routes": Kind(service.no_example, service.seed_of, service.ask),
    "http": Kind(service.requests, mutators.binary, service.send),
    "websockets": Kind(service.frames, mutators.binary, service.send_frames),
}
