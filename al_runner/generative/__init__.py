"""Nets that make images, their losses, and how they are trained together with a classifier."""
