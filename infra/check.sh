#!/usr/bin/env bash
# Builds and lints the Bicep files, checks their format and expands the parameters, if a Bicep compiler is found.
set -euo pipefail
cd "$(dirname "$0")"

installed_by_az="${AZURE_CONFIG_DIR:-$HOME/.azure}/bin/bicep"
if command -v bicep >/dev/null; then
  bicep=bicep
elif [ -x "$installed_by_az" ]; then
  bicep=$installed_by_az
else
  echo "The Bicep files were NOT compiled: no Bicep compiler found. 'az bicep install' installs one." >&2
  exit 0
fi

# Any well-formed values: nothing is deployed.
export AZURE_ENV_NAME=check
export AZURE_LOCATION=westeurope
export PARTNER_TENANT_ID=00000000-0000-4000-8000-000000000001
export SANDBOX_TENANT_CONFIRMATION=$PARTNER_TENANT_ID
export PARTNER_CENTER_CLIENT_ID=00000000-0000-4000-8000-000000000002

failed=0
complain() {
  echo "$*" >&2
  failed=1
}

"$bicep" --version
for file in main.bicep modules/*.bicep; do
  "$bicep" build --stdout "$file" >/dev/null || complain "$file: build failed"
  # It ends with 0 if it has found warnings only.
  findings=$("$bicep" lint "$file" 2>&1) || complain "$file: lint failed"
  printf '%s' "$findings" >&2
  case $findings in *" : Warning "*) complain "$file: has warnings" ;; esac
done
for file in *.bicepparam params/*.bicepparam; do
  "$bicep" build-params --stdout "$file" >/dev/null || complain "$file: build-params failed"
done
for file in main.bicep modules/*.bicep *.bicepparam params/*.bicepparam; do
  "$bicep" format --stdout "$file" | diff -u "$file" - || complain "$file: run 'bicep format $file'"
done
for file in params/*.bicepparam; do
  snapshot=${file%.bicepparam}.snapshot.json
  if [ -f "$snapshot" ]; then
    "$bicep" snapshot "$file" --mode validate || complain "$file: differs from $snapshot"
  else
    "$bicep" snapshot "$file" --mode overwrite || complain "$file: snapshot failed"
    echo "$snapshot is new: commit it, so that the next change shows what it changes."
  fi
done
exit "$failed"
