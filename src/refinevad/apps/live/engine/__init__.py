"""All cameras: their processes, and the one thread that encodes, scores and tells."""
