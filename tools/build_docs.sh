#!/usr/bin/env bash
# bash tools/build_docs.sh [--links]: builds the site docs/_build/html in .venv; a warning is an error; needs no network
# --links then asks every address outside, which needs one
set -euo pipefail
cd "$(dirname "$0")/.."
. tools/environment.sh
make_environment docs
export OMP_NUM_THREADS=1
build() { "$VENV/bin/python" -m sphinx -q -W --keep-going -d docs/_build/doctrees -b "$1" docs "docs/_build/$1"; }
build html
echo "docs/_build/html/index.html"
case "${1:-}" in
  "") ;;
  --links) build linkcheck ;;
  *) echo "no such flag: $1; there is --links" >&2; exit 2 ;;
esac
