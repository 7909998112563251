"""Clips -> features: the store on disk, the one path from pixels to vectors, and the processes that share it."""
