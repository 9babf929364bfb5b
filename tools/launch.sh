#!/usr/bin/env bash
# Called by dist_train.sh and dist_test.sh: launch.sh SCRIPT CONFIG GPUS [arguments]
set -euo pipefail
. "$(dirname "$0")/arguments.sh"
if [ $# -lt 3 ] || ! (a_path CONFIG "$2"; a_number GPUS "$3" 1); then
  echo "usage: dist_${1%.py}.sh CONFIG GPUS [arguments]" >&2; exit 2
fi
a_number NODE_RANK "${NODE_RANK:-0}" 0; a_number PORT "${PORT:-29500}" 1; a_number MAX_RESTARTS "${MAX_RESTARTS:-0}" 0
a_number NNODES "${NNODES:-1}" 1; a_name MASTER_ADDR "${MASTER_ADDR:-127.0.0.1}"
here=$(cd "$(dirname "$0")" && pwd) script=$1 config=$2 processes=$3; shift 3
python=${PYTHON:-$(command -v python || command -v python3)}
nodes=${NNODES:-1} master=${MASTER_ADDR:-127.0.0.1}
if [ -z "${PORT:-}" ] && [ "$nodes" = 1 ]; then   # any free port: two runs on one machine must not meet
  PORT=$("$python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
fi
cores=$(getconf _NPROCESSORS_ONLN)
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(( cores > processes ? cores / processes : 1 ))}
export PET_SIGNALS_TO_HANDLE=SIGTERM,SIGINT,SIGHUP,SIGQUIT,SIGUSR1,SIGUSR2   # older torchruns ignore it
exec "$python" -m torch.distributed.run --nnodes="$nodes" --node_rank="${NODE_RANK:-0}" --master_addr="$master" \
  --master_port="${PORT:-29500}" --nproc_per_node="$processes" --max-restarts="${MAX_RESTARTS:-0}" \
  "$here/$script" "$config" --launcher pytorch "$@"
