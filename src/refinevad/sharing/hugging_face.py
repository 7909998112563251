"""A run on a model hub that speaks Hugging Face's API, by huggingface_hub; $HF_ENDPOINT names another than its own.

Who one is there is huggingface_hub's to know (`hf auth login`, $HF_TOKEN).
"""

import importlib
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from refinevad.errors import InputError
from refinevad.sharing.addresses import HubAddress
from refinevad.sharing.run_files import MOST, OF_HUBS, check_complete, check_names

_NO_PROGRESS = "HF_HUB_DISABLE_PROGRESS_BARS"


def push(files: Mapping[str, Path], address: HubAddress, public: bool) -> str:
    """Commit a run's files to a repository, which is made where there is none; the commit.

    Args:
        public: whether anyone may see a repository that is made.

    Raises:
        InputError: the repository holds other things, a revision is named, or the hub refuses.
    """
    if address.revision is not None:
        raise InputError(f"a push goes to the main branch: leave @{address.revision} out")
    with _hub(address) as (library, api):
        api.create_repo(address.repository, private=not public, exist_ok=True)
        there = [name for name in api.list_repo_files(address.repository) if name not in OF_HUBS]
        check_names(there, str(address))
        operations = [library.CommitOperationAdd(name, str(path)) for name, path in files.items()]
        operations += [library.CommitOperationDelete(name) for name in there if name not in files]
        return str(api.create_commit(address.repository, operations, commit_message="Share a refinevad run").oid)


def pull(address: HubAddress, folder: Path) -> str:
    """Fetch the files of a run at a revision; the commit, which all of them are of.

    Raises:
        InputError: there is no such repository or revision, it is no run and nothing else, or the hub refuses.
    """
    with _hub(address) as (_, api):
        facts = api.model_info(address.repository, revision=address.revision, files_metadata=True)
        sizes = {file.rfilename: file.size for file in facts.siblings if file.rfilename not in OF_HUBS}
        check_complete(sizes, str(address))
        for name in sizes:
            api.hf_hub_download(address.repository, name, revision=facts.sha, local_dir=folder)
            if (folder / name).stat().st_size > MOST[name]:
                raise InputError(f"{address}: {name} holds more than {MOST[name]:,} bytes")
        shutil.rmtree(folder / ".cache", ignore_errors=True)  # the library's own notes on what it fetched
        return str(facts.sha)


@contextmanager
def _hub(address: HubAddress) -> Iterator[tuple[Any, Any]]:
    """The library, and the hub as it speaks to it. Raises InputError for whatever goes wrong there."""
    try:
        library: Any = importlib.import_module("huggingface_hub")
        errors: Any = importlib.import_module("huggingface_hub.errors")
    except ImportError as error:
        raise InputError("a model hub needs huggingface_hub; pip install 'refinevad[hub]'") from error
    api = library.HfApi(endpoint=os.environ.get("HF_ENDPOINT"), library_name="refinevad")
    try:
        with _quiet():
            yield library, api
    except errors.RepositoryNotFoundError as error:
        raise InputError(
            f"the hub has no model {address.repository} that you may see; check the name, or log in with hf auth login"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise InputError(f"{address} has no revision {address.revision}") from error
    except (OSError, ValueError, RuntimeError, errors.HfHubHTTPError, *_of_the_net()) as error:
        raise InputError(f"{address}: the hub says: {_first_line(error)}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without bars, and without what the library says of its own insides."""
    bars: Any = importlib.import_module("huggingface_hub.utils")
    hidden = bars.are_progress_bars_disabled()
    if _NO_PROGRESS not in os.environ:
        bars.disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            yield
    finally:
        if not hidden and _NO_PROGRESS not in os.environ:
            bars.enable_progress_bars()


def _of_the_net() -> Iterator[type[Exception]]:
    """What the clients that huggingface_hub may use raise where nobody answers."""
    for name in ("httpx", "httpx2"):
        try:
            yield importlib.import_module(name).HTTPError
        except ImportError:
            continue


def _first_line(error: BaseException) -> str:
    """What went wrong, and why, where the library hides that behind a sentence of its own."""
    said = next(iter(str(error).strip().splitlines()), type(error).__name__)
    return said if error.__cause__ is None else f"{said} {_first_line(error.__cause__)}"
