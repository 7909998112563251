"""The `refinevad` program: commands, exit codes, and one sentence where something is wrong."""

import argparse
import signal
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import refinevad
from refinevad.errors import InputError, RefineVADError
from refinevad.files.shown import shown

COMMANDS = (
    *("demo", "caption", "extract", "import", "train", "evaluate", "explain", "detect", "find", "watch", "serve"),
    *("models", "encoders", "export", "push", "pull", "convert", "users"),
    *("init", "check", "doctor", "completion", "metrics", "bench"),
)
_MODULES = {"import": "import_features"}  # a keyword can name no module
EPILOG = """\
start here:
  refinevad demo --out out/demo                     render a small data set, train, evaluate, detect; open report.html
  refinevad train videos/ --out runs/mine           videos/<split>/<category>/*.mp4, category `normal` for normal ones
  refinevad detect camera.mp4 --model runs/mine --out found/
  refinevad detect camera.mp4 --out found/          with the model that ships; refinevad models says how sure it may be

exit codes: 0 done, 1 something failed, 2 the input or an option is at fault
"""


class _Parser(argparse.ArgumentParser):
    """Says what it did not understand without acting on it; the commands' parsers are of this kind too."""

    def error(self, message: str) -> NoReturn:
        super().error(shown(message))


def build_parser() -> argparse.ArgumentParser:
    """The whole command line. Command modules are light; what they need is imported when they run."""
    parser = _Parser(
        prog="refinevad",
        description="Find the moment something went wrong in hours of video, trained on video-level labels alone.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"refinevad {refinevad.__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name in COMMANDS:
        module = import_module(f"refinevad.apps.commands.{_MODULES.get(name, name)}")
        command = commands.add_parser(name, help=module.HELP)
        module.configure(command)
        command.set_defaults(run=module.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; return its exit code."""
    warnings.showwarning = lambda message, *_args, **_kwargs: _note(f"note: {shown(str(message))}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    args = build_parser().parse_args(arguments)
    try:
        return int(args.run(args))
    except InputError as error:
        return _stop(f"error: {error}", 2)
    except RefineVADError as error:
        return _stop(f"error: {error}", 1)
    except KeyboardInterrupt:
        return _stop("interrupted; the same command goes on where it stopped", 130)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "refinevad":
            raise
        extra = "service" if args.command in ("watch", "serve", "users") else "video"
        return _stop(f"error: {args.command} needs {error.name}; pip install 'refinevad[{extra}]'", 2)
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        sys.stderr.close()
        return 1
    except OSError as error:  # what no module foresaw: still a sentence that names the file
        return _stop(f"error: {error.filename or args.command}: {error.strerror or error}", 2)


def _note(sentence: str) -> None:
    """A line on stderr, above progress bars where there are any."""
    if terminal := sys.modules.get("refinevad.apps.terminal"):
        terminal.note(sentence)
    else:
        print(f"refinevad: {sentence}", file=sys.stderr)


def _stop(sentence: str, code: int) -> int:
    """Print the last line of a command that stops early, below its progress bars."""
    if terminal := sys.modules.get("refinevad.apps.terminal"):
        terminal.close_bars()
    print(f"refinevad: {shown(sentence)}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
