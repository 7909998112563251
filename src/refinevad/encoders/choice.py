"""Encoders by the words people type: `lite`, `lite2`, `clip:<hub id or folder>`, `captions[:folder]`, or A+captions.

`lite:int8`, `lite:openvino`, `lite:openvino-int8` (and `lite2:...`) are other ways to run the same image network, and
encoders of their own: their vectors differ a little, so features are not mixed.
"""

import hashlib
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from refinevad.encoders.base import Clip, Encoder, EncoderIdentity, FrameNeeds
from refinevad.encoders.captions import Caption, CaptionEncoder, SentenceEncoder, read_captions
from refinevad.encoders.own import Adapted, OwnEncoder
from refinevad.errors import InputError
from refinevad.timeline import Timeline

DEFAULT_ENCODER = "lite"
LITE_NETWORKS = {"lite": "efficientnet-lite0", "lite2": "efficientnet-lite2"}
LITE_BACKENDS = ("", "int8", "openvino", "openvino-int8")
CAPTION_SUFFIXES = (".srt", ".vtt", ".jsonl")
FOREIGN = "features:"  # before the name of features that were made elsewhere: no video is turned into them here


@dataclass(frozen=True)
class EncoderChoice:
    """A vision branch, a text branch, or both; their vectors are concatenated in that order."""

    spec: str
    vision: Encoder | None
    text: CaptionEncoder | None

    @property
    def branches(self) -> list[Encoder | CaptionEncoder]:
        return [branch for branch in (self.vision, self.text) if branch is not None]

    @property
    def dim(self) -> int:
        return sum(branch.dim for branch in self.branches)

    @property
    def needs(self) -> FrameNeeds:
        return self.vision.needs if self.vision is not None else FrameNeeds(rgb_frames=0)

    @property
    def parts(self) -> dict[str, tuple[int, int]]:
        """Named channel ranges of the concatenated vector."""
        ranges: dict[str, tuple[int, int]] = {}
        offset = 0
        for branch in self.branches:
            ranges |= {name: (a + offset, b + offset) for name, (a, b) in branch.parts.items()}
            offset += branch.dim
        return ranges

    @property
    def identity(self) -> EncoderIdentity:
        identities = [branch.identity for branch in self.branches]
        if len(identities) == 1:
            return identities[0]
        weights = hashlib.sha256("".join(i.weights_sha256 for i in identities).encode()).hexdigest()
        return EncoderIdentity(
            "+".join(i.name for i in identities), weights, {i.name: dict(i.preprocessing) for i in identities}
        )

    def reading(self, spans: Sequence[tuple[int, int]]) -> "EncoderChoice":
        """This choice for somebody who reads these channels alone (`Encoder.reading`); none: all."""
        return self if self.vision is None else replace(self, vision=self.vision.reading(spans))

    def encode_clips(self, clips: Sequence[Clip]) -> Float[np.ndarray, "segment channel"]:
        """The vision branch's vectors; no channels without one."""
        if self.vision is None:
            return np.zeros((len(clips), 0), dtype=np.float32)
        return self.vision.encode(clips)

    def encode_captions(self, video: Path, timeline: Timeline) -> Float[np.ndarray, "segment channel"]:
        """The text branch's vectors from the captions beside a video; no channels without one.

        Raises:
            InputError: a text branch is asked for and no caption file lies beside the video.
        """
        if self.text is None:
            return np.zeros((timeline.segments, 0), dtype=np.float32)
        captions = captions_beside(video)
        late = sum(caption.start_s >= timeline.duration_s for caption in captions)
        if late:
            warnings.warn(
                f"{late} of {len(captions)} captions of {video} begin after its end at {timeline.duration_s:.2f} s and "
                "are left out",
                stacklevel=2,
            )
        return self.text.encode(captions, timeline)


def captions_beside(video: Path) -> Sequence[Caption]:
    """Captions in `<stem>.srt`, `.vtt` or `.jsonl` next to a video.

    Raises:
        InputError: there is no such file, or one that names other videos alone.
    """
    for suffix in CAPTION_SUFFIXES:
        path = video.with_suffix(suffix)
        if path.exists():
            table = read_captions(path)
            for name in (video.name, video.stem):
                if name in table:
                    return table[name]
            if table:
                raise InputError(f"{path} names {next(iter(table))!r}, not {video.stem!r}; correct its video's name")
            return []
    names = ", ".join(video.stem + suffix for suffix in CAPTION_SUFFIXES)
    raise InputError(f"no captions beside {video}: put {names} there, or choose an encoder without captions")


def is_lite(spec: str) -> bool:
    """Whether an encoder comes with refinevad alone: one of its own networks, and no captions."""
    kind, _, source = spec.partition(":")
    return kind in LITE_NETWORKS and source in LITE_BACKENDS


def is_foreign(spec: str) -> bool:
    """Whether a run's encoder is but the name of features made elsewhere."""
    return spec.startswith(FOREIGN)


def require_at_hand(spec: str, allow_download: bool, whose: str) -> None:
    """Hold the encoder that a RUN names to what is on this machine, before anything opens it.

    A run comes from anyone. What a person types may be fetched from a model hub; what a file says may be only where the
    person says so too.

    Raises:
        InputError: it is a hub's, and downloads are not allowed.
    """
    for word in spec.split("+"):
        kind, _, source = word.strip().partition(":")
        if kind == "clip" and source and not allow_download and not Path(source).is_dir():
            raise InputError(
                f"{whose} needs the encoder {word.strip()!r}, which is no folder here and would be fetched from a "
                "model hub; allow that with --allow-download"
            )


_registered: dict[str, Adapted] = {}


def register_encoder(name: str, encoder: OwnEncoder) -> None:
    """Make an encoder of your own known by a name, in this process: wherever an encoder is named, this name will do.

    A run that was trained with it names it, too; register it again before the run is opened in another process. A name
    registered twice is the later one's.

    Args:
        name: small letters, digits, - and _; none of refinevad's own words.
        encoder: the object with its three members.

    Raises:
        InputError: a name that cannot be one, or an object that lacks a member.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_-]{0,63}", name):
        raise InputError(f"an encoder's name is of small letters, digits, - and _, a letter first: got {name!r}")
    if name in (*LITE_NETWORKS, "clip", "captions", FOREIGN.rstrip(":")):
        raise InputError(f"'{name}' is refinevad's own encoder; choose another name")
    _registered[name] = Adapted(name, encoder)


def registered(spec: str) -> Adapted | None:
    """The own encoder that a word or a joined one names, if it names one."""
    return next((_registered[word.strip()] for word in spec.split("+") if word.strip() in _registered), None)


def open_encoder(spec: str) -> EncoderChoice:
    """Open the encoder a person named.

    Raises:
        InputError: an unknown word, or a part that is not installed.
    """
    if is_foreign(spec):
        raise InputError(
            f"'{spec.removeprefix(FOREIGN)}' are features that were made elsewhere: no video can be turned into them "
            "here; give a folder of them"
        )
    vision: Encoder | None = None
    text: CaptionEncoder | None = None
    for word in spec.split("+"):
        kind, _, source = word.strip().partition(":")
        if kind == "captions" and text is None:
            text = CaptionEncoder(SentenceEncoder(source) if source else SentenceEncoder())
        elif (kind == "clip" or (kind in LITE_NETWORKS and source in LITE_BACKENDS)) and vision is None:
            vision = _open_vision(kind, source)
        elif kind in _registered and not source and vision is None:
            vision = _registered[kind]
        else:
            raise InputError(
                f"unknown encoder '{spec}': use lite or lite2 (alone, or with :int8, :openvino or :openvino-int8), "
                "clip:<hub id or folder>, captions[:folder], or a vision one joined to captions by +; "
                "in Python, one of your own by refinevad.register_encoder"
            )
    return EncoderChoice(spec, vision, text)


def _open_vision(kind: str, source: str) -> Encoder:
    if kind == "clip":
        from refinevad.encoders.clip import ClipEncoder

        if not source:
            raise InputError("clip needs a model: clip:openai/clip-vit-large-patch14, or clip:/path/to/folder")
        return ClipEncoder(source)
    try:
        from refinevad.encoders.lite import LiteEncoder
    except ImportError as error:
        raise InputError(f"encoder {kind} needs {error.name}; pip install 'refinevad[video]'") from error
    return LiteEncoder(LITE_NETWORKS[kind], backend=source)
