"""One module a subject of the API, each with a `router`."""
