"""refinevad caption: videos -> files of captions, by a language model that sees."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refinevad.encoders.captioner import Captioner

HELP = "describe videos in sentences, window by window, for the encoder captions"
EXAMPLE = """\
example:
  refinevad caption videos/ --model HuggingFaceTB/SmolVLM2-500M-Video-Instruct --out videos/

VIDEO is a file, or a folder of them; a folder's videos keep their places below DIR. <stem>.jsonl is what the encoder
`captions` reads beside a video: with the folder itself as DIR it lies there. Stopped, it goes on where it was; what is
up to date is skipped. --prompts FILE holds a question a line, each asked of every window; # begins a remark.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("videos", type=Path, nargs="+", metavar="VIDEO", help="video files, or folders of them")
    parser.add_argument("--model", required=True, metavar="M", help="hub id or folder of an image-text-to-text model")
    parser.add_argument("--out", type=Path, metavar="DIR", help="folder for the captions (default: beside each video)")
    parser.add_argument("--prompts", type=Path, metavar="FILE", help="what the model is asked, a question a line")
    parser.add_argument("--window-s", type=float, metavar="S", help="seconds that a window lasts (default 2.56)")
    parser.add_argument("--every-s", type=float, metavar="S", help="seconds after which the next begins (default 0.64)")
    parser.add_argument("--window-frames", type=int, metavar="N", help="the same in frames (the field: 64)")
    parser.add_argument("--every-frames", type=int, metavar="N", help="the same in frames (the field: 16)")
    parser.add_argument("--frames", type=int, default=8, metavar="N", help="frames of a window it sees (default 8)")
    parser.add_argument("--batch", type=int, default=4, metavar="N", help="windows at a time (default 4)")
    parser.add_argument("--tokens", type=int, default=48, metavar="N", help="longest answer (default 48)")
    parser.add_argument("--device", metavar="D", help="cpu or cuda (default: cuda where there is one)")
    parser.add_argument("--allow-download", action="store_true", help="fetch the model from a hub")
    parser.add_argument(
        "--trust-remote-code",
        action="store_true",
        help="run Python code that lies beside the weights (never by default)",
    )
    parser.add_argument("--json", metavar="FILE", help="write what was done as JSON; - for stdout")


def run(args: argparse.Namespace) -> int:
    """Describe each video; exit 2 when none could be read, 1 when some could not."""
    from refinevad.apps.terminal import close_bars, give_json, note, progress_bar
    from refinevad.encoders.caption_windows import WindowPlan
    from refinevad.errors import InputError
    from refinevad.features.captioning import CaptionMaker, caption_targets
    from refinevad.video.reading import probe

    if min(args.batch, args.tokens) < 1:
        raise InputError(f"--batch and --tokens must be at least 1: got {args.batch} and {args.tokens}")
    plan = WindowPlan.of(args.window_s, args.every_s, args.window_frames, args.every_frames, args.frames)
    jobs = caption_targets(_videos(args.videos), args.out)
    maker = CaptionMaker(_captioner(args), plan, args.batch)
    done, failed = [], {}
    for video, target in jobs:
        try:
            length = max(1, round(probe(video).duration_s))
            with progress_bar(length, video.name, "s") as bar:
                made = maker.caption(video, target, lambda s, bar=bar: bar.update(min(round(s), bar.total) - bar.n))
        except InputError as error:
            if len(jobs) == 1 or str(error).startswith("cannot write"):
                raise
            failed[str(video)] = str(error)
            note(f"left out: {error}")
            continue
        if made.silent and made.made:
            note(f"{made.silent} answers for {video} were empty and are left out")
        _tell_others(video, target)
        done.append({"video": str(video), "captions": str(target), "windows": made.windows, "made": made.made})
    close_bars()
    if not done:
        raise InputError(f"none of the {len(jobs)} videos could be read; the first: {next(iter(failed.values()))}")
    if not give_json({"model": args.model, "windows": plan.as_dict(), "videos": done, "failed": failed}, args.json):
        new = sum(row["made"] is True for row in done)
        print(f"{new} videos described, {len(done) - new} up to date, {len(failed)} left out")
    return 1 if failed else 0


def _captioner(args: argparse.Namespace) -> "Captioner":
    from refinevad.encoders import hub
    from refinevad.encoders.captioner import PROMPTS, Captioner

    if args.allow_download and not hub.is_at_hand(args.model):
        hub.fetch(args.model)
    prompts = PROMPTS if args.prompts is None else _prompts(args.prompts)
    return Captioner(args.model, prompts, args.tokens, args.device, args.trust_remote_code)


def _prompts(path: Path) -> tuple[str, ...]:
    from refinevad.errors import InputError

    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"prompts {path} cannot be read: {getattr(error, 'strerror', None) or error}") from error
    prompts = tuple(line.strip() for line in lines if line.strip() and not line.strip().startswith("#"))
    if not prompts:
        raise InputError(f"prompts {path} hold no question; write one a line")
    return prompts


def _videos(named: Sequence[Path]) -> list[tuple[Path, Path]]:
    """(video, its place below the folder it was found in) of files and folders."""
    from refinevad.apps.terminal import notes
    from refinevad.datasets.folders import NotRead, files_below
    from refinevad.errors import InputError
    from refinevad.video.reading import VIDEO_SUFFIXES

    found: list[tuple[Path, Path]] = []
    aside = NotRead()
    for path in named:
        if not path.is_dir():
            found.append((path, Path(path.name)))
            continue
        below = [file for file in files_below(path, aside) if file.suffix.lower() in VIDEO_SUFFIXES]
        if not below:
            raise InputError(f"no videos found in {path}")
        found += [(file, file.relative_to(path)) for file in below]
    notes(aside.words())
    return found


def _tell_others(video: Path, target: Path) -> None:
    """A subtitle of the same name is read before: whoever made captions should know."""
    from refinevad.apps.terminal import note
    from refinevad.encoders.captions import CAPTION_SUFFIXES

    for suffix in CAPTION_SUFFIXES:
        beside = target.with_suffix(suffix)
        if suffix != target.suffix and beside.exists():
            note(f"{beside} lies there too: of {video} the encoder captions reads that one, not {target.name}")
