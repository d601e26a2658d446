"""How a process uses its machine: whole files, one owner for each folder, signals, Slurm, energy, the terminal."""
