#!/usr/bin/env bash
# cli_study.sh PONDER: files of results: runs in shards, put together, compared.
# Not the numbers of the tests and intervals: test_known.c.
# Next: tests/cli.sh.
. "$(dirname "$0")/shell.sh"
printf '%s\n' '4 7 8 8' '1 1 4 6' '3 3 8 8' '1 2 3 4' '5 5 5 1' '2 3 5 12' '6 6 6 6' >p.txt
run=(eval --task game24 --input p.txt --search bon --budget 4 -t 1)
# The lines without what another run of the same has otherwise.
plain() { sed '1s/,"git":.*//; s/,"ms":.*//' "$1"; }

t_shards_make_the_file_of_one_process() {
    local k
    expect 0 "$ponder" "${run[@]}" -o whole.jsonl || return 1
    for k in 3 1 2; do expect 0 "$ponder" "${run[@]}" --shard $k/3 -o s$k.jsonl && has s$k.jsonl "\"shard\":\"$k/3\"" || return 1; done
    [ "$(sed -n '2,$s/{"id":"\([0-9]*\)".*/\1/p' s2.jsonl | tr '\n' ' ')" = "2 5 " ] || { say "shard 2 has other problems"; return 1; }
    expect 0 "$ponder" merge s3.jsonl s1.jsonl s2.jsonl -o merged.jsonl || return 1
    plain whole.jsonl >a && plain merged.jsonl >b && same a b || return 1
    expect 0 "$ponder" "${run[@]}" -o merged.jsonl --json && has out '"n":7' && [ "$(grep -c '"id"' merged.jsonl)" = 7 ] || return 1
    head -n 4 merged.jsonl >again.jsonl # what a killed merge left
    grep -v '^{"continued"' merged.jsonl >want
    expect 0 "$ponder" merge s1.jsonl s2.jsonl s3.jsonl -o again.jsonl && same again.jsonl want || return 1
    # Hosts that differ stand in a list; shards without problems do no harm.
    sed -i '1s/"host":"[^"]*"/"host":"elsewhere"/' s2.jsonl
    expect 0 "$ponder" merge s1.jsonl s2.jsonl s3.jsonl -o hosts.jsonl && has hosts.jsonl '"elsewhere"],' || return 1
    head -n 1 p.txt >one.txt
    for k in 1 2; do expect 0 "$ponder" "${run[@]}" --input one.txt --shard $k/2 -o e$k.jsonl || return 1; done
    expect 0 "$ponder" merge e1.jsonl e2.jsonl -o e.jsonl && [ "$(wc -l <e.jsonl)" = 2 ]
}
t_what_no_merge_can_be_made_of() {
    local k
    for k in 1 2; do expect 0 "$ponder" "${run[@]}" --shard $k/2 -o h$k.jsonl || return 1; done
    head -n 3 h1.jsonl >torn.jsonl && expect 0 "$ponder" "${run[@]}" --seed 2 --shard 2/2 -o other.jsonl && expect 0 "$ponder" "${run[@]}" -o all.jsonl || return 1
    sed '2s/"id":"2"/"id":"1"/' h2.jsonl >double.jsonl
    refuses 1 'both are shard 1 of 2' "$ponder" merge h1.jsonl h1.jsonl -o m &&
        refuses 1 'is shard 1 of 2, and 1 files were given' "$ponder" merge h1.jsonl -o m &&
        refuses 1 'all.jsonl: is no shard' "$ponder" merge h1.jsonl all.jsonl -o m &&
        refuses 1 'torn.jsonl: holds 2 of the 4 problems' "$ponder" merge torn.jsonl h2.jsonl -o m &&
        refuses 1 '"seed" is 2 there and 1 here' "$ponder" merge h1.jsonl other.jsonl -o m &&
        refuses 1 'p.txt: holds something else' "$ponder" merge h1.jsonl p.txt -o m &&
        refuses 1 'no.jsonl: cannot be read' "$ponder" merge h1.jsonl no.jsonl -o m &&
        [ ! -e m ] && refuses 1 'double.jsonl: a second result for "1"' "$ponder" merge h1.jsonl double.jsonl -o m &&
        refuses 1 '"budget" is 4 there' "$ponder" eval --task game24 --input p.txt --search bon --budget 5 -t 1 --shard 1/2 -o h1.jsonl &&
        refuses 1 '"shard" is "1/2" there and missing here' "$ponder" "${run[@]}" -o h1.jsonl &&
        refuses 2 '--out is missing' "$ponder" merge h1.jsonl
}
t_shards_are_numbers() {
    local bad
    for bad in 0/2 3/2 1 1/0 a/b 1/2x -1/2 ' 1/2' 1/-2; do refuses 2 'not of the form K/N' "$ponder" "${run[@]}" --shard="$bad" || return 1; done
}

# Ten problems of which A and B have others right; costs that differ by a factor.
rows() { # RIGHT TOKENS: ids 1, 2, ... right where the string has a 1
    local i
    echo '{"format":"ponder-results","version":1,"task":"game24","seed":1}'
    for ((i = 0; i < ${#1}; i++)); do
        local right=false
        [ "${1:i:1}" = 0 ] || right=true
        echo "{\"id\":\"$((i + 1))\",\"problem\":\"p$i\",\"correct\":$right,\"prompt_tokens\":0,\"generated_tokens\":$2,\"prm_tokens\":0,\"policy_flops\":$2,\"prm_flops\":$2,\"ms\":1.5}"
    done
}
t_compare() {
    rows 1110000000000 10 >a.jsonl && rows 1001111111110 40 >b.jsonl || return 1
    expect 0 "$ponder" compare a.jsonl b.jsonl && has out 'right: 1 in both, 2 only in A, 9 only in B, 1 in neither' &&
        has out 'p = 0.0654' && has out 'B - A  +53.8 points' && has out 'x 4 (4 to 4)' || return 1
    expect 0 "$ponder" compare a.jsonl b.jsonl --json && has out '"only_a":2,"only_b":9' && has out '"PRM tokens":{"a":0.0,"b":0.0,"ratio":null,"ci95":[null,null]}' || return 1
    cp out first && expect 0 "$ponder" compare a.jsonl b.jsonl --json && same out first && expect 0 "$ponder" compare a.jsonl b.jsonl --json --resamples 100 && ! cmp -s out first || return 1
    head -n 5 b.jsonl >c.jsonl
    expect 0 "$ponder" compare a.jsonl c.jsonl && has out '4 problems in both (9 only in A, 0 only in B)' || return 1
    sed -i 's/"p2"/"q"/' c.jsonl
    refuses 1 'the problem "3" is not the same in both' "$ponder" compare a.jsonl c.jsonl || return 1
    sed -i 's/"id":"/"id":"x/' c.jsonl && refuses 1 'no problem in common' "$ponder" compare a.jsonl c.jsonl || return 1
    sed -i 's/game24/math/' c.jsonl && refuses 1 'a.jsonl is of task game24, c.jsonl of math' "$ponder" compare a.jsonl c.jsonl &&
        refuses 2 'two files of results are needed, 1 were given' "$ponder" compare a.jsonl || return 1
    head -n 1 a.jsonl >empty.jsonl
    refuses 1 'no problem in common' "$ponder" compare empty.jsonl a.jsonl
}
t_plot() {
    rows 110 10 | sed '1s/}$/,"search":"bon","model":"m","budget":4}/' >x.jsonl && rows 111 40 | sed '1s/}$/,"search":"bon","model":"m","budget":16}/' >y.jsonl || return 1
    expect 0 "$ponder" plot y.jsonl x.jsonl && [ "$(cat out)" = 'series,x,y,low,high,note
bon,20,0.666667,0.20766,0.938508,budget 4
bon,80,1,0.438503,1,budget 16' ] || { cat out >&2; return 1; }
    expect 0 "$ponder" plot x.jsonl y.jsonl --by budget --svg p.svg --csv p.csv --title 'a & b' && empty out && has p.csv 'bon,16,1,' &&
        has p.svg 'a &amp; b' || return 1
    rows "" 1 >none.jsonl
    refuses 1 'names no task, search and model' "$ponder" plot a.jsonl && refuses 1 'no.jsonl: cannot be read' "$ponder" plot no.jsonl &&
        refuses 2 'files of results are missing' "$ponder" plot && refuses 2 '"speed" is none of' "$ponder" plot x.jsonl --by speed &&
        refuses 1 'no/p.svg: cannot be written' "$ponder" plot x.jsonl --svg no/p.svg
}
t_headers_describe_their_models() {
    expect 0 "$ponder" "${run[@]}" --limit 1 -m game24-policy-small -o h.jsonl &&
        has h.jsonl '"policy":{"name":"game24-policy-small","weights":' && has h.jsonl '"reward_model":{"name":"game24-prm","weights":'
}

run_tests "${2:-}"
