"""Trained models that come with the program: a RUN folder each, and a card.json that says how far to trust it."""
