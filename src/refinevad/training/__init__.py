"""Training and honest evaluation: the only package that needs labels, and the only one that may read truth."""
