"""What was found in one video, and how it is written down and shown: JSON and CSV, a curve, a notebook's cell."""
