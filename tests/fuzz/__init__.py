"""Inputs spoilt on purpose, by what they are made of, for every reader and every route; `make fuzz`.

mutators.py spoils, kinds.py says what is spoilt and who reads it, worker.py reads in a process that may hang or die,
run.py keeps what was found.
"""
