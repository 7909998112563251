"""Heads by the names people type; each is loaded when it is asked for."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from refinevad.errors import InputError
from refinevad.peers.base import Head, HeadConfig
from refinevad.ridge import LINEAR

Classes = tuple[type[HeadConfig], type[Head[Any]]]
HEADS: Mapping[str, tuple[str, str, str]] = {  # module, configuration and head of each published one
    "sultani": ("sultani", "SultaniConfig", "Sultani"),
    "rtfm": ("rtfm", "RTFMConfig", "RTFM"),
    "ur_dmu": ("ur_dmu", "URDMUConfig", "URDMU"),
    "bn_wvad": ("bn_wvad", "BNWVADConfig", "BNWVAD"),
    "vadclip": ("vadclip", "VadCLIPConfig", "VadCLIP"),
    "transformer_mil": ("transformer_mil", "TransformerMILConfig", "TransformerMIL"),
}
_OURS = {**HEADS, LINEAR: ("linear", "LinearConfig", "Linear")}
REGISTERED: dict[str, Classes] = {}


def register_head(name: str, config: type[HeadConfig], head: type[Head[Any]]) -> None:
    """Make a head of your own known by a name, in this process: wherever a head is named, this name will do.

    A run that was trained with it names it, too; register it again before the run is opened in another process. A name
    registered twice is the later one's.

    Args:
        name: none of refinevad's own heads.
        config: its options with their defaults, a frozen dataclass.
        head: the module; it is built with an object of `config`.

    Raises:
        InputError: a name that is taken, or classes that are not a HeadConfig and a Head.
    """
    if not name or name in _OURS:
        raise InputError(f"'{name}' is one of refinevad's own heads, or no name; choose another")
    for given, base in ((config, HeadConfig), (head, Head)):
        if not (isinstance(given, type) and issubclass(given, base)):
            raise InputError(f"head '{name}' needs a subclass of refinevad.{base.__name__}: got {given!r}")
    REGISTERED[name] = (config, head)


def head_classes(name: str) -> Classes:
    """Configuration and module of a head. Raises InputError for a name that is none."""
    if name in REGISTERED:
        return REGISTERED[name]
    if name not in _OURS:
        raise InputError(f"unknown head '{name}'; known: {', '.join([*_OURS, *REGISTERED])}")
    module, config, head = _OURS[name]
    home = import_module(f"{__package__}.{module}")
    return getattr(home, config), getattr(home, head)


def open_head(name: str, channels: int, categories: tuple[str, ...], **options: object) -> Head[Any]:
    """A fresh head with its paper's defaults, and `options` of its config instead where given.

    Raises:
        InputError: a name that is no head, or an option that the head does not have.
    """
    config, head = head_classes(name)
    return head(config.from_dict({"channels": channels, "categories": categories, **options}))
