"""Heads by the names people type."""

from collections.abc import Mapping
from typing import Any

from refinevad.errors import InputError
from refinevad.peers.base import Head, HeadConfig
from refinevad.peers.bn_wvad import BNWVAD, BNWVADConfig
from refinevad.peers.linear import Linear, LinearConfig
from refinevad.peers.rtfm import RTFM, RTFMConfig
from refinevad.peers.sultani import Sultani, SultaniConfig
from refinevad.peers.transformer_mil import TransformerMIL, TransformerMILConfig
from refinevad.peers.ur_dmu import URDMU, URDMUConfig
from refinevad.peers.vadclip import VadCLIP, VadCLIPConfig

HEADS: Mapping[str, tuple[type[HeadConfig], type[Head[Any]]]] = {
    "sultani": (SultaniConfig, Sultani),
    "rtfm": (RTFMConfig, RTFM),
    "ur_dmu": (URDMUConfig, URDMU),
    "bn_wvad": (BNWVADConfig, BNWVAD),
    "vadclip": (VadCLIPConfig, VadCLIP),
    "transformer_mil": (TransformerMILConfig, TransformerMIL),
}

LINEAR = "linear"  # no published head: the ridge control, which is fitted and not trained
KNOWN: dict[str, tuple[type[HeadConfig], type[Head[Any]]]] = {**HEADS, LINEAR: (LinearConfig, Linear)}
_OURS = frozenset(KNOWN)


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
    KNOWN[name] = (config, head)


def open_head(name: str, channels: int, categories: tuple[str, ...], **options: object) -> Head[Any]:
    """A fresh head with its paper's defaults, and `options` of its config instead where given.

    Raises:
        InputError: a name that is no head, or an option that the head does not have.
    """
    if name not in KNOWN:
        raise InputError(f"unknown head '{name}'; known: {', '.join(KNOWN)}")
    config, head = KNOWN[name]
    return head(config.from_dict({"channels": channels, "categories": categories, **options}))
