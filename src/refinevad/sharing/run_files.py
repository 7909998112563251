"""Which files a shared run is made of. Anything else is refused on the way out and on the way in."""

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from refinevad.checkpoint import CALIBRATION, CONFIG, METRICS, MOST_RIDGE_BYTES, RIDGE_FILE, WEIGHTS
from refinevad.errors import InputError
from refinevad.files.json_files import MOST_BYTES, check_regular
from refinevad.files.names import some
from refinevad.files.shown import short
from refinevad.run_folder import MOST_CALIBRATION_BYTES, MOST_CONFIG_BYTES, MOST_WEIGHT_BYTES
from refinevad.shipped.names import CARD

README, ORIGIN = "README.md", "origin.json"
NEEDED = (CONFIG, CALIBRATION, WEIGHTS)
MOST: Mapping[str, int] = {
    CONFIG: MOST_CONFIG_BYTES,
    CALIBRATION: MOST_CALIBRATION_BYTES,
    METRICS: MOST_BYTES,
    CARD: MOST_BYTES,
    README: 1 << 20,
    RIDGE_FILE: MOST_RIDGE_BYTES,
    WEIGHTS: MOST_WEIGHT_BYTES,
}  # every file of a shared run, the weights last, and the most bytes it may have
OF_HUBS = (".gitattributes", "LICENSE")  # that a hub adds; not taken along
# what training leaves in a run: it stays here
_OF_TRAINING = ("features", "tensorboard", "history.jsonl", "state.safetensors", ORIGIN)
_PICKLES = (".pkl", ".pickle", ".pt", ".pth", ".bin", ".ckpt", ".joblib", ".npy", ".npz", ".h5", ".msgpack", ".dill")


def files_to_push(run: Path) -> tuple[list[Path], list[str]]:
    """The files of a RUN folder that are shared, the weights last, and the names of what stays here.

    Raises:
        InputError: it holds a file that is no part of a run, or one of another kind or size than it may have.
    """
    there = sorted(path.name for path in run.iterdir())
    stay = [name for name in there if name in _OF_TRAINING]
    check_names((name for name in there if name not in _OF_TRAINING), f"the run {run}")
    found = [run / name for name in MOST if name in there]
    for path in found:
        check_regular(path, MOST[path.name])
    return found, stay


def check_names(names: Iterable[str], where: str) -> None:
    """Raises InputError where a file is no part of a run; a pickle is named as such."""
    names = list(names)
    unknown = sorted(name for name in names if name not in MOST)
    pickles = [name for name in unknown if PurePosixPath(name).suffix.lower() in _PICKLES]
    if pickles:
        raise InputError(
            f"{where} holds {short(pickles[0])}, which can run code when it is opened; only safetensors and JSON pass"
        )
    if unknown:
        raise InputError(
            f"{where} holds {some([short(name) for name in unknown])}, no part of a run; a shared run is "
            f"{', '.join(MOST)} and nothing else"
        )


def check_complete(sizes: Mapping[str, int | None], where: str) -> None:
    """Hold what somebody shares to the files of a run, by name and size, before any of it is fetched.

    Raises:
        InputError: a file is missing, unknown, or larger than it may be.
    """
    check_names(sizes, where)
    if absent := [name for name in NEEDED if name not in sizes]:
        raise InputError(f"{where} is no finished run ({absent[0]} is missing)")
    for name, size in sizes.items():
        if size is not None and size > MOST[name]:
            raise InputError(f"{where}: {name} holds {size:,} bytes; at most {MOST[name]:,} are expected there")
