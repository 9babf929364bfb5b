# sourced by all.sh and gpu.sh: each benchmark writes a Markdown file of its own into OUT, and a failing one stops nothing
# part NAME SECONDS SCRIPT [arguments]: at most so long, and never beyond the DEADLINE (in seconds of SECONDS)
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
. tools/arguments.sh
a_number DEADLINE "${DEADLINE:-999999}" 0
python=${PYTHON:-$(command -v python || command -v python3)} failed=()
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
mkdir -p "$OUT" || exit 1

part() {
  local name=$1 limit=$2 script=$3; shift 3
  local left=$(( ${DEADLINE:-999999} - SECONDS ))
  [ "$left" -gt 5 ] || { failed+=("$name: no time left"); return; }
  [ "$limit" -lt "$left" ] || limit=$left
  local begun=$SECONDS code=0
  { printf '# %s\n\n`python benchmarks/speed/%s %s`\n\n' "$name" "$script" "$*"
    timeout -k 10 "$limit" "$python" "benchmarks/speed/$script" "$@" 2> "$OUT/$name.err"; } > "$OUT/$name.md" || code=$?
  [ "$code" = 0 ] || failed+=("$name: exit code $code (124: out of time), see $OUT/$name.err")
  echo "$name: $(( SECONDS - begun )) s, exit code $code"
}

summary() {   # exit code 1 if anything failed
  cat "$OUT"/*.md > "$OUT/all.txt"
  echo "tables: $OUT/*.md, together in $OUT/all.txt"
  [ ${#failed[@]} = 0 ] || { printf '%s\n' "${failed[@]}"; exit 1; }
}
