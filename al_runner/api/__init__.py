"""al-runner from Python: runs, their folders and nets, and single choices with your own net."""
