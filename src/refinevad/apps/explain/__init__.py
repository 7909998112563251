"""What a trained run does inside, as one page of figures."""
