#!/usr/bin/env bash
# adaptive.sh: learns the table of `--search adaptive` from a file of problems, and says what it is worth on problems that it
# was not learned from (two folds).
#   bench/adaptive.sh PROBLEMS OUT.jsonl [FLAGS OF EVAL ...]
# OUT.jsonl: results with --price 0, every tier tried until a chain is sure; continued if it is there.  Printed: gain of each tier by
# bin, as in search/strategies/adaptive.c; then, for some prices, accuracy and GFLOP a problem with the table of the other fold.
# A problem that a price cuts off before the tier that solved it counts as wrong, at the mean cost of those that ended there.
set -euo pipefail
problems=$1 out=$2
shift 2
ponder=${PONDER:-build/ponder}
"$ponder" eval -i "$problems" --search adaptive --price 0 -o "$out" "$@" >&2
jq -rs --argjson easy "${EASY:-0.5}" --argjson hard "${HARD:-0.05}" --argjson probe 4 --argjson sizes '[64, 64, 128]' '
    def bin: if .ease >= $easy then 0 elif .ease >= $hard then 1 else 2 end;
    def cost: (.policy_flops + .prm_flops) / 1e9;
    def mean: if length == 0 then 0 else add / length end;
    def tier: (.simulations - $probe) as $n | if $n <= 0 then 0 elif $n <= $sizes[0] then 1 elif $n <= $sizes[0] + $sizes[1] then 2 else 3 end;
    # share of the problems of a bin that tier t (1 to 3) solves, of those that reach it
    def gain($rows; $b; $t):
        [$rows[] | select(bin == $b and tier >= $t)] as $reach | [$reach[] | select(tier == $t and .correct)] as $solved |
        if ($reach | length) == 0 then 0 else ($solved | length) / ($reach | length) end;
    def table($rows): [range(3) as $b | [range(1; 4) as $t | gain($rows; $b; $t)]];
    # tiers that a price allows for a bin
    def allowed($table; $b; $price): reduce range(3) as $t ({n: 0, go: true};
        if .go and 100 * $table[$b][$t] / $sizes[$t] >= $price then .n += 1 else .go = false end) | .n;
    def outcome($row; $table; $price; $ends): allowed($table; $row | bin; $price) as $most |
        if ($row | tier) <= $most then {right: $row.correct, cost: ($row | cost)}
        else {right: false, cost: $ends[$most]} end;
    [.[] | select(.id)] as $all | [range(4) as $t | [$all[] | select(tier == $t) | cost] | mean] as $ends |
    [[$all | to_entries[] | select(.key % 2 == 0) | .value], [$all | to_entries[] | select(.key % 2 == 1) | .value]] as $folds |
    ("gain of each tier (rows: easy, middle, hard), \($all | length) problems:"),
    (table($all)[] | map(. * 1000 | round / 1000) | @tsv),
    "price\tright\tGFLOP",
    ((0, 0.05, 0.2, 0.5, 1, 2, 5) as $price |
        ([$folds[0][] | outcome(.; table($folds[1]); $price; $ends)] + [$folds[1][] | outcome(.; table($folds[0]); $price; $ends)]) |
        [$price, (map(if .right then 1 else 0 end) | mean * 1000 | round / 1000), (map(.cost) | mean * 1000 | round / 1000)] | @tsv)' "$out"
