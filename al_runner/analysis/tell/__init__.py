"""What the numbers come to, in sentences and in printed tables."""
