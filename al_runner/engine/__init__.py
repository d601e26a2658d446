"""Trains the nets that learners ask for, one by one or many together."""
