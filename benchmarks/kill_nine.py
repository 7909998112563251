"""What `kill -9` loses: a program with events open is killed again and again, and every event it began is looked for.

    python benchmarks/kill_nine.py                                   # 100 rounds on SQLite
    python benchmarks/kill_nine.py --storage postgresql+psycopg://user@host/name --rounds 100 --minutes 10

Each round starts `watch` (engine, camera processes, outbox, storage, a folder, JSON lines) on two cameras whose scores
lie above the threshold all the time, so that each has an event open at any moment, cut and begun anew every 5 s. Some
time after the first event of the round, at random, the program gets SIGKILL. Begun is what its lines ever told as
`new`. After the last round it is started once more and ended with SIGTERM. Then an event is

    found   in storage as ended, or closed by a restart, and in the folder with its `end`
    lost    otherwise
    alone   where an `update` or `end` was told and never its `new`

The encoder is a cheap one and the weights are random: what is tried is what keeps events, not what finds them.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FIRST_EVENT_S = 1800.0  # what a start may take on a busy machine
LONGEST_KILL_S = 6.0
FILM_S, RATE = 300, 5


@dataclass
class Tally:
    """What was told over all rounds, by the lines' kind."""

    new: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)
    lines: int = 0
    kills: int = 0

    def take(self, line: str) -> None:
        """Count a line; one that was cut off by the kill is none."""
        try:
            envelope = json.loads(line)
        except json.JSONDecodeError:
            return
        if "trouble" in envelope:  # of the camera, not an event
            return
        self.lines += 1
        (self.new if envelope["kind"] == "new" else self.others).add(envelope["event_id"])


@dataclass(frozen=True)
class Outcome:
    """What became of the events, by their ids."""

    rounds: int
    begun: int
    found: int
    lost: tuple[str, ...]
    alone: tuple[str, ...]
    lines: int

    def told(self) -> str:
        return (
            f"{self.rounds} kills, {self.lines} lines: {self.begun} events begun, {self.found} found, "
            f"{len(self.lost)} lost, {len(self.alone)} alone"
        )


def main() -> int:
    """Print one line; 1 where anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100, metavar="N")
    parser.add_argument("--minutes", type=float, default=60.0, help="no round begins after so many")
    parser.add_argument("--storage", default="", metavar="URL", help="default: SQLite in a temporary folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child is not None:
        return watch(args.child, args.storage)
    with tempfile.TemporaryDirectory(prefix="refinevad-kill-", ignore_cleanup_errors=True) as folder:
        outcome = kill(Path(folder), args.storage, args.rounds, args.minutes, random.Random(args.seed))
    print(outcome.told())
    for event in (*outcome.lost, *outcome.alone)[:20]:
        print(f"  {event}")
    return 1 if outcome.lost or outcome.alone else 0


def kill(folder: Path, storage: str, rounds: int, minutes: float, chance: random.Random) -> Outcome:
    """Run and kill, then look. `folder` is empty; it holds all but a database server's storage."""
    storage = storage or f"sqlite:///{folder / 'live.db'}"
    prepare(folder)
    tally, until = Tally(), time.monotonic() + 60 * minutes
    while tally.kills < rounds and time.monotonic() < until:
        one_round(folder, storage, tally, chance.uniform(0.0, LONGEST_KILL_S), signal.SIGKILL)
        tally.kills += 1
        print(f"round {tally.kills}: {len(tally.new)} begun", file=sys.stderr, flush=True)
    one_round(folder, storage, tally, LONGEST_KILL_S, signal.SIGTERM)
    return look(folder, storage, tally)


def one_round(folder: Path, storage: str, tally: Tally, after_s: float, how: signal.Signals) -> None:
    """Start the program, wait for its first event and `after_s` more, and send the signal."""
    command = [sys.executable, str(Path(__file__).resolve()), "--child", str(folder), "--storage", storage]
    began = threading.Event()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None

        def listen() -> None:
            assert child.stdout is not None
            for line in child.stdout:
                fresh = len(tally.new)
                tally.take(line)
                if len(tally.new) > fresh:
                    began.set()

        ear = threading.Thread(target=listen)
        ear.start()
        if not began.wait(FIRST_EVENT_S):
            child.kill()
            ear.join()
            raise SystemExit(f"no event began within {FIRST_EVENT_S:g} s of a start")
        time.sleep(after_s)
        child.send_signal(how)
        child.wait()
        ear.join()


def look(folder: Path, storage: str, tally: Tally) -> Outcome:
    """Hold what was begun against storage and the folder sink."""
    from refinevad.apps.live.settings.secret import Secret
    from refinevad.apps.live.storage.store import Store

    store = Store.open(Secret(storage), folder / "media")
    over = {found.event.id for found in store.events.find(states=("ended", "closed-by-restart"), limit=1_000_000)}
    store.close()
    kinds = {path.parent.name: json.loads(path.read_text())["kind"] for path in (folder / "kept").rglob("event.json")}
    found = {event for event in tally.new if event in over and kinds.get(event) == "end"}
    lost, alone = tuple(sorted(tally.new - found)), tuple(sorted(tally.others - tally.new))
    return Outcome(tally.kills, len(tally.new), len(found), lost, alone, tally.lines)


# -- what is killed --------------------------------------------------------------------------------------------------


def prepare(folder: Path) -> None:
    """A run whose every score lies above its threshold, and a film for the cameras."""
    import av
    import numpy as np
    import torch

    from refinevad.checkpoint import Calibration, Checkpoint
    from refinevad.model import RefineVAD
    from refinevad.model_config import RefineVADConfig

    torch.manual_seed(0)
    model = RefineVAD(RefineVADConfig(channels=4, categories=("fall", "fight"), width=8, heads=2)).eval()
    signature = {"encoder": cheap_encoder().identity.as_dict(), "rule": {"seconds": 0.4}}
    Checkpoint(model, "lite", signature, Calibration(1e-6, 1e-7, 6.0, True, 1.0)).save(folder / "run")
    with av.open(str(folder / "film.mp4"), "w") as film:
        stream = film.add_stream("libx264", rate=RATE, options={"g": str(2 * RATE), "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(FILM_S * RATE):
            picture = np.full((48, 64, 3), number * 7 % 256, np.uint8)
            film.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        film.mux(stream.encode())


def cheap_encoder() -> Any:
    """The mean colour, and how far grey moved: four numbers a segment."""
    import numpy as np

    from refinevad.encoders.base import Encoder, EncoderIdentity, FrameNeeds

    class Cheap(Encoder):
        name, dim, parts = "cheap", 4, {"cheap": (0, 4)}
        needs = FrameNeeds(rgb_frames=1, rgb_size=(8, 8), gray_long_side=16, gray_hz=5.0)
        identity = EncoderIdentity("cheap", "0" * 64)

        def encode(self, clips: Any) -> Any:
            rows = [[*(clip.rgb.mean((0, 1, 2)) / 255), float(clip.gray.std())] for clip in clips]
            return np.array(rows, np.float32).reshape(-1, 4)

    return Cheap()


def watch(folder: Path, storage: str) -> int:
    """`refinevad watch` on two cameras, with the cheap encoder in the place of `lite`."""
    from dataclasses import replace
    from unittest import mock

    from refinevad.apps.live.engine.engine import EngineOptions
    from refinevad.apps.live.settings.config import watch_config
    from refinevad.apps.live.settings.secret import Secret
    from refinevad.apps.live.settings.sink_options import FolderOptions, StdoutOptions
    from refinevad.apps.live.watching import WatchPlan, run_watch
    from refinevad.encoders import choice

    config = watch_config([str(folder / "film.mp4")], folder / "run", None)
    cameras = tuple(replace(config.cameras[0], name=name, longest_event_s=5.0) for name in ("door", "yard"))
    config = replace(
        config,
        cameras=cameras,
        sinks=(StdoutOptions(), FolderOptions("kept", folder / "kept")),
        storage=Secret(storage),
        media=folder / "media",
        outbox=folder / "outbox.db",
    )
    with mock.patch.object(choice, "_open_vision", side_effect=lambda kind, source: cheap_encoder()):
        return run_watch(WatchPlan(config, True), EngineOptions(window_s=4.0, delay_s=0.0), statistics_s=0.0)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
