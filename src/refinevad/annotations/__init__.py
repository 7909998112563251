"""Annotations of other tools, in and out: a module a format, one door to read them, one to write them."""
