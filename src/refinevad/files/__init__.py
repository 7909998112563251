"""What others wrote and what is written here: files whole or absent, read within bounds, each name and number
in them checked before it is used."""
