"""Learners: they turn the labelled set into a `Fitted`. One way in each file."""
