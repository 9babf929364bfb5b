#!/usr/bin/env bash
# Called by dist_train.sh and dist_test.sh: launch.sh SCRIPT CONFIG GPUS [arguments]
set -euo pipefail
. "$(dirname "$0")/arguments.sh"
if [ $# -lt 3 ] || ! (a_path CONFIG "$2"; a_number GPUS "$3" 1); then
  echo "usage: dist_${1%.py}.sh CONFIG GPUS [arguments]" >&2; exit 2
fi
here=$(cd "$(dirname "$0")" && pwd) script=$1 config=$2 gpus=$3; shift 3
exec "${PYTHON:-$(command -v python || command -v python3)}" "$here/$script" "$config" "$@" --gpus "$gpus"
