"""The first minutes: folders and files laid out for what one has, and what this machine can do."""
