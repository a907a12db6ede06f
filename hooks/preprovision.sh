#!/bin/sh
# Needs Python 3.11 or newer, which azd needs for this project anyway.
set -eu
cd "$(dirname "$0")/.."
for python in python3 python; do
  if "$python" -c 'import tomllib' 2>/dev/null; then
    exec "$python" -m hooks.before_provision
  fi
done
echo "tipsweep: the hooks need Python 3.11 or newer as python3 or python." >&2
exit 1
