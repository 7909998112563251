"""A RUN pushed to where others find it, and pulled from there: checked whole on both ways."""

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from refinevad.checkpoint import Checkpoint
from refinevad.errors import InputError
from refinevad.files.json_files import read_json
from refinevad.files.whole import sha256_file
from refinevad.files.whole_folder import whole_folder
from refinevad.sharing import hugging_face, storage
from refinevad.sharing.addresses import HubAddress, read_address
from refinevad.sharing.card import card_of
from refinevad.sharing.run_files import ORIGIN, README, files_to_push
from refinevad.shipped.card import Card
from refinevad.shipped.names import CARD, shipped_name

SCHEMA_VERSION, KIND = 1, "refinevad pull"


@dataclass(frozen=True)
class Pushed:
    """What was pushed.

    Attributes:
        revision: the commit, or a digest of the files where the place has no commits.
        files: their names.
        stayed: names in the RUN folder that were left aside.
    """

    address: str
    revision: str
    files: tuple[str, ...]
    stayed: tuple[str, ...]


def push_run(run: Path, to: str, *, licence: str | None = None, public: bool = False) -> Pushed:
    """Share a RUN folder, with a card where it has no README.md of its own.

    Args:
        to: `hf:owner/name`, a folder, or a storage that fsspec knows.
        licence: of the weights, for the card.
        public: whether anyone may see a hub's repository that is made.

    Raises:
        InputError: no finished run, a file in it that is no part of one, or the place refuses.
    """
    address, checkpoint = read_address(to), Checkpoint.load(run).with_ridge(run)
    found, stayed = files_to_push(run)
    files = {path.name: path for path in found}
    with TemporaryDirectory(prefix="refinevad-") as folder:
        if README not in files:
            name = shipped_name(run) or run.absolute().name
            files[README] = Path(folder, README)
            files[README].write_text(card_of(run, checkpoint, name, licence), encoding="utf-8")
        elif licence is not None:
            raise InputError(f"{run} has a README.md of its own, which goes along: say the licence there")
        if isinstance(address, HubAddress):
            revision = hugging_face.push(files, address, public)
        else:
            revision = storage.push(files, address)
    return Pushed(str(address), revision, tuple(sorted(files)), tuple(stayed))


def pull_run(source: str, out: Path) -> str:
    """Fetch a run to the folder `out`, which is written once all in it was checked; its revision.

    RUN/origin.json says where it came from, at which revision, and the SHA-256 of each file. A folder that was pulled
    from the same place and not changed since is replaced.

    Raises:
        InputError: there is no run there, something else lies with it, it is damaged, or `out` holds other things.
    """
    address = read_address(source)
    with whole_folder(out, lambda folder: _is_pulled(folder, str(address))) as folder:
        if isinstance(address, HubAddress):
            revision = hugging_face.pull(address, folder)
        else:
            revision = storage.pull(address, folder)
        try:
            Checkpoint.load(folder).with_ridge(folder)
            intact = not (folder / CARD).exists() or Card.read(folder).intact
        except InputError as error:
            raise InputError(f"{address} is no run that can be used: {str(error).replace(f'{folder}/', '')}") from error
        if not intact:
            raise InputError(f"the weights at {address} are not those of its card")
        files = {path.name: sha256_file(path) for path in sorted(folder.iterdir())}
        origin = {"schema_version": SCHEMA_VERSION, "kind": KIND, "address": str(address), "revision": revision}
        text = json.dumps({**origin, "files": files}, indent=1) + "\n"
        (folder / ORIGIN).write_text(text, encoding="utf-8")
    return revision


def _is_pulled(folder: Path, address: str) -> bool:
    """Whether a folder holds what was pulled from this address, unchanged, and nothing else."""
    try:
        origin = read_json(folder / ORIGIN)
    except InputError:
        return False
    files = origin.get("files")
    if origin.get("kind") != KIND or origin.get("address") != address or not isinstance(files, dict):
        return False
    if {path.name for path in folder.iterdir()} != {*files, ORIGIN}:
        return False
    return all(sha256_file(folder / name) == sha256 for name, sha256 in files.items())
