"""What `refinevad check` says of a data set before anything is trained on it."""
