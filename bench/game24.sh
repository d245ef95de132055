#!/usr/bin/env bash
# game24.sh: every strategy at every budget on a file of Game-of-24 puzzles, one JSON summary a line.
#   bench/game24.sh PUZZLES.txt OUT.jsonl [LIMIT] [THREADS]
# Not a test: nothing here fails because a machine is slow or a model is weak.  bench/table.sh makes a table of the result.
set -euo pipefail
puzzles=$1 out=$2 limit=${3:-0} threads=${4:-2}
ponder=${PONDER:-build/ponder}
sample=()
[ "$limit" = 0 ] || sample=(--sample "$limit")
mkdir -p "$(dirname "$out")"
: >"$out.tmp"
one() { # policy label, its flags, then search and budget
  local label=$1 search=$2 budget=$3
  shift 3
  printf '%s %s %s\n' "$label" "$search" "$budget" >&2
  "$ponder" eval --task game24 --input "$puzzles" "${sample[@]}" --search "$search" --budget "$budget" --seed 1 -t "$threads" \
    --json "$@" | tail -1 | sed "s/^{/{\"policy\":\"$label\",/" >>"$out.tmp"
}
all() {
  local label=$1
  shift
  one "$label" greedy 1 "$@"
  for n in 4 16 64; do one "$label" maj $n "$@"; done
  for n in 4 16 64; do one "$label" bon $n "$@"; done
  for n in 4 16 64; do one "$label" weighted $n "$@"; done
  for n in 4 16 64; do one "$label" beam $n "$@"; done
  for n in 16 64 256 1024; do one "$label" mcts $n "$@"; done
}
# The policy inside the binary, then the other sizes beside it.
all "$(basename "${POLICY:-embedded}" .gguf)" ${POLICY:+-m "$POLICY"} ${PRM:+--prm "$PRM"}
for other in ${OTHERS:-}; do all "$(basename "$other" .gguf)" -m "$other" ${PRM:+--prm "$PRM"}; done
mv "$out.tmp" "$out"
