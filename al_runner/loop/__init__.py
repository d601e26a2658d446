"""The experiment: choose, label, train from scratch, measure, record."""
