"""refinevad bench speed: the programs in benchmarks/ that measure speed and memory, one after the other."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAME = "speed"
HELP = "speed and memory: runs the programs of benchmarks/ (in a source checkout) and gathers their tables"
EXAMPLE = """\
example:
  refinevad bench speed --model runs/mine --out out/bench/speed.md       # everything, about an hour on 2 cores
  refinevad bench speed head metrics                                     # these parts alone
  refinevad bench speed training --quick                                 # to see that it runs

Run it on a machine that does nothing else; its load is written beside the figures. Exit 1 when a part failed.
"""
PARTS = ("head", "pixels", "latency", "soak", "training", "metrics", "gpu")
NEEDS_RUN = ("latency",)
ONE_THREAD = ("head", "soak", "metrics")  # as their figures are meant
# what a part is given in place of its defaults, to see that it runs
QUICK = {
    "head": ("--segments", "256", "--rounds", "1", "--heads", "refinevad"),
    "pixels": ("--quick",),
    "latency": ("--cameras", "1", "--rates", "5", "--seconds", "3", "--warm", "2"),
    "soak": ("--hours", "0.2", "--every", "0.1"),
    "training": ("--videos", "32", "--channels", "64", "--steps", "1", "--batches", "2", "--rounds", "1"),
    "metrics": ("--rounds", "1", "--videos", "30"),
    "gpu": ("--tiny", "--device", "cpu", "--no-compile"),
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the parts and their options."""
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all that can run here)")
    parser.add_argument("--model", type=Path, metavar="RUN", help="a trained run, which latency needs")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the tables to this Markdown file")
    parser.add_argument("--quick", action="store_true", help="shrink every part, to see that it runs")


def run(args: argparse.Namespace) -> int:
    """Run the parts and print their tables; the file grows as parts end. Exit 1 when one failed."""
    from refinevad.errors import InputError
    from refinevad.files.whole import atomic_write

    folder = find_programs()
    for part in args.parts:
        if part not in PARTS:
            raise InputError(f"unknown part '{part}': use {', '.join(PARTS)}")
        if part in NEEDS_RUN and args.model is None:
            raise InputError(f"the part {part} needs a trained run: add --model RUN")
        if not (folder / f"{part}.py").exists():
            raise InputError(f"the part {part} is not in this checkout: {folder / part}.py is missing")
    failed = False
    text = f"# Speed\n\n{machine()}\n"
    print(text, flush=True)
    for section, right in sections(folder, args.parts, args.model, args.quick):
        failed |= not right
        print(section, flush=True)
        text += f"\n{section}"
        if args.out is not None:
            with atomic_write(args.out) as partial:
                partial.write_text(text, encoding="utf-8")
    return int(failed)


def find_programs() -> Path:
    """The folder benchmarks/ of the checkout this program runs from. Raises InputError where there is none."""
    from refinevad.errors import InputError

    folder = Path(__file__).parents[5] / "benchmarks"
    if not (folder / "head.py").exists():
        raise InputError(
            "bench speed runs the programs in benchmarks/, which only a source checkout has: clone it first"
        )
    return folder


def sections(folder: Path, parts: "Sequence[str]", model: Path | None, quick: bool) -> "Iterator[tuple[str, bool]]":
    """(a part's section, whether it ran well) as each is done; a part that nobody named may be one that cannot run."""
    import os

    for part in parts or PARTS:
        sentence = None if parts else obstacle(folder, part, model, quick)
        if sentence is not None:
            yield f"## {part}\n\nnot run: {sentence}\n", True
            continue
        options = [*(QUICK.get(part, ()) if quick else ()), *(("--model", str(model)) if part in NEEDS_RUN else ())]
        load = os.getloadavg()[0]
        threads = {"OMP_NUM_THREADS": "1"} if part in ONE_THREAD else {}
        out, wrong, seconds = run_program(folder / f"{part}.py", options, threads)
        named = [f"{name}={value}" for name, value in threads.items()]
        command = " ".join([*named, "python", f"benchmarks/{part}.py", *options])
        body = out if out.startswith("|") or "\n|" in out else f"```\n{out}\n```"
        ending = f"\n\nstopped: {wrong}" if wrong else ""
        yield f"## {part}\n\n`{command}`: {seconds:.0f} s, load {load:.1f} before it\n\n{body}{ending}\n", not wrong


def obstacle(folder: Path, part: str, model: Path | None, quick: bool) -> str | None:
    """Why a part cannot run here; None: it can."""
    if not (folder / f"{part}.py").exists():
        return f"{part}.py is not in this checkout"
    if part in NEEDS_RUN and model is None:
        return "it needs a trained run (--model RUN)"
    if quick:
        return None if part in QUICK else "it has no quick form"
    if part == "gpu":
        import torch

        return None if torch.cuda.is_available() else "no GPU here"
    return None


def run_program(program: Path, options: "Sequence[str]", threads: dict[str, str]) -> tuple[str, str, float]:
    """(what it printed, the last line of what went wrong or nothing, seconds)."""
    import os
    import subprocess
    import sys
    import time

    began = time.monotonic()
    command = [sys.executable, str(program), *options]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **threads})
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return done.stdout.rstrip(), lines[-1] if done.returncode else "", time.monotonic() - began


def machine() -> str:
    """Processor, cores, memory, load, versions, date: what figures depend on."""
    import os
    import platform
    import time
    from importlib.metadata import version

    import refinevad

    models = [line.split(":", 1)[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    memory = [int(line.split()[1]) / 2**20 for line in _lines("/proc/meminfo") if line.startswith("MemTotal")]
    held = f"{memory[0]:.0f} GiB, " if memory else ""
    packages = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy"))
    system = f"{platform.system()} {platform.release()}, Python {platform.python_version()}"
    threads = os.environ.get("OMP_NUM_THREADS", "not set")
    return (
        f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores, {held}load {os.getloadavg()[0]:.1f} "
        f"at the start; {system}, refinevad {refinevad.__version__}, {packages}; OMP_NUM_THREADS {threads}; "
        f"{time.strftime('%Y-%m-%d %H:%M')}"
    )


def _lines(path: str) -> list[str]:
    source = Path(path)
    return source.read_text(encoding="utf-8").splitlines() if source.exists() else []
