"""Runs that leave the house and come back: through a model hub, a folder, or any storage that fsspec knows."""
