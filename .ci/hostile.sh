#!/usr/bin/env bash
# hostile.sh: every test that docs/HOSTILE.md names exists.  A star stands for any ending.
set -euo pipefail
cd "$(dirname "$0")/.."
bad=0
for name in $(grep -o '`[a-z][a-z0-9_]*\*\?`' docs/HOSTILE.md | tr -d '\`' | grep _ | sort -u); do
    word=${name#refuses_} # the rows of test_gguf's table of wrong fields lack it
    case $name in *\*) pattern="\b\(refuses_\)\?${word%\*}" ;; *) pattern="\b\(refuses_\)\?$word\b" ;; esac
    ls tests | grep -qx "$name\.c" || grep -q "$pattern" tests/*.c tests/*.h tests/cli.sh || {
        echo "docs/HOSTILE.md names $name, which is no test" >&2
        bad=1
    }
done
exit $bad
