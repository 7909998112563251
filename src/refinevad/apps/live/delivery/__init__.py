"""Where events go: through an outbox on disk to each sink, at the sink's pace."""
