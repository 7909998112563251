"""Storage as people name it on a command line: a SQLite file, the service's data folder, or a URL."""

from pathlib import Path

from refinevad.apps.live.settings.config import read_config
from refinevad.apps.live.settings.secret import Secret
from refinevad.apps.live.storage.store import Store
from refinevad.errors import InputError

DATABASE, MEDIA = "refinevad.db", "media"  # in the service's data folder


def open_stored(text: str, media: Path | None = None) -> Store:
    """Open what is there already; the clips lie in `media`, by default beside a SQLite file; a cameras.toml says both.

    Raises:
        InputError: nothing is there, or the media folder must be named.
        StorageError: the database cannot be reached.
    """
    scheme, separator, rest = text.partition("://")
    if separator and scheme != "sqlite":
        if media is None:
            raise InputError("clips of a database server lie elsewhere: name their folder with --reviewed-media")
        return Store.open(Secret(text), media)
    path = Path(rest.removeprefix("/")) if separator else Path(text)
    if path.suffix == ".toml" and not separator:
        config = read_config(path)
        if (kept := config.storage.reveal()).startswith("sqlite:"):
            return open_stored(kept, media or config.media)
        return Store.open(config.storage, media or config.media)
    if path.is_dir():
        path = path / DATABASE
    if not path.is_file():
        raise InputError(
            f"no stored events in {text}: {path} is not there; name the service's --data folder, or its cameras.toml"
        )
    return Store.open(Secret(f"sqlite:///{path.resolve()}"), media or path.parent / MEDIA)
