"""`refinevad detect` as a user times it, whole process with start and report, against merely decoding the same files.

    python benchmarks/whole_run.py --films out/films                       # about ten minutes, films apart
    python benchmarks/whole_run.py --films out/films --against ../main/src # beside another checkout of the program
    python benchmarks/whole_run.py --films out/films --tables workers      # the pool alone, at 1, 2, 4 and 8 processes
    python benchmarks/whole_run.py --quick                                 # seconds of film, one round: no figures

Films are H.264 as `benchmarks/pixels.py` makes them: 25 s of 480x270, 200 s of 1280x720, half an hour of 480x270 (a
minute over and over), and 50 copies of the short one. They are kept in --films, and not made anew.

Decoding is a process of its own too: Python, PyAV, AUTO threads, every picture thrown away. What is compared runs in
turn, several rounds. A ratio is the median over the rounds of one pair's; `CPU` is user and system seconds of the
process and all its children. On a machine that has other work only ratios of things run in turn and CPU say much.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from time import perf_counter
from typing import NamedTuple

import av

from costs import in_turn
from films import film
from pixels import RULE, Row, fresh_detector, markdown
from refinevad.encoders.choice import EncoderChoice
from refinevad.encoders.lite import LiteEncoder
from refinevad.features.workers import Workers
from refinevad.training.recipe import DEFAULT_INPUTS

DECODE = """
import sys, av
for name in sys.argv[1:]:
    with av.open(name) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for _ in container.decode(stream):
            pass
"""
SOURCES = Path(__file__).parents[1] / "src"
COUNTS = (1, 2, 4, 8)


class Films(NamedTuple):
    """Files of one kind, and how long they last together."""

    paths: list[Path]
    lasts_s: float


class Run(NamedTuple):
    """Of a whole process: seconds waited, and of CPU."""

    wall: float
    cpu: float


def main() -> int:
    """Print the tables asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", choices=("whole", "workers"), default=["whole", "workers"])
    parser.add_argument("--films", type=Path, help="folder to keep films in (default: a temporary one)")
    parser.add_argument("--kinds", nargs="+", choices=("short", "middling", "long", "clips"), help="of films: all")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("REFINEVAD_DATA", "../shared/data")))
    parser.add_argument("--model", type=Path, help="a RUN (default: a fresh one of the default recipe)")
    parser.add_argument("--against", type=Path, metavar="SRC", help="src/ of another checkout, run in turn with this")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="2 s of film, one round")
    args = parser.parse_args()
    if args.quick:
        args.rounds = 1
    with tempfile.TemporaryDirectory() as folder:
        films = made_films(args.films or Path(folder) / "films", args)
        model = args.model or fresh_run(Path(folder) / "run")
        for name in args.tables:
            table = whole_table(films, model, args) if name == "whole" else workers_table(films, args)
            print(f"## {name}: {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
            print(markdown(table), end="\n\n", flush=True)
    return 0


def fresh_run(folder: Path) -> Path:
    """A RUN of the default recipe, weights as they start: they change scores, not the time."""
    fresh_detector(EncoderChoice("lite", LiteEncoder(), None)).checkpoint.save(folder)
    return folder


def made_films(folder: Path, args: argparse.Namespace) -> dict[str, Films]:
    """Films of each kind asked for."""
    folder.mkdir(parents=True, exist_ok=True)
    lengths = {"short": 2, "middling": 4, "long": 6, "clips": 2} if args.quick else {}
    found = {}
    for kind in args.kinds or ("short", "middling", "long", "clips"):
        seconds = lengths.get(kind, {"short": 25, "middling": 200, "long": 1800, "clips": 25}[kind])
        size = (1280, 720) if kind == "middling" else (480, 270)
        path = folder / f"{size[1]}-{seconds}.mp4"
        if not path.exists() and kind == "long":
            minute = made(folder / f"{size[1]}-{min(seconds, 60)}.mp4", size, min(seconds, 60), args.data)
            if minute != path:
                repeated(path, minute, seconds // 60)
        made(path, size, seconds, args.data)
        count = 1 if kind != "clips" else 4 if args.quick else 50
        paths = [path] if count == 1 else [copied(path, folder / f"clip{number:02}.mp4") for number in range(count)]
        found[kind] = Films(paths, count * seconds)
    return found


def made(path: Path, size: tuple[int, int], seconds: int, data: Path) -> Path:
    """A film, unless it is there."""
    return path if path.exists() else film(path, size, seconds, data)


def copied(path: Path, to: Path) -> Path:
    """The same film under another name."""
    if not to.exists():
        shutil.copy(path, to)
    return to


def repeated(path: Path, source: Path, times: int) -> None:
    """The same packets over and over, each time after the last."""
    with av.open(str(path), "w") as out:
        stream, shift = None, 0
        for _ in range(times):
            with av.open(str(source)) as container:
                video = container.streams.video[0]
                stream = stream or out.add_stream_from_template(video)
                for packet in container.demux(video):
                    if packet.size == 0 or packet.pts is None or packet.dts is None:
                        continue
                    packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                    out.mux(packet)
                shift += video.duration or 0


def timed(command: Sequence[str | Path], sources: Path) -> Run:
    """Run a whole process. Raises CalledProcessError with what it said where it fails."""
    environment = {**os.environ, "PYTHONPATH": str(sources)}
    environment.pop("OMP_NUM_THREADS", None)
    before, began = getrusage(RUSAGE_CHILDREN), perf_counter()
    subprocess.run([sys.executable, *map(str, command)], check=True, env=environment, capture_output=True)
    wall, after = perf_counter() - began, getrusage(RUSAGE_CHILDREN)
    return Run(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def whole_table(films: Mapping[str, Films], model: Path, args: argparse.Namespace) -> list[Row]:
    """Whole processes in turn; above 1 in the last columns is faster than decoding."""
    rows: list[Row] = [
        ("", "wall s", "CPU s", "cores busy", "video-hours an hour", "decoding's time / this", "decoding's CPU / this")
    ]
    programs = {"detect": SOURCES, **({"detect, the other checkout": args.against} if args.against else {})}
    for kind, (paths, lasts_s) in films.items():
        runs: dict[str, list[Run]] = {name: [] for name in ("decoding, AUTO threads", *programs)}
        for number in range(args.rounds):
            runs["decoding, AUTO threads"].append(timed(["-c", DECODE, *paths], SOURCES))
            for name, sources in programs.items():
                with tempfile.TemporaryDirectory() as out:
                    command: list[str | Path] = ["-m", "refinevad", "detect", *paths, "--model", model, "--out", out]
                    runs[name].append(timed(command, sources))
            print(f"{kind} {number}: {runs}", file=sys.stderr)
        decoding = runs["decoding, AUTO threads"]
        for name, found in runs.items():
            wall, cpu = (statistics.median(getattr(one, part) for one in found) for part in ("wall", "cpu"))
            busy = statistics.median(one.cpu / one.wall for one in found)
            ratios = [
                statistics.median(getattr(a, part) / getattr(b, part) for a, b in zip(decoding, found, strict=True))
                for part in ("wall", "cpu")
            ]
            figures = (f"{wall:.2f}", f"{cpu:.2f}", f"{busy:.2f}", f"{lasts_s / wall:.0f}")
            rows.append((f"{kind}: {name}", *figures, *(f"{ratio:.2f}" for ratio in ratios)))
    return rows


def workers_table(films: Mapping[str, Films], args: argparse.Namespace) -> list[Row]:
    """The pool alone, started, by its count of processes; motion alone, as `detect` asks."""
    rows: list[Row] = [("", "processes", "wall s", "CPU s", "idle", "x real time", "CPU against one process")]
    encoder = LiteEncoder()
    motion = encoder.reading([encoder.parts[name] for name in DEFAULT_INPUTS])
    for kind, (paths, lasts_s) in films.items():
        found = {}
        for count in COUNTS:
            with Workers(count) as workers:

                def read(workers: Workers = workers, paths: list[Path] = paths) -> None:
                    with workers.encode_all(paths, motion, RULE) as files:
                        for _ in files:
                            pass

                read()  # opens what is opened once
                found[count] = in_turn({"pool": read}, args.rounds)["pool"]
        for count, one in found.items():
            figures = (f"{one.wall:.2f}", f"{one.cpu:.2f}", f"{one.idle:.0%}", f"{lasts_s / one.wall:.0f}")
            rows.append((kind, f"{count}", *figures, f"{one.cpu / found[1].cpu:.2f}"))
    return rows


if __name__ == "__main__":
    sys.exit(main())
