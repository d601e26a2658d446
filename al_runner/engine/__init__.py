"""Carries out the fits that learners ask for."""
