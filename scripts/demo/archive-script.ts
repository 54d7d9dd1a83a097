/**
 * The shell script behind the demo production's `archive_command`: `archive-wal <path> <name>`. docs/how-to/drill-your-own-database.md
 * gives the same one to everybody.
 *
 * A segment appears in the archive whole or not at all: copied to a temporary name, flushed, renamed, and the directory flushed.
 * A segment that is already there counts as archived only if its bytes are equal (the server repeats a call whose end it did not see);
 * different bytes are refused and nothing is overwritten, as PostgreSQL's manual asks ("25.3.1 Setting Up WAL Archiving").
 */
export function archiveScript(archiveDirectory: string): string {
  return `#!/bin/sh
set -eu
source=$1
name=$2
archive=${shellQuoted(archiveDirectory)}
final=$archive/$name
partial=$archive/.$name.partial.$$
flush() { sync "$1" 2>/dev/null || sync; }
if [ -e "$final" ]; then
  if cmp -s "$source" "$final"; then flush "$final"; flush "$archive"; exit 0; fi
  echo "archive-wal: $final exists with other bytes; not overwritten" >&2
  exit 1
fi
trap 'rm -f "$partial"' EXIT
cp "$source" "$partial"
flush "$partial"
mv "$partial" "$final"
flush "$archive"
`;
}

/** One word for /bin/sh. */
export function shellQuoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
