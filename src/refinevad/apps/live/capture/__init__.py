"""One camera's process: an address -> packets -> frames -> segments, small pictures and clips."""
