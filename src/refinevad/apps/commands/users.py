"""refinevad users: who may log in at `refinevad serve`; the first admin is made here, others on its page, too."""

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from refinevad.apps.commands.serve import config_from

if TYPE_CHECKING:
    from refinevad.apps.live.storage.store import Store

HELP = "add and change who may log in at refinevad serve"
EXAMPLE = """\
example:
  refinevad users add ana --role admin                   asks for a password, twice
  refinevad users add ben --role reviewer < password.txt   or reads the first line of stdin
  refinevad users add eve@example.org --role viewer --no-password    a proxy vouches for her (serve --user-header)
  refinevad users list
  refinevad users role ben --role viewer
  refinevad users password ana
  refinevad users remove ben

viewer: looks. reviewer: says what events were, analyses files. admin: everything. Passwords are never given on the
command line, where other programs could read them. --data, --config and --storage as for refinevad serve.
"""
ROLES = ("viewer", "reviewer", "admin")
_HOW = {True: "password", False: "by a proxy alone"}
ACTIONS = ("add", "list", "role", "password", "remove")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("action", choices=ACTIONS, help="what to do")
    parser.add_argument("name", nargs="?", metavar="NAME", help="of whom")
    parser.add_argument("--role", choices=ROLES, help="what they may do; the first user must be an admin")
    parser.add_argument("--no-password", action="store_true", help="add: they come in by a proxy alone")
    parser.add_argument("--data", type=Path, metavar="DIR", help="folder for what is stored (refinevad-data)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="cameras.toml, for the storage it names")
    parser.add_argument("--storage", metavar="URL", help="sqlite:///FILE or postgresql://user:password@host/name")
    parser.add_argument("--json", metavar="FILE", help="write the users there are then as JSON; - for stdout")


def run(args: argparse.Namespace) -> int:
    """Do it; 2 where the name, the role or the password is at fault."""
    from refinevad.apps.service.passwords import hash_password
    from refinevad.apps.terminal import give_json
    from refinevad.errors import InputError

    if args.name is None and args.action != "list":
        raise InputError(f"refinevad users {args.action} needs a NAME")
    if (args.role is not None) != (args.action in ("add", "role")):
        raise InputError("--role belongs to add and role: one of " + ", ".join(ROLES))
    with _store(args) as store:
        people, said = store.people, ""
        if args.action == "add":
            people.add(args.name, args.role, None if args.no_password else hash_password(_asked()))
            said = f"{args.name} may log in as {args.role}"
        elif args.action == "role":
            people.set_role(args.name, args.role)
            said = f"{args.name} is {args.role} now"
        elif args.action == "password":
            people.set_password(args.name, hash_password(_asked()))
            store.logins.end_all(args.name)
            said = f"{args.name} has another password; their logins end within seconds"
        elif args.action == "remove":
            people.remove(args.name)
            said = f"{args.name} is removed"
        left = [{"name": user.name, "role": user.role, "password": user.password is not None} for user in people.all()]
    if not give_json({"users": left}, args.json):
        lines = [f"{user['name']}\t{user['role']}\t{_HOW[bool(user['password'])]}" for user in left]
        print("\n".join([said] if said else lines))
    return 0


@contextmanager
def _store(args: argparse.Namespace) -> "Iterator[Store]":
    from refinevad.apps.live.storage.store import Store

    args.model = None
    config = config_from(args)
    store = Store.open(config.storage, config.media)
    try:
        yield store
    finally:
        store.close()


def _asked() -> str:
    """A password typed twice, or the first line of stdin. Raises InputError where there is none, or they differ."""
    from getpass import getpass

    from refinevad.errors import InputError

    if not sys.stdin.isatty():
        if not (line := sys.stdin.readline().rstrip("\r\n")):
            raise InputError("no password came on stdin; run this in a terminal to be asked, or pipe one line into it")
        return line
    first = getpass("Password: ")
    if getpass("Once more: ") != first:
        raise InputError("the two passwords differ; nothing was changed")
    return first
