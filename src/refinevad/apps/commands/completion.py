"""refinevad completion: what a shell needs to complete this command line."""

import argparse

HELP = "print a script with which bash or zsh completes commands, options and files"
SHELLS = ("bash", "zsh")
EXAMPLE = """\
example:
  eval "$(refinevad completion bash)"                          in this shell
  refinevad completion bash > ~/.local/share/bash-completion/completions/refinevad
  refinevad completion zsh > ~/.zfunc/_refinevad               a folder of your $fpath

The script is made once and asks refinevad nothing; make it again after an update. Needs shtab: pip install
'refinevad[shell]'.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("shell", choices=SHELLS, help="the shell")


def run(args: argparse.Namespace) -> int:
    """Print the script."""
    try:
        import shtab
    except ModuleNotFoundError as error:
        from refinevad.errors import InputError

        raise InputError("completion needs shtab; pip install 'refinevad[shell]'") from error
    from refinevad.apps.cli import build_parser

    parser = build_parser()
    _complete_files(parser, shtab.FILE)
    print(shtab.complete(parser, shell=args.shell))
    return 0


def _complete_files(parser: argparse.ArgumentParser, files: dict[str, str]) -> None:
    """Every value that is none of a choice may be a file or a folder, of this parser and of its commands."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in dict.fromkeys(action.choices.values()):
                _complete_files(command, files)
        elif action.nargs != 0 and action.choices is None:
            action.complete = files  # type: ignore[attr-defined]
