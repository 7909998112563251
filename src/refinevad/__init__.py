"""refinevad: finds the moment something went wrong in hours of video, trained on video-level labels alone.

What is named here is the public API (docs/python.md). Each name is imported when it is first used: `import refinevad`
itself loads neither torch nor numpy.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refinevad.datasets.own_features import Video, write_features
    from refinevad.detection.found import Detection
    from refinevad.detector import Detector
    from refinevad.encoders.base import Clip, FrameNeeds
    from refinevad.encoders.choice import register_encoder
    from refinevad.encoders.own import OwnEncoder
    from refinevad.errors import InputError, RefineVADError
    from refinevad.evaluating import evaluate
    from refinevad.judging.figures import Figure, Figures
    from refinevad.peers.base import Head, HeadConfig, HeadOutput
    from refinevad.peers.choice import register_head
    from refinevad.scoring.events import Event
    from refinevad.scoring.segment_scores import SegmentScores
    from refinevad.scoring.tracking import EventUpdate
    from refinevad.streaming import StreamingDetector, StreamOutput
    from refinevad.training.runs import Progress, Run, train

# from 1.32 on onnxruntime tells its maker of its use; a program that sees cameras tells nobody anything
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
__all__ = [
    "Clip",
    "Detection",
    "Detector",
    "Event",
    "EventUpdate",
    "Figure",
    "Figures",
    "FrameNeeds",
    "Head",
    "HeadConfig",
    "HeadOutput",
    "InputError",
    "OwnEncoder",
    "Progress",
    "RefineVADError",
    "Run",
    "SegmentScores",
    "StreamOutput",
    "StreamingDetector",
    "Video",
    "__version__",
    "evaluate",
    "register_encoder",
    "register_head",
    "train",
    "write_features",
]
_HOMES = {  # the module that a name is imported from when it is first asked for
    "Clip": "encoders.base",
    "Detection": "detection.found",
    "Detector": "detector",
    "Event": "scoring.events",
    "EventUpdate": "scoring.tracking",
    "Figure": "judging.figures",
    "Figures": "judging.figures",
    "FrameNeeds": "encoders.base",
    "Head": "peers.base",
    "HeadConfig": "peers.base",
    "HeadOutput": "peers.base",
    "InputError": "errors",
    "OwnEncoder": "encoders.own",
    "Progress": "training.runs",
    "RefineVADError": "errors",
    "Run": "training.runs",
    "SegmentScores": "scoring.segment_scores",
    "StreamOutput": "streaming",
    "StreamingDetector": "streaming",
    "Video": "datasets.own_features",
    "evaluate": "evaluating",
    "register_encoder": "encoders.choice",
    "register_head": "peers.choice",
    "train": "training.runs",
    "write_features": "datasets.own_features",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'refinevad' has no attribute {name!r}")
    value = getattr(import_module(f"refinevad.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
