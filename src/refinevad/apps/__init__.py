"""What people run: the command line, reports, the demonstration."""
