"""What a person sees of a detection and of an evaluation."""
