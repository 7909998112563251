"""refinevad: finds the moment something went wrong in hours of video, trained on video-level labels alone."""

__version__ = "0.1.0"
