"""One step a file: r<number>_<what>.py."""
