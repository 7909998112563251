"""What 1 to 10,000 camera-days and UCF-Crime take, reckoned from this repository's measured rates: docs/scale.md.

    python benchmarks/scale.py                                   # the page's tables
    python benchmarks/scale.py --cameras 100 --fps 10 --core-hour 0.03 --currency EUR
    python benchmarks/scale.py --inputs                          # every number that goes in, with its source

Nothing is measured here. Every input can be changed by an option of its name.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

HOURS_A_DAY, SECONDS_A_DAY = 24, 86_400


class Source(NamedTuple):
    """Where an input comes from: a page of docs/ and words that stand there, or an assumption (no page)."""

    kind: str  # measured, published, default (of refinevad) or assumed
    said: str
    page: str = ""
    words: str = ""


@dataclass(frozen=True)
class Inputs:
    """All that goes in; units are in the names. `SOURCES` says of each where it comes from."""

    cameras: tuple[int, ...] = (1, 100, 10_000)
    fps: float = 15.0
    mbit_s: float = 4.0
    decode_ms: float = 86.1  # CPU a second of video at 25 frames a second
    encode_ms: float = 10.2
    measured_fps: float = 25.0
    small_decode_ms: float = 12.3
    small_encode_ms: float = 9.4
    segment_s: float = 0.64
    scoring_cameras: int = 32  # that one scoring thread was measured with
    scores_mb_day: float = 9.0
    features_mb_hour: float = 30.0
    head_mflop_segment: float = 2.71
    set_hours: float = 128.0
    set_videos: int = 1900
    set_fps: float = 30.0
    busy: float = 0.7
    node_cores: int = 16
    core_hour: float = 0.05
    gpu_hour: float = 3.0
    gpu_tflops: float = 989.0
    gpu_used: float = 0.3
    gpu_decoders: int = 7
    gpu_decoder_fps: float = 500.0
    picture_gflop: float = 35.1
    pictures_segment: float = 1.0
    events_day: float = 3.0
    clip_s: float = 30.0
    scores_days: float = 30.0
    events_days: float = 90.0
    recordings_days: float = 7.0
    gb_month: float = 0.02
    currency: str = "USD"


_DETECT = "results/pixels.md"
SOURCES = {
    "cameras": Source("assumed", "cameras, each for one day"),
    "fps": Source("assumed", "frames a second of a camera, 1280x720"),
    "mbit_s": Source("assumed", "of a camera, as live.md reckons", "live.md", "At 4 Mbit/s a camera fills 43 GB a day"),
    "decode_ms": Source("measured", "`detect`, workers, 1280x720: 5.78 s / 60 s less `encode_ms`", _DETECT, "| 5.78 |"),
    "encode_ms": Source("measured", "flow and its descriptors 10.1 + head 0.1", _DETECT, "descriptors | 10.1 | 9.2 |"),
    "measured_fps": Source("measured", "1,500 frames in 60 s", _DETECT, "| every frame | 1500, 1 |"),
    "small_decode_ms": Source("measured", "480x270: 6.51 s / 300 s less `small_encode_ms`", _DETECT, "| 6.51 |"),
    "small_encode_ms": Source("measured", "flow and its descriptors 9.2 + head 0.2", _DETECT, "| head | 0.1 | 0.2 |"),
    "segment_s": Source("measured", "the default rule, 135,000 segments a day", "results/speed.md", "0.64 s segments"),
    "scoring_cameras": Source(
        "measured", "of 15 frames a second; more had not started", "deploy.md", "| | 32, 15 | 0 |"
    ),
    "scores_mb_day": Source("measured", "SQLite, 13 categories", "deploy.md", "about 9 MB a day and camera"),
    "features_mb_hour": Source("measured", "`lite`", "archive.md", "30 MB an hour of video with `lite`"),
    "head_mflop_segment": Source("measured", "11.1 GFLOP / 4,096 segments", "results/speed.md", "11.1 GFLOP"),
    "set_hours": Source("published", "UCF-Crime (Sultani et al., CVPR 2018)"),
    "set_videos": Source("published", "UCF-Crime (Sultani et al., CVPR 2018)"),
    "set_fps": Source("published", "UCF-Crime, 320x240: reckoned at the rate of 480x270"),
    "busy": Source("assumed", "share of a node's cores that is planned for"),
    "node_cores": Source("assumed", "of one node, each as fast as the cores that were measured"),
    "core_hour": Source("assumed", "price of a core for an hour, November 2026; no offer was asked"),
    "gpu_hour": Source("assumed", "price of an H100 for an hour, November 2026; no offer was asked"),
    "gpu_tflops": Source("published", "H100 SXM, FP16 without sparsity, NVIDIA's data sheet"),
    "gpu_used": Source("assumed", "share of that rate which is reached"),
    "gpu_decoders": Source("published", "NVDEC units of an H100, NVIDIA's data sheet"),
    "gpu_decoder_fps": Source("assumed", "frames a second of one unit, H.264: replace by your card's"),
    "picture_gflop": Source("published", "ViT-B/16 at 224 pixels: 17.56 billion multiplications with an addition each"),
    "pictures_segment": Source("assumed", "that an encoder of pictures looks at"),
    "events_day": Source(
        "assumed", "a camera; learnt thresholds keep three", "live.md", "about three alerts a camera and day"
    ),
    "clip_s": Source("assumed", "length of an event's clip, with pre- and post-roll"),
    "scores_days": Source("default", "`[retention]`", "live.md", "scores_days = 30.0"),
    "events_days": Source("default", "`[retention]`", "live.md", "events_days = 90.0"),
    "recordings_days": Source("default", "of what is recorded all the time", "live.md", "recordings_days = 7.0"),
    "gb_month": Source("assumed", "price of a GB for a month, November 2026; no offer was asked"),
    "currency": Source("assumed", "of all prices"),
}
Table = list[tuple[str, ...]]


class Work(NamedTuple):
    """What so much video takes: CPU and H100 hours, and the latter's parts."""

    core_hours: float
    gpu_hours: float
    decoding: float
    arithmetic: float


def work(given: Inputs, video_s: float, fps: float, decode_ms: float, encode_ms: float) -> Work:
    """CPU: decoding grows with the frames, flow and head do not. H100: whichever of decoding and sums takes longer."""
    cpu_s = video_s * (decode_ms * fps / given.measured_fps + encode_ms) / 1000
    segments = video_s / given.segment_s
    flop = segments * (given.head_mflop_segment * 1e6 + given.pictures_segment * given.picture_gflop * 1e9)
    arithmetic = flop / (given.gpu_tflops * 1e12 * given.gpu_used) / 3600
    decoding = video_s * fps / (given.gpu_decoders * given.gpu_decoder_fps) / 3600
    return Work(cpu_s / 3600, max(decoding, arithmetic), decoding, arithmetic)


def jobs(given: Inputs) -> list[tuple[str, float, Work]]:
    """(name, hours of video, its work) of each size and of the set."""
    rows = []
    for count in given.cameras:
        video_s = count * SECONDS_A_DAY
        name = f"{count:,} camera-day{'s' if count > 1 else ''}"
        rows.append((name, video_s / 3600, work(given, video_s, given.fps, given.decode_ms, given.encode_ms)))
    whole = work(given, given.set_hours * 3600, given.set_fps, given.small_decode_ms, given.small_encode_ms)
    return [*rows, (f"UCF-Crime, {given.set_videos:,} videos", given.set_hours, whole)]


def work_table(given: Inputs) -> Table:
    """Hours and prices on CPU nodes and on H100s."""
    money = given.currency
    table: Table = [
        ("what", "hours of video", "core-hours", f"{given.node_cores}-core nodes for a day", f"CPU, {money}")
    ]
    table[0] += ("H100-hours, computed", "of which decoding", "of which sums", f"H100, {money}, computed")
    table[0] += ("features, GB",)
    for name, hours, it in jobs(given):
        paid = it.core_hours / given.busy
        nodes = math.ceil(paid / HOURS_A_DAY / given.node_cores)
        cells = (f"{hours:,.0f}", _amount(it.core_hours), f"{nodes:,}", _amount(paid * given.core_hour))
        chip = (_amount(it.gpu_hours), _amount(it.decoding), _amount(it.arithmetic))
        table.append((name, *cells, *chip, _amount(it.gpu_hours * given.gpu_hour)))
        table[-1] += (_amount(hours * given.features_mb_hour / 1000),)
    return table


def kept_table(given: Inputs) -> Table:
    """What cameras send and leave, a day and for as long as it is kept."""
    table: Table = [
        ("cameras", "network, Mbit/s", "score rows a day", "rows a second", "scores, GB", "clips a day, GB")
    ]
    table[0] += ("clips kept, GB", "recordings a day, GB", "recordings kept, GB")
    table[0] += (f"all that is kept, a month, {given.currency}",)
    for count in given.cameras:
        rows = count * SECONDS_A_DAY / given.segment_s
        scores = count * given.scores_mb_day * given.scores_days / 1000
        clips = count * given.events_day * given.clip_s * given.mbit_s / 8 / 1000
        recorded = count * SECONDS_A_DAY * given.mbit_s / 8 / 1000
        kept = scores + clips * given.events_days + recorded * given.recordings_days
        sent = (count * given.mbit_s, rows, rows / SECONDS_A_DAY, scores, clips, clips * given.events_days)
        stays = (recorded, recorded * given.recordings_days, kept * given.gb_month)
        table.append((f"{count:,}", *map(_amount, (*sent, *stays))))
    return table


def hosts_table(given: Inputs) -> Table:
    """How many hosts, and which bound says so: their cores, or the one thread that scores all of a host's cameras."""
    table: Table = [
        ("cameras", "cores", "hosts by cores", "hosts by the scoring thread", "hosts", "what is full first")
    ]
    for count in given.cameras:
        cores = work(given, count * SECONDS_A_DAY, given.fps, given.decode_ms, given.encode_ms).core_hours / HOURS_A_DAY
        by_cores = math.ceil(cores / given.busy / given.node_cores)
        by_thread = math.ceil(count / given.scoring_cameras)
        first = "cores" if by_cores > by_thread else "the scoring thread" if by_thread > by_cores else "neither"
        table.append((f"{count:,}", _amount(cores), f"{by_cores:,}", f"{by_thread:,}"))
        table[-1] += (f"{max(by_cores, by_thread):,}", first)
    return table


def inputs_table(given: Inputs) -> Table:
    """Every input with its kind and source."""
    table: Table = [("option", "value", "kind", "source")]
    for name, source in SOURCES.items():
        value = getattr(given, name)
        shown = ", ".join(f"{one:,}" for one in value) if isinstance(value, tuple) else _plain(value)
        said = f"{source.said} ([{source.page}]({source.page}))" if source.page else source.said
        table.append((f"`--{name.replace('_', '-')}`", shown, source.kind, said))
    return table


def as_markdown(table: Table) -> str:
    """A table of a page."""
    lines = [f"| {' | '.join(row)} |" for row in table]
    return "\n".join([lines[0], "|---" * len(table[0]) + "|", *lines[1:]])


def _amount(value: float) -> str:
    """Two figures below 10, else whole."""
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def _plain(value: Any) -> str:
    return f"{value:,g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)


TABLES = {"work": work_table, "kept": kept_table, "hosts": hosts_table, "inputs": inputs_table}


def read(words: Sequence[str] | None = None) -> tuple[Inputs, bool]:
    """Inputs of a command line, and whether only they are asked for; argparse ends the program at a wrong option."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", action="store_true", help="the inputs alone")
    defaults = Inputs()
    for field in fields(Inputs):
        default = getattr(defaults, field.name)
        many = isinstance(default, tuple)
        kind = type(default[0]) if many else type(default)
        told = SOURCES[field.name].said.replace("%", "%%")
        option = f"--{field.name.replace('_', '-')}"
        parser.add_argument(option, type=kind, default=default, nargs="+" if many else None, metavar="N", help=told)
    args = vars(parser.parse_args(words))
    only = args.pop("inputs")
    for name, value in args.items():
        if any(
            not isinstance(one, str) and not 0 < one < math.inf for one in (value if name == "cameras" else [value])
        ):
            parser.error(f"--{name.replace('_', '-')} must be above 0: got {value}")
    return replace(defaults, **{**args, "cameras": tuple(args["cameras"])}), only


def main() -> None:
    """Print the tables."""
    given, only = read()
    for name, make in TABLES.items():
        if name == "inputs" or not only:
            print(f"<!-- scale: {name} -->\n{as_markdown(make(given))}\n<!-- end of scale -->\n")


if __name__ == "__main__":
    main()
