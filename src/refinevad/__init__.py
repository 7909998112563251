"""refinevad: finds the moment something went wrong in hours of video, trained on video-level labels alone."""

import os

# from 1.32 on onnxruntime tells its maker of its use; a program that sees cameras tells nobody anything
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"
