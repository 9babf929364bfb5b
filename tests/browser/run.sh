#!/usr/bin/env bash
# bash tests/browser/run.sh [pytest arguments]: opens a report and the site of the documents in a headless Chromium, which is
# installed if there is none
set -euo pipefail
cd "$(dirname "$0")/../.."
if ! command -v chromium > /dev/null || ! command -v chromedriver > /dev/null; then
  [ "$(id -u)" = 0 ] && sudo= || sudo=sudo
  $sudo apt-get update -qq
  DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends chromium chromium-driver > /dev/null
fi
. tools/environment.sh
make_environment dev
"$VENV/bin/python" -c "import selenium" 2> /dev/null ||
  "$VENV/bin/python" -m pip install --quiet --disable-pip-version-check "selenium>=4.20"
export OMP_NUM_THREADS=1
bash tools/build_docs.sh
exec "$VENV/bin/python" -m pytest tests/browser/report_page.py tests/browser/site_page.py "$@"
