"""al-runner from Python: runs, their folders and nets, and one choice with a net of your own."""
