"""`refinevad bench WHAT`: a module a table, each with HELP, configure(parser) and run(args)."""
