"""Video networks, one vector a segment: `video:<hub id or folder>` of VideoMAE, TimeSformer, X-CLIP or V-JEPA 2.

A segment is one clip to the network: as many of its frames as the network was made for, evenly spaced, some of them
twice where the segment has fewer. V-JEPA 2 takes any multiple of its tubelet (`@frames=16`); the others have
positions for their own number alone. The vector is what the network is read out by: VideoMAE and V-JEPA 2 the mean of
the tokens, TimeSformer the class token, X-CLIP its video embedding, of length 1.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refinevad.encoders import hub
from refinevad.encoders.base import Clip
from refinevad.encoders.networks import PictureEncoder, reduced
from refinevad.encoders.pictures import BILINEAR, HALF, IMAGENET_MEAN, IMAGENET_STD, Preprocessing
from refinevad.errors import InputError
from refinevad.machine.devices import pinned, sent

_OF_VIDEOMAE = Preprocessing(resample=BILINEAR, mean=HALF, std=HALF)
_OF_VJEPA2 = Preprocessing(edge=292, crop=(256, 256), resample=BILINEAR, mean=IMAGENET_MEAN, std=IMAGENET_STD)
NETWORKS = {  # class, and what is done to a frame where the folder says nothing
    "videomae": ("VideoMAEModel", _OF_VIDEOMAE),
    "timesformer": ("TimesformerModel", _OF_VIDEOMAE),
    "xclip": ("XCLIPModel", Preprocessing()),
    "vjepa2": ("VJEPA2Model", _OF_VJEPA2),
}
_BATCH_FRAMES = 64


class VideoEncoder(PictureEncoder):
    """Frozen video network."""

    kind = "video"
    unit = False

    def load(self) -> tuple[Any, Preprocessing]:
        library = hub.transformers("video")
        self.family = hub.require_kind(self.source, "video", NETWORKS)
        if self.options.pool != ("mean",):
            raise InputError(f"a segment is one clip to the network of video:{self.source}: leave pool out")
        name, usual = NETWORKS[self.family]
        network = hub.pretrained(getattr(library, name), self.source, f"the video network {self.family}")
        said = hub.picture_settings(self.source, "video_preprocessor_config.json")
        if self.family == "vjepa2" and isinstance(said.get("crop_size"), dict | int):
            crop = said["crop_size"]["height"] if isinstance(said["crop_size"], dict) else said["crop_size"]
            said = {**said, "size": {"shortest_edge": int(crop * 256 / 224)}}  # as its own processor overrides it
        return network, usual.told(said, "video network")

    def frames(self) -> int:
        config = self.network.config
        if self.family == "vjepa2":
            wanted, tubelet = self.options.frames or int(config.frames_per_clip), int(config.tubelet_size)
            if wanted % tubelet:
                raise InputError(f"video:{self.source} takes frames by {tubelet}: {wanted} is no multiple")
            return wanted
        own = int((config.vision_config if self.family == "xclip" else config).num_frames)
        if self.options.frames not in (None, own):
            raise InputError(f"video:{self.source} was made for {own} frames a segment; leave frames out")
        return own

    def measure(self) -> int:
        config = self.network.config
        return int(config.projection_dim if self.family == "xclip" else config.hidden_size)

    def encode(self, clips: Sequence[Clip]) -> Float[np.ndarray, "segment channel"]:
        """One vector a clip; zeros for one without a frame."""
        vectors = np.zeros((len(clips), self.dim), dtype=np.float32)
        seen = [place for place, clip in enumerate(clips) if len(clip.rgb)]
        crops, wanted = self.preprocessing.crops, self.needs.rgb_frames
        at_once = max(1, _BATCH_FRAMES // (wanted * crops))
        for start in range(0, len(seen), at_once):
            places = seen[start : start + at_once]
            frames = [self.preprocessing(clips[place].rgb[_spread(len(clips[place].rgb), wanted)]) for place in places]
            pixels = np.stack(frames).reshape(len(places), wanted, crops, *frames[0].shape[1:])
            pixels = np.ascontiguousarray(pixels.swapaxes(1, 2)).reshape(-1, wanted, *frames[0].shape[1:])
            vectors[places] = self._clips(pixels).reshape(len(places), crops, self.dim).mean(axis=1)
        return vectors

    @torch.inference_mode()
    def _clips(self, pixels: np.ndarray) -> Float[np.ndarray, "clip channel"]:
        with reduced(self.device):
            found = self.embed(sent(pinned(torch.from_numpy(pixels), self.device), self.device))
        return np.asarray(found.float().cpu().numpy())

    def embed(self, pixels: Tensor) -> Tensor:
        """Vectors (clip, channel) of clips (clip, frame, 3, height, width)."""
        found: Any
        if self.family == "vjepa2":
            found = self.network(pixel_values_videos=pixels, skip_predictor=True).last_hidden_state.mean(dim=1)
        elif self.family == "xclip":
            found = self.network.get_video_features(pixel_values=pixels)
            found = getattr(found, "pooler_output", found)  # older versions gave the tensor itself
            found = torch.nn.functional.normalize(found, dim=1)
        elif self.family == "timesformer":
            found = self.network(pixel_values=pixels).last_hidden_state[:, 0]
        else:
            found = self.network(pixel_values=pixels).last_hidden_state.mean(dim=1)
        return torch.as_tensor(found)


def _spread(there: int, wanted: int) -> list[int]:
    """Which of the frames that are there stand for those that are wanted: evenly spaced, in order."""
    return [int((place + 0.5) * there / wanted) for place in range(wanted)]
