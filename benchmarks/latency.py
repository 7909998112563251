"""How soon a frame's score is there, how many cameras a machine bears, and whether memory stays flat in a day of video.

    python benchmarks/latency.py --model runs/mine                 # streams: 1, 2, 4, 8, 16 at 5 and 15 frames a second
    python benchmarks/latency.py --model runs/mine --soak 24       # hours of video time, pushed as fast as possible

Streams are files of rendered pictures read at their own pace, each by a process of its own, as with `refinevad watch`.
A row: frames a second asked for and scored, share dropped, seconds from the arrival of a segment's last frame until its
vector is made (p50, p99). A machine bears so many cameras as are scored without a frame being dropped.

The soak pushes segments of noise through `StreamingDetector` and frames through its encoder, and prints the resident
memory each video hour; flat: the last is at most 1 % above that after the first hour.
"""

import argparse
import resource
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from refinevad.apps.live.config import watch_config
from refinevad.apps.live.engine import Engine, EngineOptions
from refinevad.apps.live.live_model import ModelShelf
from refinevad.apps.terminal import note, table
from refinevad.streaming import StreamingDetector

SIZE = (640, 360)
WARM_S = 10.0  # while processes start, nothing is measured


def main() -> int:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, metavar="RUN")
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--rates", type=int, nargs="+", default=[5, 15])
    parser.add_argument("--seconds", type=float, default=60.0, help="measured, of each row")
    parser.add_argument("--soak", type=float, metavar="HOURS")
    args = parser.parse_args()
    print(table(soak(args.model, args.soak) if args.soak else latencies(args)))
    return 0


def latencies(args: argparse.Namespace) -> list[tuple[str, ...]]:
    """Rows of the table, its head first."""
    rows: list[tuple[str, ...]] = [("cameras", "fps each", "fps in", "fps scored", "dropped", "p50 s", "p99 s", "CPU")]
    with tempfile.TemporaryDirectory() as folder:
        for rate in args.rates:
            film = _film(Path(folder) / f"{rate}.mp4", rate, args.seconds + 4 * WARM_S)
            for cameras in args.cameras:
                rows.append(_row(args.model, film, cameras, rate, args.seconds))
                note("  ".join(rows[-1]))
    return rows


def _row(run: Path, film: Path, cameras: int, rate: int, seconds: float) -> tuple[str, ...]:
    (one,) = watch_config([str(film)], run).cameras
    engine = Engine(EngineOptions(preview_hz=2.0))
    for number in range(cameras):
        engine.add(replace(one, name=f"camera-{number}"))
    engine.start()
    try:
        while any(status.segments_scored == 0 and status.frames_in < 200 for status in engine.statuses()):
            time.sleep(0.1)
        time.sleep(WARM_S)
        before, began, cpu = engine.statuses(), time.monotonic(), time.process_time()
        time.sleep(seconds)
        after, lasted = engine.statuses(), time.monotonic() - began
        used = (time.process_time() - cpu) / lasted
    finally:
        engine.stop()
    counts = {
        name: sum(getattr(b, name) - getattr(a, name) for a, b in zip(before, after, strict=True))
        for name in ("frames_in", "frames_scored", "frames_dropped")
    }
    came = counts["frames_in"] + counts["frames_dropped"]
    waits = [status.latency for status in after]
    return (
        str(cameras),
        str(rate),
        f"{counts['frames_in'] / lasted:.1f}",
        f"{counts['frames_scored'] / lasted:.1f}",
        f"{100 * counts['frames_dropped'] / max(came, 1):.1f} %",
        f"{np.median([wait.encoded_p50 for wait in waits]):.3f}",
        f"{max(wait.encoded_p99 for wait in waits):.3f}",
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


def soak(run: Path, hours: float) -> list[tuple[str, ...]]:
    """Resident memory each hour of video time."""
    model = ModelShelf().open(run)
    detector = StreamingDetector(model.checkpoint, model.rule)
    seconds, channels = model.segment_rule.seconds_at(25.0), model.checkpoint.model.config.channels
    generator = np.random.default_rng(0)
    rows: list[tuple[str, ...]] = [("video hour", "segments", "resident MB", "above hour 1", "events", "s")]
    first, number, events, began = 0.0, 0, 0, time.monotonic()
    for hour in range(1, round(hours) + 1):
        while number * seconds < 3600 * hour:
            vector = generator.normal(0.0, 1.0, channels).astype(np.float32)
            output = detector.push_segment(vector, number * seconds, (number + 1) * seconds)
            events += sum(update.kind == "new" for update in output.updates)
            number += 1
        held = _resident_mb()
        first = first or held
        rows.append(
            (
                str(hour),
                str(number),
                f"{held:.1f}",
                f"{100 * (held / first - 1):+.2f} %",
                str(events),
                f"{time.monotonic() - began:.0f}",
            )
        )
        note("  ".join(rows[-1]))
    return rows


def _resident_mb() -> float:
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * resource.getpagesize() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3  # the peak, where there is no /proc


if __name__ == "__main__":
    sys.exit(main())
