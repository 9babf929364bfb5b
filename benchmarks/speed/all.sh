#!/usr/bin/env bash
# bash benchmarks/speed/all.sh OUT [DATA_ROOT]
# The benchmarks that a CPU can run, one after the other, into Markdown files in the folder OUT. About half an hour on
# two cores. DATA_ROOT holds CIFAR-100 (data); what needs it fails without. PYTHON names the interpreter.
set -uo pipefail
[ $# -ge 1 ] || { sed -n '2s/^# /usage: /p' "$0" >&2; exit 2; }
mkdir -p -- "$1" && OUT=$(realpath -- "$1") DATA=$(realpath -- "${2:-data}")
. "$(dirname "$0")/parts.sh"
export OMP_NUM_THREADS=1

part mixing 600 mixing.py
part loader 300 loader.py --data-root "$DATA"
part loop 300 loop.py --rounds 25
part evaluation 300 evaluation.py
part epoch_r20 300 epoch.py --backbone r20 --steps 3 --rounds 7 --forms auto compile --data-root "$DATA"
part epoch_r18 600 epoch.py --backbone r18 --steps 1 --rounds 3 --data-root "$DATA"
part methods_r20 600 methods.py --backbone r20 --steps 2 --rounds 5 --data-root "$DATA"
part memory 600 memory.py --data-root "$DATA"
part startup 300 startup.py
part streaming 300 streaming.py
part scaling 300 scaling.py
part forms 600 forms.py
part roofline_h200 60 roofline.py --tflops 790 --tbs 4.3
summary
