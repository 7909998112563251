"""The command reference, written from the parsers themselves, so that it says what the program takes."""

import argparse
import re
from collections.abc import Iterator

_MARKDOWN = re.compile(r"([\\`*_{}\[\]|])")
INTRODUCTION = """# Commands

Written from the program's own parsers: what stands here is what `--help` says. Exit codes: 0 done, 1 something failed
or was done in part, 2 the input or an option is at fault. With `--json -` a program can read what a command found;
progress and notes go to stderr.
"""


def command_reference(parser: argparse.ArgumentParser) -> str:
    """A page of every command and its options, as Markdown."""
    return "\n".join([INTRODUCTION, *_sections(parser, 2)])


def commands_of(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """A parser's own commands by name; none of most."""
    found: dict[str, argparse.ArgumentParser] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= dict(action.choices)
    return found


def _sections(parser: argparse.ArgumentParser, level: int) -> Iterator[str]:
    for command in commands_of(parser).values():
        yield f"{'#' * level} {command.prog}\n"
        yield f"{_sentence(_begun(command.description or ''))}\n"
        yield f"```text\n{_usage(command)}\n```\n"
        yield from _table(command)
        if command.epilog:
            yield f"```text\n{command.epilog.strip()}\n```\n"
        yield from _sections(command, level + 1)


def _begun(words: str) -> str:
    return words[:1].upper() + words[1:].removesuffix(".") + "."


def _usage(parser: argparse.ArgumentParser) -> str:
    usage = " ".join(parser.format_usage().split())
    words, lines = usage.removeprefix("usage: ").split(" "), [""]
    for word in words:
        if len(lines[-1]) + len(word) > 95:
            lines.append("   ")
        lines[-1] = f"{lines[-1]} {word}" if lines[-1].strip() else lines[-1] + word
    return "\n".join(lines)


def _table(parser: argparse.ArgumentParser) -> Iterator[str]:
    shown = [action for action in parser._actions if action.help != argparse.SUPPRESS]
    rows = [
        f"| {_name(parser, action)} | {_help(parser, action)} |"
        for action in shown
        if not isinstance(action, argparse._HelpAction | argparse._SubParsersAction)
    ]
    if rows:
        yield "\n".join(["| argument | what it is |", "|---|---|", *rows]) + "\n"


def _name(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else parser._get_formatter()._format_args(action, _metavar(action))
    words = [f"{option} {value}".strip() for option in action.option_strings] or [value]
    must = " *(needed)*" if action.required and action.option_strings else ""
    return "<br>".join(f"`{word}`" for word in words) + must


def _metavar(action: argparse.Action) -> str:
    if action.choices is not None and action.metavar is None:
        return "{" + ",".join(map(str, action.choices)) + "}"
    return action.dest.upper() if action.option_strings else action.dest


def _help(parser: argparse.ArgumentParser, action: argparse.Action) -> str:
    return _sentence((action.help or "") % {**vars(action), "prog": parser.prog})


def _sentence(text: str) -> str:
    words = " ".join(text.split())
    return _MARKDOWN.sub(r"\\\1", words).replace("<", "&lt;").replace(">", "&gt;")
