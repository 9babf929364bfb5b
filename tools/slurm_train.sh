#!/usr/bin/env bash
# bash tools/slurm_train.sh PARTITION JOB_NAME CONFIG GPUS [arguments of tools/train.py]
# GPUS_PER_NODE (default: at most 8), CPUS_PER_TASK and SRUN_ARGS come from the environment.
set -euo pipefail
if [ $# -lt 4 ]; then echo "usage: slurm_train.sh PARTITION JOB_NAME CONFIG GPUS [arguments]" >&2; exit 2; fi
. "$(dirname "$0")/arguments.sh"
a_name PARTITION "$1"; a_name JOB_NAME "$2"; a_path CONFIG "$3"; a_number GPUS "$4" 1
here=$(cd "$(dirname "$0")" && pwd) partition=$1 name=$2 config=$3 gpus=$4; shift 4
per_node=${GPUS_PER_NODE:-$(( gpus < 8 ? gpus : 8 ))}
a_number GPUS_PER_NODE "$per_node" 1; a_number CPUS_PER_TASK "${CPUS_PER_TASK:-4}" 1
more=${SRUN_ARGS:-}; read -ra more <<< "${more//$'\n'/ }"
exec srun --partition="$partition" --job-name="$name" --gres="gpu:$per_node" --ntasks="$gpus" \
  --ntasks-per-node="$per_node" --cpus-per-task="${CPUS_PER_TASK:-4}" --kill-on-bad-exit=1 ${more[@]+"${more[@]}"} \
  "${PYTHON:-python}" -u "$here/train.py" "$config" --launcher slurm "$@"
