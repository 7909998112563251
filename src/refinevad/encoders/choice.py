"""Encoders by the words people type: `lite`, `lite2`, `clip:<hub id or folder>`, `captions[:folder]`, or A+captions.

One that sees (`lite`, `vectors`, `clip:`, `siglip:`, `dino:`, `video:`), one of words (`captions`, `captioned:`) and
one that hears (`audio:`) may be joined by `+`; their vectors lie one behind the other in that order.

`lite:int8`, `lite:openvino`, `lite:openvino-int8` (and `lite2:...`) are other ways to run the same image network, and
encoders of their own: their vectors differ a little, so features are not mixed.
"""

import hashlib
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from refinevad.encoders import hub
from refinevad.encoders.base import Clip, Encoder, EncoderIdentity, FrameNeeds
from refinevad.encoders.captions import CaptionEncoder, SentenceEncoder
from refinevad.encoders.model_names import with_options
from refinevad.encoders.own import Adapted, OwnEncoder
from refinevad.encoders.words import Words, no_words
from refinevad.errors import InputError
from refinevad.timeline import Timeline
from refinevad.video.zones import Zones

if TYPE_CHECKING:
    from refinevad.encoders.sound import SoundEncoder

DEFAULT_ENCODER = "lite"
LITE_NETWORKS = {"lite": "efficientnet-lite0", "lite2": "efficientnet-lite2"}
VECTORS = "vectors"
LITE_BACKENDS = ("", "int8", "openvino", "openvino-int8")
NETWORK_KINDS = ("clip", "siglip", "dino", "video")  # that see, each by a network of transformers
EXAMPLES = {  # what people use of each
    "clip": "openai/clip-vit-large-patch14",
    "siglip": "google/siglip-so400m-patch14-384",
    "dino": "facebook/dinov2-large",
    "video": "MCG-NJU/videomae-base",
    "audio": "MIT/ast-finetuned-audioset-10-10-0.4593",
    "captioned": "HuggingFaceTB/SmolVLM2-500M-Video-Instruct",
}
FOREIGN = "features:"  # before the name of features that were made elsewhere: no video is turned into them here


@dataclass(frozen=True)
class EncoderChoice:
    """A branch that sees, one of words, one that hears, or some; their vectors are concatenated in that order."""

    spec: str
    vision: Encoder | None
    text: CaptionEncoder | None
    sound: "SoundEncoder | None" = None

    @property
    def branches(self) -> "list[Encoder | CaptionEncoder | SoundEncoder]":
        return [branch for branch in (self.vision, self.text, self.sound) if branch is not None]

    @property
    def beyond_pictures(self) -> str:
        """What it needs that frames and cameras do not have; nothing where pictures are enough."""
        if self.sound is not None:
            return "sound"
        if self.text is not None:
            return "captions"
        return "" if self.vision is not None else "captions"

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

    def words(self, sentences: list[str]) -> Words:
        """Sentences in the space of its vectors. Raises InputError for one that cannot read, or that is joined."""
        if len(self.branches) != 1:
            raise no_words(self.spec)
        return self.branches[0].words(sentences)

    def reading(self, spans: Sequence[tuple[int, int]]) -> "EncoderChoice":
        """This choice for somebody who reads these channels alone (`Encoder.reading`); none: all."""
        return self if self.vision is None else replace(self, vision=self.vision.reading(spans))

    def looking_at(self, zones: Zones) -> "EncoderChoice":
        """This choice where zones and masks say which parts of a picture count.

        Raises:
            InputError: it looks at no picture.
        """
        if not zones:
            return self
        if self.vision is None:
            raise InputError(f"encoder '{self.spec}' looks at no picture: masks and zones would change nothing")
        return replace(self, vision=self.vision.looking_at(zones))

    def encode_clips(self, clips: Sequence[Clip]) -> Float[np.ndarray, "segment channel"]:
        """The vision branch's vectors; no channels without one."""
        if self.vision is None:
            return np.zeros((len(clips), 0), dtype=np.float32)
        return self.vision.encode(clips)

    def encode_captions(self, video: Path, timeline: Timeline) -> Float[np.ndarray, "segment channel"]:
        """The text branch's vectors from the captions beside a video; no channels without one.

        Raises:
            InputError: a text branch is asked for, and no captions lie beside the video or it cannot be described.
        """
        if self.text is None:
            return np.zeros((timeline.segments, 0), dtype=np.float32)
        captions = self.text.captions_of(video)
        late = sum(caption.start_s >= timeline.duration_s for caption in captions)
        if late:
            warnings.warn(
                f"{late} of {len(captions)} captions of {video} begin after its end at {timeline.duration_s:.2f} s and "
                "are left out",
                stacklevel=2,
            )
        return self.text.encode(captions, timeline)

    def encode_sound(self, video: Path, timeline: Timeline) -> Float[np.ndarray, "segment channel"]:
        """The vectors of what is heard; no channels without such a branch. Raises InputError as opening does."""
        if self.sound is None:
            return np.zeros((timeline.segments, 0), dtype=np.float32)
        return self.sound.encode(video, timeline)


def is_lite(spec: str) -> bool:
    """Whether an encoder comes with refinevad alone: one of its own networks, or none, and no captions."""
    kind, _, source = spec.partition(":")
    return spec == VECTORS or (kind in LITE_NETWORKS and source in LITE_BACKENDS)


def is_foreign(spec: str) -> bool:
    """Whether a run's encoder is but the name of features made elsewhere."""
    return spec.startswith(FOREIGN)


def models_of(spec: str) -> list[str]:
    """The models of transformers that an encoder names: hub ids and folders."""
    found = []
    for word in spec.split("+"):
        kind, _, source = word.strip().partition(":")
        if kind in (*NETWORK_KINDS, "audio") and source:
            found.append(with_options(source)[0])
        elif kind == "captioned" and source:
            found.append(source.partition(":")[0])
    return found


def require_at_hand(spec: str, allow_download: bool, whose: str) -> None:
    """Hold an encoder to what is on this machine, before anything opens it; fetch what is not, where a person says so.

    Raises:
        InputError: it is a hub's and not in the hub's cache, and downloads are not allowed or fail.
    """
    for source in models_of(spec):
        if hub.is_at_hand(source):
            continue
        if not allow_download:
            hub.require_here(source, f"{whose}, encoder {spec!r},")
        hub.fetch(source)


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
    if name in (*LITE_NETWORKS, VECTORS, *NETWORK_KINDS, "audio", "captions", "captioned", FOREIGN.rstrip(":")):
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
    sound: SoundEncoder | None = None
    for word in spec.split("+"):
        kind, _, source = word.strip().partition(":")
        if kind in ("captions", "captioned") and text is None:
            text = _open_text(kind, source)
        elif kind == "audio" and sound is None:
            sound = _open_sound(source)
        elif (kind in NETWORK_KINDS or (kind in LITE_NETWORKS and source in LITE_BACKENDS)) and vision is None:
            vision = _open_vision(kind, source)
        elif word.strip() == VECTORS and vision is None:
            vision = _open_motion()
        elif kind in _registered and not source and vision is None:
            vision = _registered[kind]
        else:
            raise InputError(
                f"unknown encoder '{spec}': use lite or lite2 (alone, or with :int8, :openvino or :openvino-int8), "
                "vectors, "
                "clip:, siglip:, dino: or video: before a hub id or folder, captions[:folder], captioned:MODEL, "
                "audio:MODEL, or one that sees, one of words and one that hears joined by +; "
                "in Python, one of your own by refinevad.register_encoder"
            )
    return EncoderChoice(spec, vision, text, sound)


def _open_text(kind: str, source: str) -> CaptionEncoder:
    if kind == "captions":
        return CaptionEncoder(SentenceEncoder(source) if source else SentenceEncoder())
    from refinevad.encoders.captioned import CaptionedEncoder
    from refinevad.encoders.captioner import Captioner

    model, _, sentences = source.partition(":")
    if not model:
        raise InputError("captioned needs a model that sees and speaks: captioned:/path/to/folder, or a hub id")
    embedder = SentenceEncoder(sentences) if sentences else SentenceEncoder()
    return CaptionedEncoder(Captioner(model), embedder)


def _open_sound(source: str) -> "SoundEncoder":
    from refinevad.encoders.sound import SoundEncoder

    if not source:
        raise InputError("audio needs a model of AST or CLAP: audio:/path/to/folder, or a hub id")
    return SoundEncoder(source)


def _open_vision(kind: str, source: str) -> Encoder:
    if kind in NETWORK_KINDS:
        return _open_network(kind, source)
    try:
        from refinevad.encoders.lite import LiteEncoder
    except ImportError as error:
        raise InputError(f"encoder {kind} needs {error.name}; pip install 'refinevad[video]'") from error
    return LiteEncoder(LITE_NETWORKS[kind], backend=source)


def _open_motion() -> Encoder:
    try:
        from refinevad.encoders.vectors import VectorEncoder
    except ImportError as error:
        raise InputError(f"encoder {VECTORS} needs {error.name}; pip install 'refinevad[video]'") from error
    return VectorEncoder()


def _open_network(kind: str, named: str) -> Encoder:
    from refinevad.encoders.clip import ClipEncoder
    from refinevad.encoders.dino import DinoEncoder
    from refinevad.encoders.siglip import SiglipEncoder
    from refinevad.encoders.video_networks import VideoEncoder

    families: dict[str, Callable[..., Encoder]] = {
        "clip": ClipEncoder,
        "siglip": SiglipEncoder,
        "dino": DinoEncoder,
        "video": VideoEncoder,
    }
    if not named:
        raise InputError(f"{kind} needs a model: {kind}:{EXAMPLES[kind]}, or {kind}:/path/to/folder")
    return families[kind](*with_options(named))
