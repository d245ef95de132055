#!/usr/bin/env bash
# strategies.sh FOLDER [PONDER]: every strategy at four budgets, with both policies and with values that are exact, learned and
# noisy, on one random sample of the Game-of-24 puzzles: FOLDER/rows.jsonl, a line a run, and pictures of accuracy over cost.
# A row that is there is not run again, and a run that was stopped goes on.
# SAMPLE puzzles (400), SEEDS ("1 2"), THREADS (1), POLICIES, JUDGES, ROWS ("NAME FLAG NUMBERS", a line each) may be set.
# Not a study of sizes: bench/study.sh.  Not a test: nothing fails because a strategy is weak.
# Next: docs/STRATEGIES.md, which has its numbers.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=${1:?usage: bench/strategies.sh FOLDER [PONDER]} ponder=${2:-build/ponder}
sample=${SAMPLE:-400} seeds=${SEEDS:-1 2} threads=${THREADS:-1}
policies=${POLICIES:-game24-policy game24-policy-small}
judges=${JUDGES:-prm oracle noise}
chains="bon --budget 2 4 8 16
weighted --budget 2 4 8 16
maj --budget 2 4 8 16
reject --budget 4 8 16 32
beam --budget 4 8 16 32
dvts --budget 4 8 16 32
rebase --budget 4 8 16 32
particle --budget 4 8 16 32
gibbs --budget 2 4 8 16
draft --budget 2 4 8 16"
trees="mcts --budget 8 16 32 64
abmcts --budget 8 16 32 64
tot-bfs --budget 4 8 16 32
tot-dfs --budget 8 16 32 64
blocks --budget 4 8 16 32
adaptive --budget 4 8 16 32"
others="greedy --budget 1
tokenbeam --width 2 4 8 16"
rows_wanted=${ROWS:-$others
$trees
$chains}
mkdir -p "$folder/runs"
rows=$folder/rows.jsonl puzzles=$folder/puzzles.txt
touch "$rows"
[ -s "$puzzles" ] || shuf -n "$sample" --random-source=bench/game24.txt bench/game24.txt >"$puzzles"

# run POLICY JUDGE NAME FLAG NUMBER SEED: one file of results and one row.  Exit code 2 of eval: the strategy does not take the
# judge, or needs what puzzles do not have; that is a row without numbers.
run() {
    local name=$1-$2-$3-$5-$6 code=0
    local key="\"policy_name\":\"$1\",\"judge\":\"$2\",\"row\":\"$3 $4 $5\",\"run_seed\":$6"
    local -a flags=(--search "$3" "$4" "$5" --seed "$6")
    ! grep -qF "$key" "$rows" || return 0
    case $2 in oracle) flags+=(--prm oracle) ;; noise) flags+=(--value-noise 2) ;; esac
    [ "$3" != draft ] || flags+=(--model-draft game24-policy-small)
    "$ponder" eval --task game24 -m "$1" -i "$puzzles" -t "$threads" "${flags[@]}" -o "$folder/runs/$name.jsonl" --json \
        >"$folder/out" 2>"$folder/err" || code=$?
    case $code in
    0) printf '{%s,%s\n' "$key" "$(tail -n 1 "$folder/out" | cut -c2-)" >>"$rows" ;;
    *) printf '{%s,"refused":"%s"}\n' "$key" "$(tail -n 1 "$folder/err" | tr -d '"\\')" >>"$rows"; [ "$code" != 130 ] || exit 130 ;;
    esac
    printf '%s %s\n' "$name" "$(tail -n 1 "$rows" | sed -n 's/.*"accuracy":\([0-9.]*\).*/\1/p; s/.*"refused":"\(.*\)".*/\1/p')" >&2
}

# The smallest budgets of all rows first, so that a run that is stopped has something of each.
trap 'exit 130' INT TERM
for seed in $seeds; do
    for place in 1 2 3 4; do
        for judge in $judges; do
            for policy in $policies; do
                while read -r name flag numbers; do
                    number=$(cut -d' ' -f "$place" <<<"$numbers ")
                    [ -z "$number" ] || run "$policy" "$judge" "$name" "$flag" "$number" "$seed"
                done <<<"$rows_wanted"
            done
        done
    done
done

# Accuracy over all FLOPs and over tokens, one picture for each policy and judge.
for policy in $policies; do
    for judge in $judges; do
        files=("$folder/runs/$policy-$judge-"*.jsonl)
        [ -e "${files[0]}" ] || continue
        for by in flops tokens; do
            "$ponder" plot --by $by --title "$policy, $judge" --svg "$folder/$policy-$judge-$by.svg" --csv "$folder/$policy-$judge-$by.csv" "${files[@]}"
        done
    done
done
