#!/usr/bin/env bash
# deps.sh: which room may include which.  The table decides (docs/DESIGN.md explains it); prints each violation.
# Unit names longer than a room (search/eval_model) come with rights of their own.
set -euo pipefail
cd "$(dirname "$0")/.."
rules='
base        :
ops         : base
weights     : base ops/quant.h
tokenizer   : weights base
model       : ops weights base
model/write : ops weights tokenizer base
prm         : model tokenizer weights base
tasks       : base
search      : base
search/eval_model : prm model tokenizer base
search/eval_internal : prm model tokenizer base
search/eval_branch : prm model tokenizer base
search/eval_write : prm model tokenizer base
search/eval_put : prm model tokenizer base
train       : tasks prm search model tokenizer weights ops base
solve       : search/eval_model.h search tasks prm model tokenizer weights ops base
study       : solve base
serve       : solve search/eval_model.h search tasks prm model tokenizer weights ops base
'
files=$(git ls-files --cached --others --exclude-standard -- '*.c' '*.h' '*.S')
# shellcheck disable=SC2086
awk -v rules="$rules" '
BEGIN {
    n = split(rules, lines, "\n")
    for (i = 1; i <= n; i++) {
        if (split(lines[i], side, ":") != 2) continue
        gsub(/ /, "", side[1])
        allowed[side[1]] = " " side[2] " "
    }
}
FNR == 1 {
    room = FILENAME; sub("/.*", "", room)
    unit = FILENAME; sub(/\.[chS]$/, "", unit)
    known = room in allowed
    free = room == "cli" || room == "tests" || room == "bench"
    if (!known && !free) { print FILENAME ": in no room of the house"; bad = 1 }
    may = (unit in allowed ? allowed[unit] : allowed[room]) " " room " "
}
/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, part, "\"")
    target = part[2]; from = target; sub("/.*", "", from)
    if (target !~ /\//) { print FILENAME ":" FNR ": \"" target "\" is not a path from the root"; bad = 1; next }
    if (free) next
    if (index(may, " " from " ") || index(may, " " target " ")) next
    print FILENAME ":" FNR ": " room " may not include " target; bad = 1
}
END { if (!bad) print "deps: every include is allowed"; exit bad }
' $files
