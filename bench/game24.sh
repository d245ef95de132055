#!/usr/bin/env bash
# game24.sh FOLDER [SAMPLE [THREADS]]: every strategy at every budget on the Game of 24, for the policies inside the binary; rows of
# every puzzle in FOLDER, which bench/results.sh makes tables of.  SAMPLE random puzzles (100; 0: all 1262).  It goes on where it was
# stopped.
# Not a test: nothing here fails because a machine is slow or a model is weak.
# Next: docs/RESULTS.md.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:?usage: bench/game24.sh FOLDER [SAMPLE [THREADS]]} sample=${2:-100} threads=${3:-$(nproc)}
mkdir -p "$folder"
for spec in greedy:1 mcts:{16,64,256,1024} {maj,bon,weighted,beam}:{4,16,64}; do
    for policy in ${POLICIES:-game24-policy-small game24-policy}; do
        search=${spec%:*} budget=${spec#*:}
        file=$folder/main.game24.$(basename "$policy" .gguf).$search.$budget.jsonl
        echo "$file" >&2
        "${PONDER:-build/ponder}" eval --task game24 -i bench/game24.txt --sample "$sample" --search "$search" --budget "$budget" -m "$policy" \
            -t "$threads" --in-flight 8 -o "$file" >/dev/null
    done
done
