"""`make mutants`: whether the tests of the core notice when a line of it is changed.

cosmic-ray makes the mutants; each is tried in a process of its own, forked from one that has the heavy libraries in it.
"""
