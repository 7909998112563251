"""The options that say who works: processes of this machine, or Ray."""

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from refinevad.machine.ray_pool import OnRay


PROCESSES = 2  # that extract, where nobody says


def add_workforce(parser: argparse.ArgumentParser) -> None:
    """The options of commands that extract what features are missing."""
    parser.add_argument("--workers", type=int, metavar="N", help="processes that extract missing features (default 2)")
    add_ray(parser)


def add_ray(parser: argparse.ArgumentParser) -> None:
    """The option that leaves the work to Ray."""
    parser.add_argument(
        "--ray",
        metavar="WHERE",
        help="by Ray (refinevad[ray]): local, auto (the cluster this machine belongs to) or a head's host:port",
    )


def workforce(args: argparse.Namespace, processes: int) -> "int | OnRay":
    """Who works by `--ray` and `--workers`; so many `processes` where neither says.

    Raises:
        InputError: no worker at all, or no address.
    """
    from refinevad.errors import InputError
    from refinevad.machine.ray_pool import OnRay

    if args.workers is not None and args.workers < 1:
        raise InputError(f"--workers must be at least 1: got {args.workers}")
    if args.ray is None:
        return args.workers or processes
    if not args.ray.strip():
        raise InputError("--ray needs local, auto or the address of a Ray cluster's head, host:port")
    return OnRay(args.ray.strip(), args.workers)
