"""A video's sound, one vector a segment: `audio:<hub id or folder>` of AST or CLAP.

Gong et al., Interspeech 2021; Wu et al., ICASSP 2023. What an explosion, a scream or breaking glass needs. A
segment's vector is that of the two seconds around its middle, or of the segment itself where that is longer. A video
without a sound track has the vectors of silence. The spectrogram is transformers' own.
"""

import importlib
from collections.abc import Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32

from refinevad.encoders import hub
from refinevad.encoders.base import EncoderIdentity
from refinevad.encoders.networks import reduced
from refinevad.encoders.text_side import TextSide
from refinevad.encoders.weights import state_sha256
from refinevad.encoders.words import Words, no_words
from refinevad.machine.devices import open_device
from refinevad.timeline import Timeline
from refinevad.video.sound import sound_between

WINDOW_S = 2.0
_LONGEST_S = 10.0  # what the networks take; of a longer segment the middle
_BATCH = 16
NETWORKS = {
    "audio-spectrogram-transformer": ("ASTModel", "ASTFeatureExtractor"),
    "clap": ("ClapAudioModelWithProjection", "ClapFeatureExtractor"),
}


class SoundEncoder:
    """Frozen audio network on a file's sound track.

    Args:
        source: hub id or local folder.
        device: where the network runs; None: CUDA where there is one.

    Raises:
        InputError: transformers is missing, or there is no such network at `source`.
    """

    def __init__(self, source: str, device: str | None = None) -> None:
        library = hub.transformers("audio")
        self.source, self.name, self.device = source, f"audio:{source}", open_device(device)
        self.family = hub.require_kind(source, "audio", NETWORKS)
        network, extractor = NETWORKS[self.family]
        self.network = hub.pretrained(getattr(library, network), source, "an audio network").to(self.device)
        self.extractor = hub.companion(getattr(library, extractor), source, "an audio network's spectrogram")
        self.rate_hz = int(self.extractor.sampling_rate)
        config = self.network.config
        self.dim = int(config.projection_dim if self.family == "clap" else config.hidden_size)
        self.parts = {"audio": (0, self.dim)}
        self._silence: dict[int, Float32[np.ndarray, channel]] = {}

    @cached_property
    def identity(self) -> EncoderIdentity:
        told = {
            "network": self.family,
            "window_s": WINDOW_S,
            "rate_hz": self.rate_hz,
            "spectrogram": {
                k: v for k, v in self.extractor.to_dict().items() if isinstance(v, int | float | str | bool)
            },
            "by": "torchaudio" if self._by_torchaudio else "numpy",
        }
        return EncoderIdentity("audio", state_sha256(self.network), told)

    @property
    def _by_torchaudio(self) -> bool:
        """Where it is installed transformers makes AST's spectrogram by it, which differs a little."""
        utils: Any = importlib.import_module("transformers.utils")
        return self.family != "clap" and bool(utils.is_speech_available())

    @cached_property
    def _text(self) -> TextSide:
        return TextSide("ClapModel", self.source, self.name, "logit_scale_a")

    def words(self, sentences: list[str]) -> Words:
        """Sentences beside its sounds. Raises InputError for AST, which was not trained with words."""
        if self.family != "clap":
            raise no_words(self.name)
        return self._text.read(sentences)

    def encode(self, video: Path, timeline: Timeline) -> Float[np.ndarray, "segment channel"]:
        """One vector a segment. Raises InputError where the video cannot be opened."""
        vectors = np.zeros((timeline.segments, self.dim), dtype=np.float32)
        sound = sound_between(video, self._spans(timeline), self.rate_hz)
        place = 0
        while batch := list(islice(sound, _BATCH)):
            vectors[place : place + len(batch)] = self._embedded(batch)
            place += len(batch)
        return vectors

    def _spans(self, timeline: Timeline) -> list[tuple[float, float]]:
        spans = []
        for start_s, end_s in zip(timeline.time_bounds[:-1], timeline.ends_s, strict=True):
            length_s = min(max(WINDOW_S, float(end_s - start_s)), _LONGEST_S)
            middle_s = float(start_s + end_s) / 2
            spans.append((middle_s - length_s / 2, middle_s + length_s / 2))
        starts = np.maximum.accumulate([start for start, _ in spans])  # behind a hole a short one may begin earlier
        return [(float(start), end) for start, (_, end) in zip(starts, spans, strict=True)]

    def _embedded(self, sounds: Sequence[Float32[np.ndarray, "_"]]) -> Float32[np.ndarray, "sound channel"]:
        """Vectors of sounds; silence is looked at once."""
        vectors = np.zeros((len(sounds), self.dim), dtype=np.float32)
        heard = [place for place, sound in enumerate(sounds) if sound.any()]
        if heard:
            vectors[heard] = self._by_network([sounds[place] for place in heard])
        for place, sound in enumerate(sounds):
            if place not in heard:
                if len(sound) not in self._silence:
                    self._silence[len(sound)] = self._by_network([sound])[0]
                vectors[place] = self._silence[len(sound)]
        return vectors

    @torch.inference_mode()
    def _by_network(self, sounds: Sequence[Float32[np.ndarray, "_"]]) -> Float32[np.ndarray, "sound channel"]:
        made = self.extractor(list(sounds), sampling_rate=self.rate_hz, return_tensors="pt")
        with reduced(self.device):
            if self.family == "clap":
                # the extractor marks one sound of a batch, by chance, as cut from a longer one: none is
                longer = torch.zeros(len(sounds), 1, dtype=torch.bool, device=self.device)
                heard = made["input_features"].float().to(self.device)
                found = self.network(input_features=heard, is_longer=longer).audio_embeds
                found = torch.nn.functional.normalize(found.float(), dim=1)
            else:
                found = self.network(input_values=made["input_values"].float().to(self.device)).pooler_output
        return np.asarray(found.float().cpu().numpy())
