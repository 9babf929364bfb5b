# sourced by the scripts beside it: checks user input before a shell evaluates it
# a_number NAME VALUE LEAST: a whole number (in other arithmetic values bash would execute the text in brackets)
a_number() {
  local LC_ALL=C
  if ! [[ "$2" =~ ^(0|[1-9][0-9]{0,5})$ ]] || [ "$2" -lt "$3" ]; then
    printf '%s must be a whole number of at least %s, got %q\n' "$1" "$3" "$2" >&2; exit 2
  fi
}
# a_name NAME VALUE: of a partition, a job or a host
a_name() {
  local LC_ALL=C
  if ! [[ "$2" =~ ^[A-Za-z0-9_[][][A-Za-z0-9_.,@:+=-]*$ ]]; then
    printf '%s takes letters (a to z), digits and _ . , @ : + = - with no dash first, got %q\n' "$1" "$2" >&2; exit 2
  fi
}
# a_path NAME VALUE: a path, not an option
a_path() {
  case $2 in
    ""|-*) printf '%s is a path, got %q (a name that begins with a dash is written ./-name)\n' "$1" "$2" >&2; exit 2 ;;
  esac
}
