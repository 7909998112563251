"""How soon a frame's score is there, how many cameras a machine bears, and what it drops beyond that.

    python benchmarks/latency.py --model runs/mine     # 1, 2, 4, 8, 16 at 5 and 15 frames a second: about six minutes
    python benchmarks/latency.py --model runs/mine --cameras 1 2 --rates 5 --seconds 3 --warm 2    # to see that it runs

Streams are files of rendered pictures read at their own pace, each by a process of its own, as with `refinevad watch`.
A row, over `--seconds` after `--warm` of them: frames a second that came and that were scored; the share of the frames
asked for that was dropped; seconds from the arrival of a segment's last frame until its vector is made (what the
machine takes) and until its score is final (with the wait that the window rule asks for), p50 of the middle camera and
p99 of the worst; CPU seconds a second of the scoring process. Queues are bounded: of a camera's segments that wait
the oldest goes, and frames that come too late go undecoded up to the next key frame. A machine bears so many cameras
as 0.0 % is dropped of.

What a day of video does to memory: benchmarks/soak.py.
"""

import argparse
import itertools
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from refinevad.apps.live.engine.engine import Engine, EngineOptions
from refinevad.apps.live.settings.config import watch_config
from refinevad.apps.terminal import note, table
from refinevad.files.cells import write_cells

SIZE = (640, 360)
START_S = 30.0  # while processes start
HEAD = (
    "cameras",
    "fps each",
    "fps in",
    "fps scored",
    "dropped",
    "vector p50 s",
    "vector p99 s",
    "score p50 s",
    "score p99 s",
    "CPU",
)


def main() -> int:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, metavar="RUN")
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--rates", type=int, nargs="+", default=[5, 15])
    parser.add_argument("--seconds", type=float, default=12.0, help="measured, of each row")
    parser.add_argument("--warm", type=float, default=6.0, help="seconds of each row before them")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write the table there, too (docs/results/data)")
    args = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}; pictures of {SIZE[0]} x {SIZE[1]}\n", flush=True)
    rows = latencies(args)
    print(table(rows), *saturation(rows[1:]), sep="\n")
    if args.csv is not None:
        write_cells(args.csv, rows)
    return 0


def saturation(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """For each rate, a sentence: the most cameras of which nothing was dropped, and what the next row dropped."""
    found = []
    for rate in dict.fromkeys(row[1] for row in rows):
        ours = [row for row in rows if row[1] == rate]
        borne = list(itertools.takewhile(lambda row: float(row[4].split()[0]) == 0, ours))
        most = f"{borne[-1][0]} cameras borne" if borne else "no row borne"
        more = ours[len(borne) :]
        beyond = f"with {more[0][0]} {more[0][4]} dropped" if more else "the most tried"
        found.append(f"{rate} frames a second: {most}, {beyond}")
    return found


def latencies(args: argparse.Namespace) -> list[tuple[str, ...]]:
    """Rows of the table, its head first."""
    rows: list[tuple[str, ...]] = [HEAD]
    with tempfile.TemporaryDirectory() as folder:
        for rate in args.rates:
            film = _film(Path(folder) / f"{rate}.mp4", rate, args.seconds + args.warm + START_S)
            for cameras in args.cameras:
                rows.append(_row(args, film, cameras, rate))
                note("  ".join(rows[-1]))
    return rows


def _row(args: argparse.Namespace, film: Path, cameras: int, rate: int) -> tuple[str, ...]:
    (one,) = watch_config([str(film)], args.model).cameras
    engine = Engine(EngineOptions(preview_hz=2.0))
    for number in range(cameras):
        engine.add(replace(one, name=f"camera-{number}"))
    engine.start()
    try:
        started = time.monotonic()
        while any(not status.segments_scored for status in engine.statuses()) and time.monotonic() - started < START_S:
            time.sleep(0.1)
        time.sleep(args.warm)
        before, began, cpu = engine.statuses(), time.monotonic(), time.process_time()
        time.sleep(args.seconds)
        after, lasted = engine.statuses(), time.monotonic() - began
        used = (time.process_time() - cpu) / lasted
    finally:
        engine.stop()
    counts = {
        name: sum(getattr(b, name) - getattr(a, name) for a, b in zip(before, after, strict=True))
        for name in ("frames_in", "frames_scored", "frames_dropped")
    }
    waits = [status.latency for status in after]
    return (
        str(cameras),
        str(rate),
        f"{counts['frames_in'] / lasted:.1f}",
        f"{counts['frames_scored'] / lasted:.1f}",
        f"{100 * counts['frames_dropped'] / (cameras * rate * lasted):.1f} %",
        f"{np.median([wait.encoded_p50 for wait in waits]):.3f}",
        f"{max(wait.encoded_p99 for wait in waits):.3f}",
        f"{np.median([wait.scored_p50 for wait in waits]):.2f}",
        f"{max(wait.scored_p99 for wait in waits):.2f}",
        f"{used:.2f}",
    )


def _film(path: Path, rate: int, seconds: float) -> Path:
    """Moving noise: what a codec and an encoder find as hard as a street."""
    import av

    generator = np.random.default_rng(0)
    base = generator.integers(0, 255, (SIZE[1] // 8, SIZE[0] // 8, 3), dtype=np.uint8)
    picture = np.kron(base, np.ones((8, 8, 1), np.uint8))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "g": str(2 * rate)})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for number in range(round(rate * seconds)):
            moved = np.roll(picture, 3 * number, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="rgb24")))
        container.mux(stream.encode(None))
    return path


if __name__ == "__main__":
    sys.exit(main())
