"""Many runs, one table: ablations, searches, choices, published heads, what carries over."""
