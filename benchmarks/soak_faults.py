"""A soak with faults: `refinevad serve` on four real sources, and something breaks every minute.

    python benchmarks/soak_faults.py --runs runs/one runs/other --film camera.mp4 --hours 1 --out out/soak

The sources (RTSP, Motion JPEG, HLS, a file) play one film with one incident in a loop, through the default encoder and
a trained run. Events go to storage (SQLite), a webhook, an MQTT broker and a folder. Every `--every` seconds a fault is
drawn; the next waits until the service has recovered, 15 minutes at most:

    source    a source's server is killed and started after 5 to 20 s; of the file the process that reads it is killed
    disk      the file system (a tmpfs) that holds all the service writes is filled for 30 to 40 s
    broker    mosquitto is killed and started after 10 to 30 s
    database  an exclusive transaction holds SQLite for 20 s
    clock     the wall clock of the service jumps by up to an hour, either way (wall_clock.c)
    model     the other run is put in force
    kill      the service is killed with SIGKILL and started again; drawn half as often as the others

What is counted is said in soak_tally.py. It needs root (to mount), mosquitto and GStreamer's RTSP server.
"""

import argparse
import json
import os
import random
import shutil
import signal
import sqlite3
import statistics
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from server_programs import Program, free_port, mounted
from soak_service import Journal, Service, Watcher, names, start_hook, start_subscriber, wait
from soak_sources import Film, make_film, open_film
from soak_tally import Witness, due, judge, memory, stretches

KINDS = {"source": 2, "disk": 2, "broker": 2, "database": 2, "clock": 2, "model": 2, "kill": 1}
CAMERAS = ("rtsp", "mjpeg", "hls", "file")
RECOVERY_S = 900.0
WARM_UP_S = 120.0
SLACK_S = 16.0  # an incident cut at both ends of a stretch: its event begins up to 8 s later or is told up to 8 s later
WALL_CLOCK = Path(__file__).with_name("wall_clock.c")


@dataclass(frozen=True)
class Fault:
    """One that was: seconds since the soak began, and until the service had recovered; None: it had not."""

    kind: str
    detail: str
    at_s: float
    recovered_s: float | None


@dataclass
class Soak:
    """All that runs, and what befell it."""

    folder: Path
    service: Service
    film: Film
    servers: dict[str, tuple[str, Program]]
    broker: Program
    runs: tuple[Path, Path]
    chance: random.Random
    clock: Path | None
    began: float = field(default_factory=time.monotonic)
    ahead_s: int = 0
    faults: list[Fault] = field(default_factory=list)
    breaks: Counter[str] = field(default_factory=Counter)  # how often a camera was cut off by a fault

    @property
    def disk(self) -> Path:
        return self.folder / "disk"

    # -- what tells that all is well ---------------------------------------------------------------------------------

    def ready(self) -> bool:
        """Every camera is live, events can be kept, and no sink waits for long."""
        if names(self.service.ask("/api/v1/cameras")) != set(CAMERAS) or self.service.ask("/readyz") is None:
            return False
        sinks = self.service.ask("/api/v1/sinks")
        return sinks is not None and not any(sink["trouble"] for sink in sinks)

    def on_time(self) -> bool:
        """Whether every camera's pictures carry the time the service's wall clock shows."""
        shown = [self.service.shown_at(camera) for camera in CAMERAS]
        return all(at is not None and abs(at - time.time() - self.ahead_s) < 10 for at in shown)

    # -- what breaks; each returns what was done -----------------------------------------------------------------------

    def fault(self, kind: str) -> None:
        """Break something, mend it, and wait for the service."""
        at = time.monotonic() - self.began
        detail = getattr(self, f"do_{kind}")()
        mended = time.monotonic()
        took = wait(self.ready, RECOVERY_S)
        if took is not None and kind == "clock":
            took = wait(self.on_time, RECOVERY_S)
        took = None if took is None else time.monotonic() - mended
        self.faults.append(Fault(kind, detail, at, took))
        said = "NOT RECOVERED" if took is None else f"recovered after {took:.1f} s"
        print(f"{at:7.0f} s  {kind} {detail}: {said}", flush=True)

    def do_source(self) -> str:
        name = self.chance.choice(CAMERAS)
        away = self.chance.uniform(5, 20)
        self.breaks[name] += 1
        if name == "file":
            reader = self.service.reader_of(self.film.folder / "film.mp4")
            if reader is None:
                return "file: no process reads it"
            os.kill(reader, signal.SIGKILL)
            time.sleep(2)
            return "file"
        server = self.servers[name][1]
        server.kill()
        time.sleep(away)
        server.start()
        return f"{name} for {away:.0f} s"

    def do_disk(self) -> str:
        seconds = self.chance.uniform(30, 40)
        ballast, until = self.disk / "ballast", time.monotonic() + seconds
        with ballast.open("ab", buffering=0) as file:
            while time.monotonic() < until:  # what the service gives up is taken too
                for size in (1 << 20, 4096, 1):
                    try:
                        while True:
                            file.write(b"0" * size)
                    except OSError:
                        continue
                time.sleep(0.5)
        ballast.unlink()
        return f"full for {seconds:.0f} s"

    def do_broker(self) -> str:
        away = self.chance.uniform(10, 30)
        self.broker.kill()
        time.sleep(away)
        self.broker.start()
        return f"away for {away:.0f} s"

    def do_database(self) -> str:
        held = sqlite3.connect(self.disk / "live.db", timeout=30, isolation_level=None)
        held.execute("BEGIN EXCLUSIVE")
        time.sleep(20)
        held.execute("ROLLBACK")
        held.close()
        return "locked for 20 s"

    def do_clock(self) -> str:
        assert self.clock is not None
        jump = self.chance.choice((-1, 1)) * self.chance.randint(10, 3600)
        self.ahead_s += jump
        with self.clock.open("r+b", buffering=0) as file:
            file.write(struct.pack("=q", self.ahead_s))
        return f"{jump:+d} s"

    def do_model(self) -> str:
        now = (self.service.ask("/api/v1/model") or {}).get("run")
        other = next(run.name for run in self.runs if run.name != now)
        self.breaks.update(CAMERAS)
        answer = self.service.ask("/api/v1/model", {"run": other})
        return f"{now} -> {other}" if answer else f"{now} -> {other} was refused"

    def do_kill(self) -> str:
        self.service.kill()
        time.sleep(self.chance.uniform(0, 3))
        self.service.start()
        return "-9"


def main() -> int:
    """Print what befell the service and what became of its events; 1 where anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, nargs=2, required=True, metavar="RUN", help="two in one folder")
    parser.add_argument(
        "--film", type=Path, required=True, metavar="VIDEO", help="with one incident; or OUT/film of an earlier soak"
    )
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--every", type=float, default=60.0, metavar="S", help="from one fault to the next, at least")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="all by default")
    parser.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="an empty one")
    args = parser.parse_args()
    if args.out.exists() and any(args.out.iterdir()):
        raise SystemExit(f"--out {args.out} is not empty")
    kinds = [kind for kind in args.kinds if kind != "clock" or shutil.which("cc")]
    if "clock" in args.kinds and "clock" not in kinds:
        print("left out: clock (no cc to make wall_clock.so with)", flush=True)
    with ExitStack() as stack:
        return soak(args, kinds, stack)


def soak(args: argparse.Namespace, kinds: list[str], stack: ExitStack) -> int:
    """Run for so long, then stop the service and look."""
    made = set_up(args, stack, "clock" in kinds)
    hook, mqtt = Witness(), Witness()
    ports = {"service": made.service.port, "hook": free_port(), "broker": made.broker.port}
    write_config(made, ports["hook"])
    made.broker.start()
    stack.callback(made.broker.kill)
    stack.callback(start_hook(ports["hook"], hook).shutdown)
    stack.callback(start_subscriber(ports["broker"], mqtt).loop_stop)
    for _, server in made.servers.values():
        server.start()
        stack.callback(server.kill)
    made.service.start()
    stack.callback(made.service.end)
    journal, watcher = Journal(made.service.port, made.began), Watcher(made.service, made.began, made.breaks)
    for runs in (journal, watcher):
        threading.Thread(target=runs.run, daemon=True).start()
    if wait(made.ready, RECOVERY_S) is None:
        raise SystemExit(f"not all cameras came up; see {made.service.log}")
    go_on(made, kinds, args.every, args.hours * 3600)
    return finish(made, journal, watcher, {"webhook": hook, "mqtt": mqtt})


def go_on(made: Soak, kinds: list[str], every_s: float, seconds: float) -> None:
    """Faults until the time is over or SIGTERM comes; the service may not end by itself."""
    told = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: told.set())
    following = made.began + every_s
    weights = [KINDS[kind] for kind in kinds]
    while time.monotonic() < made.began + seconds - 2 * every_s:  # the last of them recover
        if told.wait(max(0.0, following - time.monotonic())):
            return
        following = max(time.monotonic(), following + every_s)
        assert made.service.process is not None
        if (status := made.service.process.poll()) is not None:
            raise SystemExit(f"the service ended by itself with {status}; see {made.service.log}")
        made.fault(made.chance.choices(kinds, weights)[0])
    told.wait(max(0.0, made.began + seconds - time.monotonic()))


def set_up(args: argparse.Namespace, stack: ExitStack, clock: bool) -> Soak:
    """Film, runs, disk, broker and service, nothing started yet."""
    folder = args.out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    film = open_film(args.film) if args.film.is_dir() else None
    film = film or make_film(args.film, folder / "film", args.hours * 3600 + 900)
    runs = (folder / "runs" / "one", folder / "runs" / "other")
    for given, run in zip(args.runs, runs, strict=True):
        shutil.copytree(given, run)
    (folder / "disk").mkdir()
    stack.enter_context(disk_of_its_own(folder / "disk", round(200 + 700 * args.hours)))
    broker_port = free_port()
    settings = folder / "mosquitto.conf"
    (folder / "broker").mkdir()
    (folder / "broker").chmod(0o777)
    settings.write_text(
        f"listener {broker_port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\n"
        f"persistence_location {folder / 'broker'}/\nautosave_interval 1\nautosave_on_changes true\n"
    )
    mosquitto = shutil.which("mosquitto", path=f"/usr/sbin:{os.environ.get('PATH', '')}") or "mosquitto"
    broker = Program([mosquitto, "-c", str(settings)], broker_port)
    env, file = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}, folder / "clock"
    if clock:
        library = folder / "wall_clock.so"
        file.write_bytes(struct.pack("=q", 0))
        words = ["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(WALL_CLOCK), "-ldl"]
        subprocess.run(words, check=True)
        env |= {"LD_PRELOAD": str(library), "WALL_CLOCK": str(file)}
    service = Service(folder / "cameras.toml", runs[0], free_port(), folder / "service.log", env)
    chance = random.Random(args.seed)
    return Soak(folder, service, film, film.servers(), broker, runs, chance, file if clock else None)


@contextmanager
def disk_of_its_own(place: Path, megabytes: int) -> Iterator[None]:
    """A file system; what was on it is copied beside it at the end, without what fills it."""
    with mounted(place, f"{megabytes}m"):
        try:
            yield
        finally:
            for file in (*place.glob("live.db*"), *place.glob("outbox.db*")):
                shutil.copy(file, place.parent)


def write_config(made: Soak, hook: int) -> None:
    """cameras.toml: four cameras, three sinks, all on the disk that is filled."""
    sources = {name: address for name, (address, _) in made.servers.items()}
    sources["file"] = str(made.film.folder / "film.mp4")
    lines = [f'model = "{made.service.run}"', f'storage = "sqlite:///{made.disk / "live.db"}"']
    lines += [f'media = "{made.disk / "media"}"']
    lines += [f'outbox = "{made.disk / "outbox.db"}"', "reserve_mb = 16.0"]
    lines += [f'[[camera]]\nname = "{name}"\nsource = "{sources[name]}"' for name in CAMERAS]
    lines.append(f'[[sink]]\ntype = "folder"\nname = "kept"\npath = "{made.disk / "kept"}"')
    lines.append(f'[[sink]]\ntype = "webhook"\nname = "hook"\nurl = "http://127.0.0.1:{hook}/hook"')
    lines.append(f'[[sink]]\ntype = "mqtt"\nname = "home"\nhost = "127.0.0.1"\nport = {made.broker.port}')
    made.service.config.write_text("\n".join(lines) + "\n")


# -- the end ---------------------------------------------------------------------------------------------------------


def finish(made: Soak, journal: Journal, watcher: Watcher, sinks: dict[str, Witness]) -> int:
    """Stop the service as an operator does, and say what became of all events."""
    lasted = time.monotonic() - made.began
    status, stopped_s = made.service.stop()
    time.sleep(2)  # the broker hands on what it has
    journal.over.set()
    watcher.over.set()
    outcome = judge(journal.witness, sinks, kept_kinds(made.disk / "kept"), stored_states(made.disk / "live.db"))
    found = [one for name, seen in watcher.marks.items() for one in stretches(name, seen, 10.0)]
    must = due(found, journal.begun, made.film.period_s, SLACK_S)
    print(f"\n{lasted / 3600:.2f} hours, {made.service.starts} starts, load {os.getloadavg()[0]:.1f}")
    print(f"exit status {status}, {stopped_s:.1f} s after SIGTERM")
    print(f"live without a break: {must.seconds / 3600:.2f} camera hours in {len(found)} stretches; ", end="")
    print(f"{must.due} events due at least, {must.came} came, {must.missed} of those due did not")
    print(outcome.line())
    print(f"clips: {clips(made.disk)}; frames dropped: {sum(watcher.dropped.values())}; ", end="")
    print(f"websocket: {journal.missed} messages missed; odd times: {len(journal.odd)}")
    for line in (*must.short, *outcome.lost, *outcome.twice, *outcome.alone, *journal.odd):
        print(f"  {line}")
    for line in (*fault_lines(made.faults), *memory_lines(watcher)):
        print(line)
    ill = [fault for fault in made.faults if fault.recovered_s is None]
    return 0 if outcome.clean and not (ill or must.missed or journal.odd or status) else 1


def kept_kinds(folder: Path) -> dict[str, str]:
    """Kind of the last envelope that the folder sink holds, by event."""
    return {path.parent.name: json.loads(path.read_text())["kind"] for path in folder.rglob("event.json")}


def stored_states(file: Path) -> dict[str, str]:
    """State of each event in storage."""
    with sqlite3.connect(file) as storage:
        return dict(storage.execute("SELECT id, state FROM events").fetchall())


def clips(disk: Path) -> str:
    """How many stored events have a clip that is there."""
    with sqlite3.connect(disk / "live.db") as storage:
        paths = [row[0] for row in storage.execute("SELECT clip FROM events").fetchall()]
    there = sum(path is not None and (disk / "media" / path).is_file() for path in paths)
    return f"{there} of {len(paths)} events have one, {sum(p is not None for p in paths) - there} named and not there"


def fault_lines(faults: list[Fault]) -> list[str]:
    """A row a kind: how many, how soon the service had recovered."""
    rows = [f"{'fault':10}{'times':>6}{'recovered':>11}{'median s':>10}{'longest s':>11}"]
    for kind in KINDS:
        times = [fault.recovered_s for fault in faults if fault.kind == kind]
        took = sorted(time_s for time_s in times if time_s is not None)
        if times:
            middle, most = (f"{statistics.median(took):.1f}", f"{took[-1]:.1f}") if took else ("-", "-")
            rows.append(f"{kind:10}{len(times):6}{len(took):11}{middle:>10}{most:>11}")
    return rows


def memory_lines(watcher: Watcher) -> list[str]:
    """A row for each process of the service that ran long enough after its warm-up."""
    heads = {
        "process": 8,
        "minutes": 9,
        "first MB": 10,
        "last MB": 9,
        "most MB": 9,
        "growth": 9,
        "MB/hour": 9,
        "cores": 7,
    }
    rows = ["".join(f"{head:>{width}}" for head, width in heads.items())]
    for start, samples in watcher.memory.items():
        if found := memory(samples, WARM_UP_S):
            cores = watcher.cpu_s.get(start, 0.0) / (samples[-1][0] - samples[0][0])
            growth = f"{found.last_mb / found.first_mb - 1:+.2%}"
            rows.append(
                f"{start:8}{found.seconds / 60:9.1f}{found.first_mb:10.1f}{found.last_mb:9.1f}{found.most_mb:9.1f}"
                f"{growth:>9}{found.slope_mb_h:+9.1f}{cores:7.2f}  {'flat to 1%' if found.flat else 'NOT flat'}"
            )
    return rows


if __name__ == "__main__":
    sys.exit(main())
