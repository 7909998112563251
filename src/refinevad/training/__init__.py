"""Videos with their labels -> a RUN: bags, losses, the loop, recipes. Never when anything happens."""
