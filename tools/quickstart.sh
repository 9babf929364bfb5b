#!/usr/bin/env bash
# bash tools/quickstart.sh [arguments of tools/train.py]
# From nothing to a result row: an environment, data, and a ResNet-20 trained with MixUp.
# CIFAR-100 is used if it lies in data/ or can be downloaded, the embedded shapes otherwise.
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/environment.sh
make_environment ""
if "$VENV/bin/python" tools/prepare_data.py --fetch cifar100 data; then
  config=configs/cifar100/r20_mixup.py
else
  echo "CIFAR-100 is not in data/ and could not be downloaded: training on the embedded shapes"
  config=configs/shapes/r20_mixup.py
fi
exec "$VENV/bin/python" tools/train.py "$config" --work-dir "work_dirs/quickstart/$(date +%Y%m%d_%H%M%S)" "$@"
