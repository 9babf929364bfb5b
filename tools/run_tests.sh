#!/usr/bin/env bash
# bash tools/run_tests.sh [pytest arguments]: makes .venv with what the tests need and runs them on all cores
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/environment.sh
make_environment dev
export OMP_NUM_THREADS=1
"$VENV/bin/python" -m compileall -q openmix  # once, where the environment forbids Python to write bytecode
"$VENV/bin/python" -m ruff check openmix tools tests benchmarks configs docs
"$VENV/bin/lint-imports" --no-cache --no-logo
exec "$VENV/bin/python" -m pytest -n "${TEST_WORKERS:-auto}" --dist worksteal "$@"
