"""Features -> segment scores -> events: the window rule, what streams hand on, an event as programs read it."""
