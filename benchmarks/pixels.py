"""How fast pixels become scores: `detect` against decoding, what takes the time, folders, ways to run the network.

    python benchmarks/pixels.py                          # every table, about ten minutes on two free cores
    python benchmarks/pixels.py --tables detect parts    # these alone
    python benchmarks/pixels.py --quick                  # seconds of video, one round: that it runs, no figures

Films are written first: real footage of `../shared/data/survfights` (or --data) where it is there, else drawn scenes,
as H.264 with x264's usual settings (crf 23, up to 3 B-frames, one slice a picture) and a key frame every 2 s. 480x270
is one camera after another; 1280x720 is nine of them side by side at their own resolution, cut to size. What is
compared runs in turn, several times; medians. `wall` is what a caller waits, `CPU` what all threads and child
processes spent: on a machine that has other work only the second says much. `idle` is the share of the machine's cores
that did nothing meanwhile. PyAV's own default decodes such a file by one thread, AUTO by several.

What a variant costs in AUC is measured with the program's own command:

    refinevad bench recipe recipes/falls.toml --encoder lite:int8 --seeds 0 1 2 --out out/bench/variants/falls-int8

and the same recipe on `lite` beside it. The detector's weights here are fresh ones: they change scores, not the time.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from jaxtyping import Float

from costs import cost, in_turn
from films import film
from refinevad.checkpoint import Calibration, Checkpoint
from refinevad.datasets.dataset import Item
from refinevad.datasets.feature_folder import extract_all
from refinevad.detector import Detector
from refinevad.encoders import motion
from refinevad.encoders.choice import EncoderChoice
from refinevad.encoders.efficientnet import BACKENDS, EfficientNet
from refinevad.encoders.lite import LiteEncoder, appearance_change
from refinevad.errors import InputError
from refinevad.features.encoding import CLIPS_AT_ONCE
from refinevad.features.extraction import extract
from refinevad.features.workers import Workers
from refinevad.files.cells import write_cells
from refinevad.machine.cores import usable_cores
from refinevad.model import RefineVAD
from refinevad.model_config import RefineVADConfig
from refinevad.scoring.scores import score
from refinevad.timeline import SegmentRule
from refinevad.training.recipe import DEFAULT_INPUTS, DEFAULT_MODEL
from refinevad.video.frames import Clip, FrameNeeds
from refinevad.video.reading import ClipReader

SIZES = ((1280, 720), (480, 270))
RULE = SegmentRule.default()
Row = tuple[str, ...]


def main() -> int:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("REFINEVAD_DATA", "../shared/data")))
    parser.add_argument("--seconds", type=int, default=40, help="of each film")
    parser.add_argument("--heights", type=int, nargs="+", default=[height for _, height in SIZES], help="of the films")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--videos", type=int, default=48, help="in the folder that is extracted")
    parser.add_argument("--quick", action="store_true", help="2 s of film, one round, 2 videos")
    parser.add_argument("--csv", type=Path, metavar="DIR", help="write each table there, too: docs/results/data/pixels")
    args = parser.parse_args()
    if args.quick:
        args.seconds, args.rounds, args.videos = 2, 1, 2
    with tempfile.TemporaryDirectory() as folder:
        sizes = [size for size in SIZES if size[1] in args.heights]
        films = {size: film(Path(folder) / f"{size[1]}.mp4", size, args.seconds, args.data) for size in sizes}
        for name in args.tables:
            threads = f"threads: {usable_cores()} of {os.cpu_count()} cores"
            print(f"## {name}: {threads}, load {os.getloadavg()[0]:.1f}\n")
            rows = TABLES[name](films, args)
            print(markdown(rows), end="\n\n", flush=True)
            if args.csv is not None:
                write_cells(args.csv / f"{name}.csv", rows)
    return 0


def markdown(rows: Sequence[Row]) -> str:
    """A table, its head first."""
    head, *rest = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([head, "|" + "---|" * len(rows[0]), *rest])


# --- tables -----------------------------------------------------------------------------------------------------


def decode(path: Path, thread_type: str = "", skip: str = "") -> int:
    """Decode with PyAV and throw the pictures away; how many came."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        if thread_type:
            stream.thread_type = thread_type
        if skip:
            stream.codec_context.skip_frame = skip  # type: ignore[assignment]
        return sum(1 for _ in container.decode(stream))


def decoded(path: Path, needs: FrameNeeds, every_frame: bool = False) -> int:
    """Cut a file into clips and throw them away; how many frames were decoded for that."""
    reader = ClipReader(path, needs, RULE, every_frame)
    for _ in reader:
        pass
    return reader.decoded


def fresh_detector(encoder: EncoderChoice, parts: Sequence[str] = DEFAULT_INPUTS) -> Detector:
    """Default recipe on these parts, weights as they start."""
    torch.manual_seed(0)
    inputs = tuple(encoder.parts[name] for name in parts)
    model = RefineVAD(RefineVADConfig.from_dict({**DEFAULT_MODEL, **_shape(encoder), "inputs": inputs})).eval()
    signature = {"encoder": encoder.identity.as_dict(), "rule": RULE.as_dict()}
    checkpoint = Checkpoint(model, encoder.spec, signature, Calibration(0.5, 0.4, 6.0, True, 1.0))
    return Detector(checkpoint, "fresh", encoder)


def _shape(encoder: EncoderChoice) -> dict[str, Any]:
    return {"channels": encoder.dim, "categories": ("fighting",)}


def detect_table(films: Mapping[tuple[int, int], Path], args: argparse.Namespace) -> list[Row]:
    """`detect` and `extract` against decoding every frame of the same file; workers have started."""
    rows: list[Row] = [("", "wall s", "CPU s", "x real time", "decoding / this", "decoding, AUTO / this", "idle")]
    encoder = EncoderChoice("lite", LiteEncoder(), None)
    detector, seeing = fresh_detector(encoder), fresh_detector(encoder, [*DEFAULT_INPUTS, "change"])
    for size, path in films.items():
        with Workers(usable_cores()) as workers:
            seeing.detect(path)  # opens what is opened once
            seeing.detect(path, workers=workers)
            ways = {
                "PyAV, every frame": lambda path=path: decode(path),
                "PyAV, every frame, AUTO threads": lambda path=path: decode(path, "AUTO"),
                "detect, workers": lambda path=path: detector.detect(path, workers=workers),
                "detect, one process": lambda path=path: detector.detect(path),
                "detect, a model that reads `change` too, workers": lambda path=path: seeing.detect(
                    path, workers=workers
                ),
                "detect, a model that reads `change` too, one process": lambda path=path: seeing.detect(path),
                "extract, all parts": lambda path=path: extract(path, encoder, RULE),
                "extract, decoding and encoding in turn": lambda path=path: extract(path, encoder, RULE, ahead=0),
            }
            costs = in_turn(ways, args.rounds)
        plain, auto, *_ = (one.wall for one in costs.values())
        for name, one in costs.items():
            ratios = (f"{args.seconds / one.wall:.0f}", f"{plain / one.wall:.2f}", f"{auto / one.wall:.2f}")
            label = f"{size[0]}x{size[1]}: {name}"
            rows.append((label, f"{one.wall:.2f}", f"{one.cpu:.2f}", *ratios, f"{one.idle:.0%}"))
    return rows


def decode_table(films: Mapping[tuple[int, int], Path], args: argparse.Namespace) -> list[Row]:
    """Decoding alone: every frame, without those nothing refers to; and into clips, sparing or not what none needs."""
    rows: list[Row] = [("", "frames decoded", "wall s", "CPU s", "CPU against every frame")]
    encoder = LiteEncoder()
    needs, motion_needs = encoder.needs, encoder.reading([encoder.parts[name] for name in DEFAULT_INPUTS]).needs
    for size, path in films.items():
        ways: dict[str, Callable[[], Any]] = {
            "every frame": lambda path=path: decode(path),
            "every frame, AUTO threads": lambda path=path: decode(path, "AUTO"),
            "without non-reference frames": lambda path=path: decode(path, skip="NONREF"),
            "into clips, from every frame": lambda path=path: decoded(path, needs, every_frame=True),
            "into clips, as `extract` does": lambda path=path: decoded(path, needs),
            "into clips, as `detect` does": lambda path=path: decoded(path, motion_needs),
        }
        costs = in_turn(ways, args.rounds)
        every = costs["every frame"].cpu
        for name, one in costs.items():
            figures = (f"{one.wall:.2f}", f"{one.cpu:.2f}", f"{one.cpu / every:.2f}")
            rows.append((f"{size[0]}x{size[1]}: {name}", f"{ways[name]()}", *figures))
    return rows


def parts_table(films: Mapping[tuple[int, int], Path], args: argparse.Namespace) -> list[Row]:
    """CPU milliseconds of each part for a second of video, one thread, one after the other."""
    rows: list[Row] = [("ms of CPU a second of video", *(f"{width}x{height}" for width, height in films))]
    encoder = LiteEncoder(threads=1)
    detector = fresh_detector(EncoderChoice("lite", encoder, None))
    columns = [_parts(path, encoder, detector, args) for path in films.values()]
    rows += [(name, *(f"{1e3 * column[name] / args.seconds:.1f}" for column in columns)) for name in columns[0]]
    return rows


def _parts(path: Path, encoder: LiteEncoder, detector: Detector, args: argparse.Namespace) -> dict[str, float]:
    clips = list(ClipReader(path, encoder.needs, RULE))
    moving = [clip for clip in clips if len(clip.gray) > 1]
    segments = [motion.GraySegment(clip.gray, clip.gray_times, motion.find_cuts(clip.gray)) for clip in clips]
    values = encoder.encode(clips)
    ways: dict[str, Callable[[], object]] = {
        "decode": lambda: decode(path),
        "decode, scale, cut": lambda: list(ClipReader(path, encoder.needs, RULE)),
        "image network, for `change`": lambda: [encoder.network.middle(clip.rgb) for clip in clips],
        "image network, all": lambda: [encoder.network.features(clip.rgb) for clip in clips],
        "optical flow": lambda: [motion.flow_fields(clip.gray, clip.gray_times) for clip in moving],
        "flow and its descriptors": lambda: [
            motion.motion_of(segments[start : start + CLIPS_AT_ONCE]) for start in range(0, len(clips), CLIPS_AT_ONCE)
        ],
        "head": lambda: score(detector.checkpoint.model, values),
    }
    return {name: one.cpu for name, one in in_turn(ways, args.rounds).items()}


def folder_table(films: Mapping[tuple[int, int], Path], args: argparse.Namespace) -> list[Row]:
    """A folder of copies of the smallest film, by one process with threads and by two workers with one each."""
    rows: list[Row] = [("workers", "videos", "wall s", "x real time", "CPU s", "cores busy with it", "idle")]
    path, cores = list(films.values())[-1], os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "videos"
        root.mkdir()
        items = [Item(f"{number}.mp4", (), "test") for number in range(args.videos)]
        for item in items:
            (root / item.path).symlink_to(path)
        for workers in (1, 2):
            out = Path(folder) / f"{workers}"
            one = cost(lambda out=out, workers=workers: extract_all(root, items, "lite", RULE, out, workers))
            speed, busy = args.videos * args.seconds / one.wall, one.cpu / one.wall / cores
            rest = (f"{one.wall:.1f}", f"{speed:.0f}", f"{one.cpu:.1f}", f"{busy:.0%}", f"{one.idle:.0%}")
            rows.append((f"{workers}", f"{args.videos}", *rest))
    return rows


def variant_table(films: Mapping[tuple[int, int], Path], args: argparse.Namespace) -> list[Row]:
    """Ways to run the image network: CPU time a frame, and cosine similarity with the float network's vectors."""
    rows: list[Row] = [
        ("", "ms a frame", "ms, middle alone", "appearance: cosine", "least", "change: cosine", "least"),
    ]
    clips = list(ClipReader(list(films.values())[-1], LiteEncoder().needs, RULE))
    clips = [clip for clip in clips if len(clip.rgb) == 2]
    networks: dict[str, EfficientNet] = {}
    for backend in BACKENDS:
        try:
            networks[backend] = EfficientNet(backend=backend)
        except InputError as error:
            rows.append((f"lite:{backend}", f"not measured: {error}", "", "", "", "", ""))
    ways: dict[str, Callable[[], object]] = {}
    for backend, network in networks.items():
        network.middle(clips[0].rgb)
        ways[backend] = lambda network=network: [network.features(clip.rgb) for clip in clips]
        ways[f"{backend} middle"] = lambda network=network: [network.middle(clip.rgb) for clip in clips]
    costs = in_turn(ways, args.rounds)
    exact = _vectors(networks[""], clips)
    for backend, network in networks.items():
        speed = (f"{1e3 * costs[key].cpu / 2 / len(clips):.1f}" for key in (backend, f"{backend} middle"))
        nearness = [cosine(a, b) for a, b in zip(_vectors(network, clips), exact, strict=True)]
        figures = (f"{figure:.4f}" for near in nearness for figure in (near.mean(), near.min()))
        rows.append((":".join(filter(None, ("lite", backend))), *speed, *figures))
    return rows


def _vectors(network: EfficientNet, clips: Sequence[Clip]) -> tuple[np.ndarray, np.ndarray]:
    pairs = [network.features(clip.rgb) for clip in clips]
    usable = np.array([True])
    return np.stack([p.mean(axis=0) for p, _ in pairs]), np.stack([appearance_change(m, usable) for _, m in pairs])


def cosine(
    one: Float[np.ndarray, "segment channel"], other: Float[np.ndarray, "segment channel"]
) -> Float[np.ndarray, "segment"]:
    """Cosine of the angle between two vectors of each segment."""
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return np.asarray((one * other).sum(axis=1) / np.maximum(lengths, 1e-12))


TABLES: dict[str, Callable[[Mapping[tuple[int, int], Path], argparse.Namespace], list[Row]]] = {
    "detect": detect_table,
    "parts": parts_table,
    "decode": decode_table,
    "folder": folder_table,
    "variants": variant_table,
}

if __name__ == "__main__":
    sys.exit(main())
