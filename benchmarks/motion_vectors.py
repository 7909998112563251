"""Motion by the decoder's vectors (`vectors`) against optical flow (`lite`): accuracy, re-encoded videos, speed.

    python benchmarks/motion_vectors.py --out out/bench/vectors                  # every table; an hour on two cores
    python benchmarks/motion_vectors.py --out out/bench/vectors --tables speed

- accuracy: what `train FOLDER` does (recipes/defaults, as the tables of docs/results/defaults.md: the run's own model
  on every labelled video), motion alone for both, one seed; frame AUC over test videos with its interval, and
  differences on the same resamples. The ridge control is fitted on the same inputs.
- encodings: test videos of survfights encoded anew, scored by the models that the first table trained on the files as
  they are. Both classes go through the same encoder here, so nothing but motion can tell them apart.
- speed: `extract` of clips of 25 s, 480x270, by one process, in turn; CPU seconds, which say more than waited ones on a
  machine with other work.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from costs import in_turn
from films import film
from refinevad.apps.terminal import note, stepping, table
from refinevad.detector import Detector
from refinevad.encoders.choice import EncoderChoice, open_encoder
from refinevad.encoders.vectors import VectorSegment, as_segment
from refinevad.features.extraction import extract
from refinevad.files.cells import write_cells
from refinevad.judging.predictions import VideoPrediction
from refinevad.judging.resampling import Bootstrap, Sampled, interval, paired
from refinevad.judging.truth import Truth
from refinevad.ridge import LINEAR
from refinevad.study.ablation import read_variant
from refinevad.study.over_seeds import run_seed
from refinevad.study.over_videos import OverVideos, averaged, truth_in_folds
from refinevad.timeline import SegmentRule
from refinevad.training.experiment import extract_features
from refinevad.training.recipe import DEFAULT_INPUTS, Recipe, read_recipe
from refinevad.video.reading import probe
from refinevad.video.recording import Recording

ROOT = Path(__file__).parents[1]
ENCODERS = ("lite", "vectors")
SETS = ("survfights", "falls", "shoplifting")
RIDGE = "ridge control"
RULE = SegmentRule.default()
ENCODINGS: dict[str, tuple[str, dict[str, str]]] = {
    "x264 crf 23, no B-frames": ("libx264", {"crf": "23", "bf": "0"}),
    "x264 crf 23, 3 B-frames": ("libx264", {"crf": "23", "bf": "3", "b-adapt": "0"}),
    "x264 crf 32, 3 B-frames": ("libx264", {"crf": "32", "bf": "3", "b-adapt": "0"}),
    "x264 crf 40, 3 B-frames": ("libx264", {"crf": "40", "bf": "3", "b-adapt": "0"}),
    "x264 ultrafast, crf 28, key frame every 10": ("libx264", {"crf": "28", "preset": "ultrafast", "g": "10"}),
    "mpeg4, quantiser 5": ("mpeg4", {"qmin": "5", "qmax": "5"}),
    "mpeg4, quantiser 12": ("mpeg4", {"qmin": "12", "qmax": "12"}),
}
Row = tuple[str, ...]


def main() -> int:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="runs and features; what is there is kept"
    )
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--linear", nargs="*", choices=SETS, default=[], help="sets on which the ridge alone is fitted")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--encodings", nargs="+", choices=ENCODINGS, default=list(ENCODINGS), metavar="NAME")
    parser.add_argument("--videos", type=int, default=10, help="of each class that are encoded anew")
    parser.add_argument("--clips", type=int, default=4, help="that are timed")
    parser.add_argument("--seconds", type=int, default=25, help="of each clip")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("REFINEVAD_DATA", "../shared/data")))
    parser.add_argument(
        "--csv", type=Path, metavar="DIR", help="write each table there, too: docs/results/data/vectors"
    )
    args = parser.parse_args()
    for name in args.tables:
        print(f"## {name}: load {os.getloadavg()[0]:.1f}\n")
        rows = TABLES[name](args)
        print(table(rows), flush=True)
        if args.csv is not None:
            write_cells(args.csv / f"{name}.csv", rows)
    return 0


# --- accuracy -----------------------------------------------------------------------------------------------------


def recipe_of(name: str, encoder: str, args: argparse.Namespace) -> Recipe:
    """The default's recipe for a set, on an encoder's motion alone."""
    plain = read_variant(ROOT / "recipes" / "defaults" / "final_only.toml").of(
        read_recipe(ROOT / "recipes" / "defaults" / f"{name}.toml")
    )
    seen = replace(plain, model={**plain.model, "inputs": list(DEFAULT_INPUTS)})
    folder = args.out / "features" / encoder / name
    return seen.with_encoder(encoder).with_features(folder).with_seed(args.seed)


def figures_of(name: str, args: argparse.Namespace) -> Mapping[str, Sampled]:
    """Frame AUC of a set's models and ridge controls by each encoder, on the same resamples."""
    found: dict[str, Sampled] = {}
    over: OverVideos | None = None
    linear = name in args.linear
    for encoder in ENCODERS:
        recipe = recipe_of(name, encoder, args)
        done = extract_features(recipe, args.out, args.workers, stepping("extract", "video"))
        recipe = replace(recipe, head={"name": LINEAR}) if linear else recipe
        row, _ = run_seed(recipe, done.index, args.out / ("linear" if linear else "runs") / encoder / name, note)
        over = over or OverVideos.of(recipe, done.index)
        if linear:
            found[f"{encoder} ridge"] = over.bootstrap.figures(averaged([row]) or {})["auc"]
            continue
        over.add(encoder, [row])
        over.add_scores(
            f"{encoder} ridge", {each: VideoPrediction.of(v) for each, v in row.control_scores[RIDGE].items()}
        )
        found |= {label: figures["auc"] for label, figures in over.rows.items()}
    return found


def accuracy_table(args: argparse.Namespace) -> list[Row]:
    """A set a row."""
    head = ("set", "lite", "vectors", "difference", "within 0.02", "ridge on lite", "ridge on vectors", "difference")
    rows: list[Row] = [head]
    for name in args.sets:
        auc = figures_of(name, args)
        ridges = (auc["lite ridge"], auc["vectors ridge"])
        ours = (auc["lite"], auc["vectors"]) if "lite" in auc else ridges
        shown = (
            (*map(with_interval, ours), apart(*ours[::-1])) if "lite" in auc else ("not trained", "not trained", "-")
        )
        gap = ours[1].value - ours[0].value
        control = (*(f"{one.value:.3f}" for one in ridges), apart(*ridges[::-1]))
        rows.append((name, *shown, "yes" if gap >= -0.02 else "no", *control))
    return rows


def with_interval(figure: Sampled) -> str:
    """Its value, and where 95 % of resamples lie."""
    bounds = interval(figure)
    return f"{figure.value:.3f}" + ("" if bounds is None else f" [{bounds[0]:.3f}, {bounds[1]:.3f}]")


def apart(one: Sampled, other: Sampled) -> str:
    """The first less the second, on the same resamples."""
    gap = paired(one, other)
    return "-" if gap is None else f"{gap.mean:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]"


# --- encodings ----------------------------------------------------------------------------------------------------


def encodings_table(args: argparse.Namespace) -> list[Row]:
    """An encoding a row."""
    recipe = recipe_of("survfights", "lite", args)
    truth, _ = truth_in_folds(recipe, extract_features(recipe, args.out, args.workers).index)
    chosen: list[str] = []
    for label in ("fighting", "normal"):
        named = sorted(video.name for video in truth.videos if video.name.startswith(f"test/{label}/"))
        chosen += named[: args.videos]
    judged = Truth(truth.columns, tuple(video for video in truth.videos if video.name in set(chosen)))
    bootstrap = Bootstrap.of(judged)
    detectors = {encoder: Detector.open(args.out / "runs" / encoder / "survfights") for encoder in ENCODERS}
    rows: list[Row] = [("encoding", "kbit/s", "lite", "vectors", "difference", "pairs with vectors")]
    ways: dict[str, Callable[[Path, Path], Path]] = {"as they are": lambda source, _: source}
    ways |= {name: _encoder(*how) for name, how in ENCODINGS.items() if name in args.encodings}
    for name, encode in ways.items():
        with tempfile.TemporaryDirectory() as folder:
            targets = {each: Path(folder, f"{number}.mp4") for number, each in enumerate(chosen)}
            files = {each: encode(args.data / "survfights" / each, path) for each, path in targets.items()}
            auc = {encoder: auc_of(files, detector, bootstrap) for encoder, detector in detectors.items()}
            bits, seconds = (sum(of(path) for path in files.values()) for of in (_bits, _seconds))
            told = sum(share_with_vectors(path) for path in files.values()) / len(files)
        shown = (with_interval(auc["lite"]), with_interval(auc["vectors"]), apart(auc["vectors"], auc["lite"]))
        rows.append((name, f"{bits / seconds / 1e3:.0f}", *shown, f"{told:.0%}"))
        note(" | ".join(rows[-1]))
    return rows


def auc_of(files: Mapping[str, Path], detector: Detector, bootstrap: Bootstrap) -> Sampled:
    """Frame AUC of a model on files that stand for test videos."""
    scores = {name: VideoPrediction.of(detector.detect(path).scores) for name, path in files.items()}
    return bootstrap.figures(scores)["auc"]


def _bits(path: Path) -> float:
    return 8.0 * path.stat().st_size


def _seconds(path: Path) -> float:
    return probe(path).duration_s


def _encoder(codec: str, options: dict[str, str]) -> Callable[[Path, Path], Path]:
    def encode(source: Path, target: Path) -> Path:
        with av.open(str(source)) as read, av.open(str(target), "w") as written:
            pictures = read.streams.video[0]
            stream: Any = written.add_stream(codec, rate=Fraction(pictures.average_rate or 25), options=options)
            stream.width, stream.height, stream.pix_fmt = pictures.width, pictures.height, "yuv420p"
            for frame in read.decode(pictures):
                frame.pict_type = av.video.frame.PictureType.NONE
                written.mux(stream.encode(frame))
            written.mux(stream.encode(None))
        return target

    return encode


def share_with_vectors(path: Path) -> float:
    """Of the pairs of grey frames, those whose later one has vectors enough."""
    told = pairs = 0
    for clip in Recording(path, open_encoder("vectors").needs, RULE).whole():
        segment = as_segment(clip)
        pairs += max(len(clip.gray) - 1, 0)
        told += int(segment.told.sum()) if isinstance(segment, VectorSegment) else 0
    return told / max(pairs, 1)


# --- speed --------------------------------------------------------------------------------------------------------


def speed_table(args: argparse.Namespace) -> list[Row]:
    """`lite` with all its parts and with motion alone, `vectors`, and decoding, in turn."""
    rows: list[Row] = [("", "CPU ms a second of video", "x real time by CPU", "CPU, ratio", "wall, ratio")]
    whole = open_encoder("lite")
    motion = whole.reading([whole.parts[name] for name in DEFAULT_INPUTS])
    with tempfile.TemporaryDirectory() as folder:
        films = [film(Path(folder, f"{n}.mp4"), (480, 270), args.seconds, args.data) for n in range(args.clips)]
        ways: dict[str, Callable[[], object]] = {
            "decoding every frame": lambda: [decode(path) for path in films],
            "lite, motion alone (what `detect` does)": lambda: each(films, motion),
            "vectors": lambda: each(films, open_encoder("vectors")),
            "lite, all parts (what `extract` does)": lambda: each(films, whole),
        }
        for way in ways.values():
            way()
        costs = in_turn(ways, args.rounds)
    base, seconds = list(costs.values())[1], args.clips * args.seconds
    for name, one in costs.items():
        speed = (f"{1e3 * one.cpu / seconds:.1f}", f"{seconds / one.cpu:.0f}")
        rows.append((name, *speed, f"{one.cpu / base.cpu:.2f}", f"{one.wall / base.wall:.2f}"))
    return rows


def each(films: Sequence[Path], encoder: EncoderChoice) -> None:
    """Extract them one after the other, in one thread."""
    for path in films:
        extract(path, encoder, RULE, ahead=0)


def decode(path: Path) -> int:
    """Decode a file and throw its pictures away; how many there were."""
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


TABLES: dict[str, Callable[[argparse.Namespace], list[Row]]] = {
    "accuracy": accuracy_table,
    "encodings": encodings_table,
    "speed": speed_table,
}


if __name__ == "__main__":
    sys.exit(main())
