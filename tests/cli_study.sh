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
    expect 0 "$ponder" plot --table x.jsonl y.jsonl && [ "$(wc -l <out)" = 4 ] && has out '| m | bon | 4 | none | 2/3, 66.7% | 20.8-93.9 | 10 | 0 |' || return 1
    rows 1 1 >w.jsonl
    refuses 1 'names no task, search and model' "$ponder" plot w.jsonl && refuses 1 'no.jsonl: cannot be read' "$ponder" plot no.jsonl &&
        refuses 2 'files of results are missing' "$ponder" plot && refuses 2 '"speed" is none of' "$ponder" plot x.jsonl --by speed &&
        refuses 1 'no/p.svg: cannot be written' "$ponder" plot x.jsonl --svg no/p.svg
}
# row_file NAME SEARCH BUDGET POLICY FLOPS RIGHT: as rows, of a policy that costs FLOPS a token.
row_file() {
    rows "$6" "$5" | sed "1s/}\$/,\"search\":\"$2\",\"model\":\"$4\",\"policy\":{\"name\":\"$4\",\"weights\":$5,\"flops_per_token\":$5},\"budget\":$3,\"problems\":10}/" >"$1"
}
# Ten problems; the small policy has 1, 2 and 3 right the more easily the smaller the number.  Ids sort as texts: 1, 10, 2, ...
t_study_from_rows() {
    rm -rf st && mkdir st || return 1
    row_file st/samples.a.jsonl maj 1 small 10 1110000000 && row_file st/samples.b.jsonl maj 1 small 10 1000000000 &&
        row_file st/main.s1.jsonl greedy 1 small 10 1100000000 && row_file st/main.l1.jsonl greedy 1 large 140 1111100000 &&
        row_file st/main.s2.jsonl bon 16 small 100 1110100000 && row_file st/main.s3.jsonl mcts 16 small 120 1111011000 &&
        row_file st/main.l2.jsonl mcts 16 large 900 1111111110 || return 1
    echo '{"step":1,"n":50,"auc":0.75,"ece":0.1}' >st/calibration.game24.small.jsonl
    head -n 4 st/main.s2.jsonl >st/main.torn.jsonl && echo nonsense >st/main.bad.jsonl && echo 'widths.x: it broke' >st/failures.txt || return 1
    expect 0 "$ponder" study st -o page && has page/report.html 'main.torn.jsonl: holds 3 of 10 problems' && has page/report.html 'main.bad.jsonl: holds something else' && has page/report.html 'widths.x: it broke' || return 1
    has page/strategies-total.game24.small.csv 'mcts,240,0.6,' && has page/strategies-policy-only.game24.small.csv 'mcts,120,0.6,' || return 1
    has page/sizes-total.game24.mcts.csv 'large,1800,0.9,' && has page/calibration.csv 'game24.small AUC,1,0.75,' || return 1
    # Fifths: 1 2 | 3 10 | 4 5 | 6 7 | 8 9: problem 1 has two right chains of two, 2 and 3 one, the others none; ids as texts.
    has page/bins.game24.small.csv 'bon 16,1,1,' && has page/bins.game24.small.csv 'bon 16,2,0.5,' && has page/bins.game24.small.csv 'mcts 16,4,1,' &&
        has page/bins.game24.small.csv 'mcts 16,5,0,' || { cat page/bins.game24.small.csv >&2; return 1; }
    # Shares: 1 2 3 are right in half of the chains or more.
    has page/shares.game24.small.csv 'bon 16,1,1,' && has page/shares.game24.small.csv 'bon 16,4,0.142857,' || return 1
    # One half of a bin chooses for the other, ties go to the cheaper bon: 2 + 1 + 0 + 2 + 0 right.  Only bon is right on 5 and
    # only mcts on 4, so each chooses the wrong one for the other; who chose and answered by the same half would have 7.
    has page/optimal-total.game24.small.csv 'best of each bin,212,0.5,' || { cat page/optimal-total.game24.small.csv >&2; return 1; }
    # The larger model costs 14 times as much: at R = 22 the small one may spend 14 + 39/22.
    has page/exchange-total.game24.csv '"bin 1, larger, greedy",15.7727,1,' && has page/exchange-total.game24.csv '"bin 4, search",' || { cat page/exchange-total.game24.csv >&2; return 1; }
    # bon and mcts of the small one cost less than the large one's greedy answers, and are compared with them.
    has page/report.html '<td>large greedy 1</td><td>small mcts 16</td><td class="n">10</td><td class="n">50.0%</td><td class="n">60.0%</td>' || return 1
    # A name from a file leads nowhere else, and is text on the page.
    mkdir -p evil && sed '1s,"small","../<b>|x",g' st/main.s3.jsonl >evil/main.x.jsonl || return 1
    expect 0 "$ponder" study evil -o page2 && [ -s 'page2/strategies-total.game24...__b__x.csv' ] && has page2/report.html '&lt;b&gt;' && lacks page2/report.html '<b>' || { ls page2 >&2; return 1; }
    refuses 1 'no/rows: No such file' "$ponder" study no/rows -o page && mkdir -p none && refuses 1 'holds no finished' "$ponder" study none -o page &&
        refuses 2 'one folder of results' "$ponder" study -o page && refuses 2 '--out is missing' "$ponder" study st
}
# Four processes share the runs; one is killed, and the others do its part.
t_a_study_of_four_processes() {
    local i pids=()
    sanitized && return 77
    [ -x "$here/../bench/study.sh" ] || return 77
    for i in 1 2 3 4; do
        STUDY_N=2 STUDY_SEEDS=1 STUDY_BUDGETS=4 STUDY_MCTS=16 STUDY_NOISES=2 STUDY_POLICIES=game24-policy-small STUDY_THREADS=1 \
            "$here/../bench/study.sh" quick "$dir/four" "$ponder" >four.$i 2>&1 &
        pids+=($!)
    done
    sleep 0.5
    kill -9 "${pids[1]}"
    for i in 0 2 3; do wait "${pids[i]}" || { cat four.$((i + 1)) >&2; return 1; }; done
    [ ! -s four/rows/failures.txt ] && [ -s four/report/report.html ] && lacks four/report/report.html 'of 2 problems' || { cat four.? >&2; return 1; }
    [ "$(ls four/rows/*.jsonl | wc -l)" = "$(grep -h '^study: ' four.? | sort -u | wc -l)" ] || { say "rows are missing"; return 1; }
    local first=four/rows/main.game24.game24-policy-small.bon.4.jsonl
    [ "$(grep -c '"id"' $first)" = 2 ]
}
# Errors belong to the chain, not to when or where it is valued.
t_judges_that_err() {
    local noisy=("${run[@]}" --prm oracle --value-noise 3)
    expect 0 "$ponder" "${run[@]}" --prm oracle --in-flight 2 -o exact.jsonl && expect 0 "$ponder" "${noisy[@]}" --in-flight 1 -o n1.jsonl &&
        expect 0 "$ponder" "${noisy[@]}" -t 2 --in-flight 5 -o n2.jsonl && has n1.jsonl '"value_noise":3.0' && lacks exact.jsonl value_noise || return 1
    plain n1.jsonl >a && plain n2.jsonl >b && same a b || return 1
    sed '1d; s/.*"value":\([^,]*\),.*/\1/' n1.jsonl | awk '$1 <= 0 || $1 >= 1 { bad = 1 } END { exit bad }' || { say "values out of (0, 1)"; return 1; }
    plain exact.jsonl >b && ! cmp -s a b || { say "no noise"; return 1; }
    refuses 2 'value-noise: --search greedy does not use it' "$ponder" eval --input p.txt --search greedy --value-noise 1
}
t_pages_say_what_the_rows_say() {
    [ -x "$here/../bench/results.sh" ] || return 77
    expect 0 "$here/../bench/results.sh" --check "$ponder"
}
t_headers_describe_their_models() {
    expect 0 "$ponder" "${run[@]}" --limit 1 -m game24-policy-small -o h.jsonl &&
        has h.jsonl '"policy":{"name":"game24-policy-small","weights":' && has h.jsonl '"reward_model":{"name":"game24-prm","weights":'
}

run_tests "${2:-}"
