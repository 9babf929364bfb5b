# sourced by quickstart.sh, run_tests.sh and build_docs.sh: makes .venv once and installs openmix with the extras named
# make_environment "dev"  (or "" for none); PYTHON names the interpreter, VENV another folder
make_environment() {
  local python=${PYTHON:-$(command -v python3 || command -v python)} extras=${1:+[$1]}
  VENV=${VENV:-.venv}
  "$python" -c 'import sys; v = sys.version_info; sys.exit(not (3, 10) <= v < (3, 14))' || {
    echo "openmix needs Python 3.10 to 3.13, $python is $("$python" -V); set PYTHON=..." >&2; exit 2; }
  "$VENV/bin/python" -m pip --version > /dev/null 2>&1 || "$python" -m venv "$VENV"
  local want; want="$(cksum < setup.py) $extras $(pwd)"
  if ! grep -qxF "$want" "$VENV/.installed" 2>/dev/null; then
    echo "installing openmix$extras into $VENV (once)"
    "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary=:all: --no-binary=openmix -e ".$extras"
    echo "$want" >> "$VENV/.installed"
  fi
}
