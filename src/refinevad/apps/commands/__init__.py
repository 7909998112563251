"""One file a command: `configure(parser)` and `run(args)`; heavy imports stay inside `run`."""
