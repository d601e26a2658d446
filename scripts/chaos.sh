#!/usr/bin/env bash
# The fault suite at length: every fault as often as docs/reliability.md says, then "tried, survived" for each.
# Usage: scripts/chaos.sh [python]; about two hours on two cores. As root it also fills and mounts file systems,
# with Slurm's packages (.ci/slurm installs them) it includes the cluster, with al-runner[ray] Ray.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${1:-python}
report=$(mktemp -d)
AL_CHAOS=1 "$python" -m pytest -q -m "slurm or ray or not slurm" --junitxml="$report/faults.xml" -o junit_family=xunit1 \
  tests/test_faults.py tests/record/test_corruption.py tests/system/test_claim.py tests/system/test_start.py tests/test_safety.py \
  tests/test_fuzzed_commands.py tests/analysis/test_fuzzed_options.py tests/analysis/test_hostile_folders.py \
  tests/test_determinism.py tests/slurm tests/test_ray.py
code=$?
"$python" - "$report/faults.xml" <<'END'
import sys
import xml.etree.ElementTree as tree

for case in tree.parse(sys.argv[1]).iter("testcase"):
    for entry in case.iter("property"):
        print(f"{entry.get('name')}: {entry.get('value')}")
END
exit $code
