#!/usr/bin/env bash
# Sweeps on a real SLURM, started for the occasion on this machine: bash tests/slurm/run.sh [arguments of pytest]
# Installs Debian's or Ubuntu's packages with apt-get (as root) if they are not there. Python needs submitit and
# pytest; PYTHON names the interpreter. Nothing of it is left running at the end.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd) root=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-$(command -v python || command -v python3)}
if ! command -v slurmctld > /dev/null || ! command -v slurmd > /dev/null || ! command -v sbatch > /dev/null; then
  policy=/usr/sbin/policy-rc.d   # the packages are not to start services of their own
  if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' > "$policy"; chmod +x "$policy"; trap 'rm -f "$policy"' EXIT
  fi
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client munge
fi
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}
cd "$root"
failed=0
for signal in SIGUSR2 SIGTERM; do   # how a cluster may tell a job that it is preempted
  folder=$(mktemp -d)
  if [ $signal = SIGUSR2 ]; then
    bash "$here/cluster.sh" up "$folder" 2
    which=()
  else
    SLURM_EXTRA='' bash "$here/cluster.sh" up "$folder" 2
    which=(-k higher_priority)
  fi
  export SLURM_CONF=$folder/slurm.conf
  trap 'bash "$here/cluster.sh" down "$folder"; exit 130' INT TERM
  "$python" -m pytest "$here/scenarios.py" -p no:cacheprovider --basetemp "$folder/runs" "${which[@]}" "$@" || failed=$?
  if [ $failed != 0 ]; then squeue -a -t all || true; tail -n 30 "$folder"/log/slurm*.log || true; fi
  bash "$here/cluster.sh" down "$folder"
  if [ $failed != 0 ]; then echo "what it left: $folder" >&2; exit $failed; fi
  rm -rf "$folder"
done
