"""How a run chooses what to label next: one family of strategies in each file."""
