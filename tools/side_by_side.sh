#!/usr/bin/env bash
# bash tools/side_by_side.sh K "CONFIG [arguments]" ... [-- arguments of tools/train.py for all of them]
# Trains several configs on one GPU (or on the CPU), K at a time: a small network alone does not fill a GPU.
# "-" in place of a config reads such lines from standard input. NVIDIA MPS is started for them, if it is installed and
# not running already, and only what was started here is stopped (MPS=0: without). CUDA_VISIBLE_DEVICES chooses the GPU.
# Each run logs to its own file in LOGS. Ctrl-C and other signals are handed on: the runs save, and the same line with
# "-- --resume" continues. Ends with 0 if all runs succeeded, 1 if not, 128 + signal after a stop.
set -uo pipefail
usage() { sed -n '2s/^# /usage: /p' "$0" >&2; exit 2; }
. "$(dirname "$0")/arguments.sh"
[ $# -ge 2 ] && [[ "$1" =~ ^[1-9][0-9]{0,5}$ ]] || usage
at_once=$1; shift
runs=() common=()
while [ $# -gt 0 ]; do
  case $1 in
    --) shift; common=("$@"); break ;;
    -) while IFS= read -r line; do case $line in ""|"#"*) ;; *) runs+=("$line") ;; esac; done ;;
    -*) echo "$1 belongs to a run: put it behind its config, in quotes, or behind -- for all" >&2; usage ;;
    *) runs+=("$1") ;;
  esac
  shift
done
[ ${#runs[@]} -gt 0 ] || usage
for run in "${runs[@]}"; do   # a line each: all of them before anything starts
  case ${run//$'\t'/ } in
    *[[:cntrl:]]*) printf 'a run is one line of text, got %q\n' "$run" >&2; exit 2 ;;
  esac
  read -ra line <<< "$run"
  a_path CONFIG "${line[0]-}"
done

here=$(cd "$(dirname "$0")" && pwd) python=${PYTHON:-$(command -v python || command -v python3)}
logs=${LOGS:-work_dirs/side_by_side/$(date +%Y%m%d_%H%M%S)_$$}
mkdir -p -- "$logs" || exit 1
cores=$(getconf _NPROCESSORS_ONLN) side=$(( at_once < ${#runs[@]} ? at_once : ${#runs[@]} ))
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(( cores > side ? cores / side : 1 ))}

mps=
stop_mps() {
  [ -n "$mps" ] || return 0
  echo quit | nvidia-cuda-mps-control > /dev/null 2>&1
  rm -rf "$mps"; mps=
}
start_mps() {   # pipes and logs in a folder of its own, so that it needs no root and meets no other user's
  [ "${MPS:-1}" != 0 ] && [ "$side" -gt 1 ] && command -v nvidia-cuda-mps-control > /dev/null || return 0
  if echo get_server_list | nvidia-cuda-mps-control > /dev/null 2>&1; then echo "MPS is running already"; return 0; fi
  local gpu=${CUDA_VISIBLE_DEVICES:-0} uuid
  if [[ "$gpu" =~ ^[0-9]+$ ]]; then   # MPS numbers the GPUs it was started with anew; a UUID stays
    uuid=$(nvidia-smi --id="$gpu" --query-gpu=uuid --format=csv,noheader 2> /dev/null) && [ -n "$uuid" ] \
      && export CUDA_VISIBLE_DEVICES=$uuid
  fi
  mps=$(mktemp -d /tmp/openmix_mps.XXXXXX)   # a short path: it holds sockets
  export CUDA_MPS_PIPE_DIRECTORY=$mps CUDA_MPS_LOG_DIRECTORY=$mps
  if nvidia-cuda-mps-control -d > /dev/null 2>&1; then echo "MPS started"; return 0; fi
  echo "MPS does not start here; the runs share the GPU by taking turns" >&2
  unset CUDA_MPS_PIPE_DIRECTORY CUDA_MPS_LOG_DIRECTORY
  rm -rf "$mps"; mps=
}

signal=0 running=() failed=0
hand_on() { signal=$2; [ ${#running[@]} -eq 0 ] || kill -s "$1" "${running[@]}" 2> /dev/null; }
trap 'hand_on INT 2' INT; trap 'hand_on TERM 15' TERM; trap 'hand_on TERM 1' HUP
trap 'hand_on USR1 10' USR1; trap 'hand_on USR2 12' USR2
trap stop_mps EXIT

declare -A named
reap() {   # one line for each run that has ended; the others stay in running
  local left=() pid status
  for pid in "${running[@]}"; do
    if kill -0 "$pid" 2> /dev/null; then left+=("$pid"); continue; fi
    wait "$pid"; status=$?
    [ "$status" = 0 ] || failed=1
    echo "exit status $status: ${named[$pid]}"
  done
  running=(${left[@]+"${left[@]}"})
}

start_mps
set -m   # a process group for each run: Ctrl-C reaches it through this script alone, once
for i in "${!runs[@]}"; do
  while [ ${#running[@]} -ge "$at_once" ]; do wait -n; reap; done
  [ "$signal" = 0 ] || break
  read -ra line <<< "${runs[$i]}"
  log=$logs/$(printf %02d "$i")_$(basename -- "${line[0]}" .py).log
  "$python" "$here/train.py" "${line[@]}" ${common[@]+"${common[@]}"} < /dev/null > "$log" 2>&1 &
  running+=($!) named[$!]="${runs[$i]} (log: $log)"
  echo "started: ${runs[$i]} (log: $log)"
  [ "$signal" = 0 ] || kill -s TERM $!   # it came while this one was being started
done
while [ ${#running[@]} -gt 0 ]; do wait -n; reap; done
[ "$signal" = 0 ] || exit $((128 + signal))
exit $failed
