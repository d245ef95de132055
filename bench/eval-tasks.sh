#!/usr/bin/env bash
# eval-tasks.sh FOLDER [N [THREADS]]: every task of ponder-policy, easy and hard, on N held-out problems (100), without a search and with;
# rows of every problem in FOLDER, then a table of all that is there.  It goes on where it was stopped.  PONDER, POLICY, PRM, TASKS and
# SEARCHES name others; INPUT is a folder of sets made elsewhere, TASK-LEVEL.jsonl, to be taken instead.
# Not a test: nothing here fails because a model is weak.
# Next: bench/train-tasks.sh, which makes the models; docs/RESULTS.md.
set -euo pipefail
folder=${1:?usage: bench/eval-tasks.sh FOLDER [N [THREADS]]} n=${2:-100} threads=${3:-$(nproc)}
ponder=${PONDER:-build/ponder} policy=${POLICY:-ponder-policy} prm=${PRM:-ponder-prm}
mkdir -p "$folder"
for spec in ${SEARCHES:-greedy:1 maj:16 bon:16 beam:16 mcts:64}; do
    for task in ${TASKS:-boolean_expressions multistep_arithmetic_two n_queens mini_sudoku kakurasu knights_knaves quantum_lock path_star countdown}; do
        for level in easy hard; do
            [ "$task.$level" != multistep_arithmetic_two.hard ] || continue # the published set has one level
            set=${INPUT:-$folder}/$task-$level.jsonl search=${spec%:*} budget=${spec#*:} judge=(--prm "$prm")
            [ -n "${INPUT:-}" ] || [ -s "$set" ] || "$ponder" generate --task "$task" $([ $level = easy ] || echo --hard) --held-out -n "$n" -s 4242 -o "$set" 2>/dev/null
            [ -s "$set" ] || continue
            case $search in greedy | maj) judge=() ;; esac
            file=$folder/$task.$level.$search.$budget.jsonl
            [ ! -s "$file.json" ] || continue
            "$ponder" eval -m "$policy" "${judge[@]}" --task "$task" -i "$set" --limit "$n" --search "$search" --budget "$budget" -t "$threads" \
                -o "$file" --json | tail -n 1 >"$file.part"
            mv "$file.part" "$file.json"
        done
    done
done
# cell TASK LEVEL SPEC: "73 (64-81)": right of a hundred, and the 95% interval.
cell() {
    [ -s "$folder/$1.$2.$3.jsonl.json" ] || { printf ' - |'; return; }
    jq -rj '" \(.accuracy * 100 | round) (\(.ci95[0] * 100 | round)-\(.ci95[1] * 100 | round)) |"' "$folder/$1.$2.$3.jsonl.json"
}
mapfile -t specs < <(for f in "$folder"/*.jsonl.json; do f=${f%.jsonl.json}; echo "${f##*.}.${f%.*}"; done | awk -F. '{ print $NF "." $1 }' | sort -u)
printf '| task | level |'; printf ' %s |' "${specs[@]}"; printf '\n|---|---|'; printf -- '---:|%.0s' "${specs[@]}"; printf '\n'
for file in "$folder"/*.jsonl.json; do basename "$file" | cut -d. -f1,2; done | sort -u | while IFS=. read -r task level; do
    printf '| %s | %s |' "$task" "$level"
    for spec in "${specs[@]}"; do cell "$task" "$level" "$spec"; done
    printf '\n'
done
