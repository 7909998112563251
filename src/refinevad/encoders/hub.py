"""Where a network of the transformers library comes from: a folder, or a model hub's cache on this machine.

Nothing here goes online but `fetch`, which a person has to ask for. What is loaded is weights and settings: code that
lies beside them is not run, and a weight that the network has and the folder lacks is an error, not a random number.
"""

import importlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from refinevad.errors import InputError
from refinevad.files.json_files import read_json

_SETTINGS = ["*.json", "*.txt", "*.model", "*.jinja"]  # and never what would be run
_WEIGHTS = (["*.safetensors"], ["*.bin"])  # the second where there are none of the first


def is_at_hand(source: str) -> bool:
    """Whether a folder of this name is here, or a hub's model of this name lies in the hub's cache."""
    return Path(source).is_dir() or _cached(source, "config.json") is not None


def require_here(source: str, what: str) -> None:
    """Raises InputError where a model is neither a folder nor in the hub's cache; says how to get it here."""
    if is_at_hand(source):
        return
    if _is_path(source):
        raise InputError(f"{what} needs a model's folder, and there is none at {source}; check the path")
    raise InputError(
        f"{what} needs {source}, which is no folder here and not in the model hub's cache; allow fetching it with "
        f"--allow-download, or where there is a net run `hf download {source} --local-dir model`, copy that folder "
        "here and name it instead"
    )


def fetch(source: str) -> None:
    """Bring a hub's model into the hub's cache. Raises InputError where that fails."""
    try:
        hub: Any = importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise InputError("fetching a model needs huggingface_hub; pip install 'refinevad[words]'") from error
    try:
        for weights in _WEIGHTS:
            folder = hub.snapshot_download(source, allow_patterns=[*_SETTINGS, *weights])
            if any(Path(folder).glob(weights[0])):
                return
    except (OSError, ValueError, hub.errors.HfHubHTTPError) as error:
        raise InputError(f"cannot fetch {source} from the model hub: {_first_line(error)}") from error
    raise InputError(f"the model hub has no weights of {source}; name another model")


def pretrained(kind: Any, source: str, what: str, **options: Any) -> Any:
    """A network with the weights at `source`, ready to be asked; `kind` is its class.

    Raises:
        InputError: there is none, or one of another kind, or some of its weights are missing.
    """
    require_here(source, what)
    try:
        with quiet():
            network, found = kind.from_pretrained(
                source, **{"trust_remote_code": False, **options}, local_files_only=True, output_loading_info=True
            )
    except RuntimeError as error:  # told in a table of its own, over many lines
        raise InputError(
            f"cannot load {what} from {source}: its weights and its config.json do not go together, or it is a model "
            "of another kind"
        ) from error
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise InputError(f"cannot load {what} from {source}: {_first_line(error)}") from error
    if missing := sorted(found["missing_keys"]):
        raise InputError(
            f"cannot load {what} from {source}: {len(missing)} of its weights are missing there, the first "
            f"{missing[0]}; it is a model of another kind"
        )
    return network.eval()


def companion(kind: Any, source: str, what: str, **options: Any) -> Any:
    """What goes with a network: its tokenizer, its processor. Raises InputError where there is none."""
    require_here(source, what)
    try:
        with quiet():
            return kind.from_pretrained(source, **{"trust_remote_code": False, **options}, local_files_only=True)
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, TypeError) as error:
        raise InputError(f"cannot load {what} from {source}: {_first_line(error)}") from error


def settings(source: str, *names: str) -> dict[str, Any]:
    """The first JSON file of these names that a model has; empty without one. Raises InputError for a damaged one."""
    for name in names:
        path = Path(source, name) if Path(source).is_dir() else _cached(source, name)
        if path is not None and path.exists():
            return read_json(path)
    return {}


def require_kind(source: str, what: str, known: Collection[str]) -> str:
    """The kind of network that a model's folder says it holds. Raises InputError for one that is not known here."""
    require_here(source, what)
    found = settings(source, "config.json").get("model_type")
    if found not in known:
        raise InputError(
            f"{what} takes a model of kind {', '.join(known)}; {source} holds {found or 'none that it names'}"
        )
    return str(found)


def picture_settings(source: str, *names: str) -> dict[str, Any]:
    """How a model's folder says pictures are prepared: in a file of its own, or inside its processor's."""
    own = settings(source, *names, "preprocessor_config.json")
    inside = own or settings(source, "processor_config.json").get("image_processor", {})
    return inside if isinstance(inside, dict) else {}


def pillow_image() -> Any:
    """Pillow's module of pictures."""
    return importlib.import_module("PIL.Image")


def transformers(what: str, extra: str = "words") -> Any:
    """The library. Raises InputError where it, or Pillow, is not installed."""
    try:
        importlib.import_module("PIL.Image")
        return importlib.import_module("transformers")
    except ImportError as error:
        raise InputError(f"the encoder {what} needs {error.name}; pip install 'refinevad[{extra}]'") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without the library's bars and remarks on loading, which say nothing that is not checked here."""
    logging: Any = importlib.import_module("transformers.utils.logging")
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


def _cached(source: str, name: str) -> Path | None:
    if _is_path(source):
        return None
    try:
        hub: Any = importlib.import_module("huggingface_hub")
        found = hub.try_to_load_from_cache(source, name)
    except (ImportError, ValueError):  # the second: no name that a hub's model can have
        return None
    return Path(found) if isinstance(found, str) else None


def _is_path(source: str) -> bool:
    return source.startswith((".", "/", "~")) or source.count("/") > 1 or not source


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
