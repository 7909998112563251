"""A rendered street with CCTV cameras: the labelled demo videos, drawn by the project itself."""
