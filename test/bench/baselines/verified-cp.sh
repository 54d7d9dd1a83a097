#!/usr/bin/env bash
# A verified copy as a good script makes it: cp -a, then sha256sum -c by as many processes as there are cores.
# BACKUP: holds data/ and perhaps tablespaces/ · TARGET: an empty directory · SUMS: lines of sha256sum, largest file first · JOBS
set -euo pipefail
sums=$(mktemp -d)
trap 'rm -rf "$sums"' EXIT
find "$BACKUP" -mindepth 1 -maxdepth 1 -type d -print0 | xargs -0 cp -a -t "$TARGET"
# Dealt out like cards: every process gets as many large files as the others.
split -n "r/$JOBS" "$SUMS" "$sums/part."
cd "$TARGET"
find "$sums" -type f -print0 | xargs -0 -P "$JOBS" -n 1 sha256sum --check --quiet --strict
[ "${FLUSH:-yes}" = no ] || sync -f "$TARGET"
