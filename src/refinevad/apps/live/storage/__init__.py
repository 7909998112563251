"""What is kept: cameras, scores, events and reviews in a database, and the folder of clips."""
