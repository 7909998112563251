"""What one has -> folders, a recipe or cameras.toml, and the next command."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from refinevad.apps.live.settings.addresses import mask
from refinevad.datasets.dataset import EVENTS_FILE, NORMAL
from refinevad.datasets.folders import SPLITS
from refinevad.errors import InputError
from refinevad.files.whole import atomic_write, is_there

KINDS = {
    "videos": "recordings, and I know in which of them something happened",
    "cameras": "live cameras, or recordings to look through with a model that ships",
    "features": "features that other software made (.npy)",
}
CATEGORY = "incident"
EVENTS_HEADER = "path,start_s,end_s,category\n"
_NO_NAME = frozenset("/\\\0")


@dataclass(frozen=True)
class Layout:
    """Folders and files (path below the folder, text), and the commands that come next."""

    folders: tuple[str, ...]
    files: dict[str, str]
    next: tuple[str, ...]


def layout(kind: str, folder: Path, categories: Sequence[str] = (), sources: Sequence[str] = ()) -> Layout:
    """What `init` lays out.

    Args:
        kind: one of `KINDS`.
        folder: where; the commands name it.
        categories: of anomalies, for videos; none: one called `incident`.
        sources: addresses of cameras; none: one to be replaced.

    Raises:
        InputError: a kind there is not, or a category that can be no folder, or is `normal`.
    """
    if kind not in KINDS:
        raise InputError(f"--kind is one of {', '.join(KINDS)}: got {kind!r}")
    names = list(dict.fromkeys(name.strip() for name in categories)) or [CATEGORY]
    for name in names:
        if not name or name.startswith(".") or set(name) & _NO_NAME or name.lower() == NORMAL:
            raise InputError(f"a category is the name of a folder, and not {NORMAL}: got {name!r}")
    return {"videos": _videos, "cameras": _cameras, "features": _features}[kind](folder, names, sources)


def write(found: Layout, folder: Path) -> None:
    """Make it; nothing that is there is changed.

    Raises:
        InputError: a file of it is there already, or the folder cannot be written.
    """
    there = [name for name in found.files if (folder / name).exists()]
    if there:
        raise InputError(f"{folder / there[0]} is there already; choose another folder, or delete it")
    try:
        for name in ("", *found.folders):
            (folder / name).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make {error.filename}: {error.strerror}; choose another folder") from error
    for name, text in found.files.items():
        with atomic_write(folder / name) as partial:
            partial.write_text(text, encoding="utf-8")


def ask(answer: Callable[[str], str], tell: Callable[[str], None]) -> str:
    """The kind that a person answers, by its number or its name. Raises InputError where nobody answers."""
    names = list(KINDS)
    tell("What have you got?")
    for number, name in enumerate(names, 1):
        tell(f"  {number}  {name}: {KINDS[name]}")
    while True:
        try:
            said = answer(f"1 to {len(names)}: ").strip().lower()
        except EOFError as error:
            raise InputError(f"nobody answers; say --kind {', '.join(names)}") from error
        if said in names:
            return said
        if said.isdecimal() and 1 <= int(said) <= len(names):
            return names[int(said) - 1]
        tell(f"{said!r} is none of them")


def _videos(folder: Path, categories: Sequence[str], _sources: Sequence[str]) -> Layout:
    folders = [f"videos/{split}/{category}" for split in SPLITS for category in (NORMAL, *categories)]
    recipe = (
        "# Every default, on the videos below; what can be said here: docs, Training.\n\n"
        f'[data]\nroot = {json.dumps(str(folder.absolute() / "videos"))}\nsettings = "default"\n'
    )
    return Layout(
        tuple(folders),
        {"recipe.toml": recipe, f"videos/{EVENTS_FILE}": EVENTS_HEADER},
        (
            f"put videos into {folder}/videos/<split>/<category>/, and when it happens in test videos into events.csv",
            f"refinevad check {folder}/videos",
            f"refinevad train {folder}/recipe.toml --out {folder}/runs/first",
        ),
    )


def _cameras(folder: Path, _categories: Sequence[str], sources: Sequence[str]) -> Layout:
    given = [str(Path(source).absolute()) if is_there(Path(source)) else source for source in sources] or [
        "rtsp://192.168.1.64:554/stream1"
    ]
    tables = [f'[[camera]]\nname = "camera-{n}"\nsource = {json.dumps(source)}\n' for n, source in enumerate(given, 1)]
    first = "" if sources else "# replace this address by your camera's; write env:NAME to take it from a variable\n"
    text = (
        "# Cameras for `refinevad watch --config` and `refinevad serve --config`; every key: docs, Live cameras.\n"
        'model = "fighting"  # ships with the program; or the folder of a run of your own\n\n'
        f"{first}{chr(10).join(tables)}\n"
        '[[sink]]\ntype = "folder"\nname = "found"\npath = "found"\n'
    )
    return Layout(
        (),
        {"cameras.toml": text},
        (
            f"refinevad doctor --rtsp {given[0] if mask(given[0]) == given[0] else 'ADDRESS'}",
            f"refinevad watch --config {folder}/cameras.toml",
            f"refinevad serve --config {folder}/cameras.toml",
        ),
    )


def _features(folder: Path, _categories: Sequence[str], _sources: Sequence[str]) -> Layout:
    program = (
        '"""Features of your own (.npy: segments x channels) -> a folder that trains: python make.py"""\n\n'
        "import csv\nfrom pathlib import Path\n\nimport numpy as np\n\nimport refinevad\n\n"
        "HERE = Path(__file__).parent\n"
        'with (HERE / "videos.csv").open(newline="") as file:\n    rows = list(csv.DictReader(file))\n'
        "videos = [\n"
        "    refinevad.Video(\n"
        '        row["path"],\n'
        '        np.load(HERE / "npy" / f"{row[\'path\']}.npy", allow_pickle=False),\n'
        '        labels=[name for name in row["labels"].split(";") if name != "normal"],\n'
        '        split=row["split"],\n    )\n    for row in rows\n]\n'
        "# what your features are called, and how many seconds a segment of them lasts\n"
        'print(refinevad.write_features(HERE / "features", videos, "mine", segment_s=0.64))\n'
    )
    return Layout(
        ("npy",),
        {"videos.csv": "path,labels,split\n", "make.py": program},
        (
            f"put <path>.npy into {folder}/npy and a row for each into {folder}/videos.csv (labels: normal, or a;b)",
            f"python {folder}/make.py",
            f"refinevad check {folder}/features",
            f"refinevad train {folder}/features --out {folder}/runs/first",
        ),
    )
