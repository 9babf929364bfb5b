#!/usr/bin/env bash
# bash tools/quickstart.sh [arguments of tools/train.py]
# From nothing to a result row: an environment, data, and a ResNet-20 trained with MixUp.
# CIFAR-100 is used if it is in data/ or can be downloaded, the embedded shapes otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/environment.sh
make_environment ""
"$VENV/bin/python" -c 'import openmix.datasets, openmix.engine.runner'   # an incomplete installation ends here
if problem=$("$VENV/bin/python" -c 'from openmix.datasets import CIFAR100; CIFAR100("data", download=True)' 2>&1); then
  config=configs/cifar100/r20_mixup.py
else
  echo "no CIFAR-100 here, training on the embedded shapes instead (${problem##*$'\n'})"
  config=configs/shapes/r20_mixup.py
fi
"$VENV/bin/python" tools/train.py "$config" --work-dir "work_dirs/quickstart/$(date +%Y%m%d_%H%M%S)" "$@"
printf '%s\n' "" "next:" "  source $VENV/bin/activate" "  openmix train ${config#configs/} --seed 1" \
  "  openmix zoo work_dirs"
