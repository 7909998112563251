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
KNOWN: Mapping[str, tuple[type[HeadConfig], type[Head[Any]]]] = {**HEADS, LINEAR: (LinearConfig, Linear)}


def open_head(name: str, channels: int, categories: tuple[str, ...], **options: object) -> Head[Any]:
    """A fresh head with its paper's defaults, and `options` of its config instead where given.

    Raises:
        InputError: a name that is no head, or an option that the head does not have.
    """
    if name not in KNOWN:
        raise InputError(f"unknown head '{name}'; known: {', '.join(KNOWN)}")
    config, head = KNOWN[name]
    return head(config.from_dict({"channels": channels, "categories": categories, **options}))
