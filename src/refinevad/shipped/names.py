"""Which models ship, and a name where a RUN folder can stand."""

from os import PathLike
from pathlib import Path

from refinevad.files.whole import is_there

FOLDER = Path(__file__).parent
DEFAULT_MODEL = "fighting"  # what speaks where no model is named
CARD = "card.json"


def shipped_names() -> tuple[str, ...]:
    """Names of the models that ship, in order."""
    return tuple(sorted(path.parent.name for path in FOLDER.glob(f"*/{CARD}")))


def shipped_folder(name: str) -> Path:
    """The RUN folder of a model that ships."""
    return FOLDER / name


def find_run(run: str | PathLike[str] | None = None, base: Path = Path()) -> Path:
    """The folder of a RUN as a person names it: a folder, or a model that ships; None: the one that ships as default.

    A folder of that name in `base`, from where the path is written, goes before a model that ships. What is neither is
    given back as it is, for who opens it to refuse.
    """
    if run is None:
        return shipped_folder(DEFAULT_MODEL)
    path = Path(run)
    is_name = path.parent == base and path.name in shipped_names()
    return shipped_folder(path.name) if is_name and not is_there(path) else path


def shipped_name(folder: Path) -> str | None:
    """The name of the model that ships in a folder; None for any other folder."""
    inside = folder.absolute().parent == FOLDER.absolute() and folder.name in shipped_names()
    return folder.name if inside else None
