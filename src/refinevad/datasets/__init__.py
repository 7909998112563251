"""Which videos there are, their labels and splits, and where their features lie. Never when anything happens."""
