"""Frozen encoders: what a segment looks like, how it moves and what is said of it, as one vector a segment."""
