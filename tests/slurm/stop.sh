#!/usr/bin/env bash
# Ends the daemons that start.sh DIR started, by their pid files.
dir=$1
SLURM_CONF=$dir/slurm.conf timeout 10 scancel --user=root
for name in slurmd slurmctld slurmdbd mariadbd munge; do
  pid=$(cat "$dir/$name.pid" 2>/dev/null) || continue
  kill "$pid"
  for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || continue 2; sleep 0.2; done
  kill -KILL "$pid"
done
true
