"""What a process does with its machine: whole files, one owner a folder, signals, Slurm, energy, the terminal."""
