"""The Python reference for mkdocstrings: the package's public names, and the modules that others build on."""

import json
from collections.abc import Iterator, Sequence
from importlib import import_module
from types import ModuleType

MODULES = {  # what a module is for, in the data's order
    "refinevad.detector": "A video to events, offline",
    "refinevad.streaming": "The same chain, frame by frame",
    "refinevad.encoders.base": "The contract of an encoder",
    "refinevad.features.store": "Features of one video, and their store",
    "refinevad.timeline": "Frames, segments and seconds",
    "refinevad.checkpoint": "A RUN folder and its model",
    "refinevad.model": "MoTAR, CORE and the head",
    "refinevad.model_config": "Every option of the architecture",
    "refinevad.model_output": "What a pass yields",
    "refinevad.scoring.windows": "The window rule",
    "refinevad.scoring.scores": "Features to segment scores",
    "refinevad.scoring.events": "Scores to events, and the threshold",
    "refinevad.scoring.tracking": "Events as they come",
    "refinevad.peers.base": "The contract of a head",
    "refinevad.apps.live.envelope": "What is told of an event",
    "refinevad.apps.live.delivery.sinks.base": "The contract of a sink",
    "refinevad.judging.predictions": "Predictions of anyone",
    "refinevad.judging.metrics": "The field's figures",
    "refinevad.errors": "What is raised",
}
INTRODUCTION = """# Python

Written from the docstrings. Shapes are jaxtyping's axis words: `Float[np.ndarray, "segment channel"]` is one row a
segment and one column a channel. Times are seconds from a video's first picture, scores lie in [0, 1]. `InputError`
says in one sentence that the input or an option is at fault.
"""


def python_reference(package: ModuleType) -> str:
    """A page of directives: the package's own public names first, where it has any, then what else the modules hold."""
    names = [name for name in getattr(package, "__all__", ()) if not name.startswith("__")]
    return "\n".join([INTRODUCTION, *_public(package, names), *_modules(names)])


def _public(package: ModuleType, names: Sequence[str]) -> Iterator[str]:
    if names:
        yield f"## {package.__name__}\n"
    for name in names:
        found = getattr(package, name)
        home = getattr(found, "__module__", package.__name__)
        yield f"::: {home}.{getattr(found, '__qualname__', name)}\n"


def _modules(shown: Sequence[str]) -> Iterator[str]:
    """Each module's names but those that are private or `shown` already."""
    left_out = ["!^_", *(f"!^{name}$" for name in shown)]
    for name, words in MODULES.items():
        import_module(name)  # a module that went away is said here, by its name
        options = ["show_root_heading: false", "show_root_toc_entry: false", f"filters: {json.dumps(left_out)}"]
        lines = "\n".join(f"      {option}" for option in options)
        yield f"## {name} {{ #{name.replace('.', '-')}-module }}\n\n*{words}.*\n"
        yield f"::: {name}\n    options:\n{lines}\n"
