#!/usr/bin/env bash
# smollm2.sh: searches that need no reward model, on short arithmetic in words with a small model that others trained.
#   bench/smollm2.sh MODEL.gguf OUT.jsonl [CHAINS] [PROBLEMS] [SET.jsonl ...]
# MODEL: that of tests/fetch_models.sh.  SET: lines {"question":...,"answer":...}; without one, short sums and expressions of
# `ponder generate`, which writes numbers from their last digit on, are asked as questions.  One JSON summary a row in OUT.jsonl, and a table; pass@k is of the chains of maj.
# ROWS="maj judge" leaves the others out, but maj must be there.
# Not a test: nothing here fails because a model is weak.
set -euo pipefail
model=$1 out=$2 chains=${3:-8} problems=${4:-200}
shift $(($# < 4 ? $# : 4))
ponder=${PONDER:-build/ponder} threads=${THREADS:-2}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ $# -gt 0 ]; then
    cat "$@" >"$work/set.jsonl"
else
    for task in chain_sum basic_arithmetic; do
        "$ponder" generate --task $task --knobs min_terms=2,max_terms=2,min_digits=1,max_digits=1 --steps -n 100 | jq -c '
            (.problem | ltrimstr("< ") | gsub("~ "; "-") | gsub("(?<d>[0-9]+)"; .d | explode | reverse | implode)) as $sum |
            {id, question: "What is \($sum)?", answer}'
    done >"$work/set.jsonl"
fi
[ "$(wc -l <"$work/set.jsonl")" -le "$problems" ] || shuf -n "$problems" --random-source=<(yes) "$work/set.jsonl" -o "$work/set.jsonl"
examples='Answer like these examples.
What is 12 + 7 - 4? 12 + 7 = 19. 19 - 4 = 15. The answer is \boxed{15}.
What is 3 * (8 - 2)? 8 - 2 = 6. 3 * 6 = 18. The answer is \boxed{18}.
What is 20 / 5 + 9? 20 / 5 = 4. 4 + 9 = 13. The answer is \boxed{13}.'

row() { # name, then flags of the search
    local name=$1
    shift
    case " ${ROWS:-$name} " in *" $name "*) ;; *) return 0 ;; esac
    "$ponder" eval -m "$model" --task math -i "$work/set.jsonl" --system-prompt "$examples" --max-step-tokens 64 \
        --max-depth 3 -c 2048 -t "$threads" --seed 1 -o "$work/$name.jsonl" --json "$@" | tail -1 |
        jq -c --arg row "$name" '{row: $row, n, correct, accuracy, ci95, tokens: ((.generated_tokens + .prompt_tokens) / .n),
            gflop: (.policy_flops / .n / 1e9)}' | tee -a "$out.tmp"
}
: >"$out.tmp"
row greedy --search greedy
row maj --search maj --budget "$chains"
row confident --search maj --weight mean --budget "$chains"
row lowest --search maj --weight lowest --budget "$chains"
row refine --search refine --budget "$chains" --rounds 1
row critique --search refine --budget "$chains" --rounds 1 --critique yes
row think-none --search think --effort none --budget "$chains"
row think-low --search think --effort low --budget "$chains"
row think-wait --search think --effort medium --budget "$chains" --least-tokens 32 --waits 1
row judge --search judge --budget "$chains"
row judge-list --search judge --form list --budget "$chains"
row decompose --search decompose --budget "$chains"
row adaptive --search adaptive --budget $((4 * chains)) --probe "$chains"
# pass@k without bias: 1 - C(n - c, k) / C(n, k) of c right ones among n chains.
jq -cs --argjson n "$chains" --slurpfile set "$work/set.jsonl" '
    ([$set[] | {key: .id, value: .answer}] | from_entries) as $right |
    [.[] | select(.id) | . as $line | [$line.votes[]? | select(.answer == $right[$line.id]) | .chains] | add // 0] as $c |
    range(1; $n + 1) as $k | {row: "pass@\($k)", n: ($c | length),
        accuracy: ([$c[] | . as $c | 1 - reduce range($k) as $i (1; . * ([$n - $c - $i, 0] | max) / ($n - $i))] | add / length)}' \
    "$work/maj.jsonl" | tee -a "$out.tmp"
# What the levels of --effort would be here: quartiles and the 90th percentile of tokens that an unlimited chain takes.
jq -cs --argjson n "$chains" '[.[] | select(.id) | .generated_tokens / $n] | sort | . as $t |
    {row: "effort", low: $t[length / 4 | floor], medium: $t[length / 2 | floor], high: $t[length * 9 / 10 | floor]}' \
    "$work/maj.jsonl" | tee -a "$out.tmp"
mv "$out.tmp" "$out"
jq -r 'select(.accuracy) | [.row, (.accuracy * 1000 | round / 10), (.tokens // 0 | round), (.gflop // 0 | round)] | @tsv' "$out" |
    awk 'BEGIN {print "row\tright %\ttokens\tGFLOP"} {print}'
