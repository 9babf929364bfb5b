#!/usr/bin/env bash
# bash benchmarks/speed/gpu.sh OUT [DATA_ROOT]
# Everything that takes a GPU, in at most ten minutes (MINUTES=...) on one of an H200's class, into Markdown files in the
# folder OUT. Without DATA_ROOT (the folder of CIFAR-100) images are noise of its shape: times are the same. What matters
# most comes first; what fails or runs out of time is listed at the end. On GPUs that roofline.py does not know, PEAKS
# gives it: PEAKS="--tflops 312 --tbs 2.0". PYTHON names the interpreter.
set -uo pipefail
[ $# -ge 1 ] || { sed -n '2s/^# /usage: /p' "$0" >&2; exit 2; }
mkdir -p -- "$1" && OUT=$(realpath -- "$1") DATA=()
[ $# -lt 2 ] || DATA=(--data-root "$(realpath -- "$2")")
. "$(dirname "$0")/parts.sh"
a_number MINUTES "${MINUTES:-10}" 1
SECONDS=0 DEADLINE=$(( ${MINUTES:-10} * 60 - 10 ))
"$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' || { echo "no GPU is seen by torch" >&2; exit 2; }

read -ra peaks <<< "${PEAKS:-}"
part epoch_r18 90 epoch.py --backbone r18 --forms eager graph "${peaks[@]}" "${DATA[@]}"
part epoch_rx50 90 epoch.py --backbone rx50 --steps 100 --forms eager graph "${peaks[@]}" "${DATA[@]}"
part epoch_wrn 80 epoch.py --backbone wrn28_8 --steps 100 --forms eager graph "${peaks[@]}" "${DATA[@]}"
part forms 80 forms.py --forms graph
part methods_r18 80 methods.py --backbone r18 --steps 100 --form graph "${DATA[@]}"
part loop 40 loop.py --history 20000
part epoch_r18_compiled 120 epoch.py --backbone r18 --steps 100 --forms compile compile+graph "${peaks[@]}" "${DATA[@]}"
part epoch_wrn_compiled 120 epoch.py --backbone wrn28_8 --steps 100 --forms compile compile+graph "${peaks[@]}" "${DATA[@]}"
part epoch_rx50_compiled 150 epoch.py --backbone rx50 --steps 100 --forms compile compile+graph "${peaks[@]}" "${DATA[@]}"
summary
