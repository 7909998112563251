"""Where a run is shared: `hf:owner/name[@revision]`, a folder, or `scheme://...` of fsspec."""

import re
from dataclasses import dataclass

from refinevad.errors import InputError
from refinevad.files.shown import short

_HUB = "hf:"
_NAME = re.compile(r"[A-Za-z0-9](?:[\w.-]{0,94}[A-Za-z0-9])?")
_REVISION = re.compile(r"[\w./-]{1,200}")


@dataclass(frozen=True)
class HubAddress:
    """A repository of a model hub; `revision`: a branch, a tag or a commit, None: its main branch."""

    repository: str
    revision: str | None = None

    def __str__(self) -> str:
        return f"{_HUB}{self.repository}"


@dataclass(frozen=True)
class StorageAddress:
    """A folder here, or on a storage that fsspec knows."""

    url: str

    def __str__(self) -> str:
        return self.url


Address = HubAddress | StorageAddress


def read_address(text: str) -> Address:
    """An address as a person writes it. Raises InputError for a hub's that is none."""
    if not text.startswith(_HUB):
        if not text:
            raise InputError("an address is hf:owner/name, a folder, or a storage such as s3://bucket/path")
        return StorageAddress(text)
    repository, at, revision = text.removeprefix(_HUB).partition("@")
    names = repository.split("/")
    fits = len(names) == 2 and all(_NAME.fullmatch(name) and ".." not in name and "--" not in name for name in names)
    if not fits or (at and (not _REVISION.fullmatch(revision) or ".." in revision)):
        raise InputError(f"{short(text)} is no address of a hub's model; write hf:owner/name or hf:owner/name@revision")
    return HubAddress(repository, revision or None)
