#!/usr/bin/env bash
# cli_tree.sh PONDER: search trees in files: written, killed, gone on with, made again, compared, drawn, damaged.
# Not what lines mean: test_tree_read.c, test_cassette.c.
# Next: tests/cli_search.sh.
. "$(dirname "$0")/shell.sh"

write() { "$ponder" solve -q -t 1 --trace "$1" "${@:2}" >answer 2>err || { cat err >&2; return 1; }; }

t_the_file_depends_on_settings_and_models_only() {
    write a.jsonl --search mcts --budget 40 "4 7 8 8" && write b.jsonl --search mcts --budget 40 -t 3 --kv-mb 1 "4 7 8 8" && same a.jsonl b.jsonl || return 1
    write c.jsonl --search mcts --budget 40 --seed 2 "4 7 8 8" && ! cmp -s a.jsonl c.jsonl
}
t_killed_at_any_line_it_goes_on_to_the_same_file() {
    local search n k
    for search in mcts "weighted --max-tokens 300" "beam --check"; do
        # shellcheck disable=SC2086
        write whole.jsonl --search $search --budget 12 "3 3 8 8" || [ -s whole.jsonl ] || return 1
        n=$(wc -l <whole.jsonl)
        for k in 1 2 3 $((n / 7)) $((n / 3)) $((n / 2)) $((n - n / 4)) $((n - 1)); do
            { head -n "$k" whole.jsonl; printf '{"event":"ma'; } >part.jsonl
            "$ponder" tree resume -t 1 part.jsonl >out 2>err
            same whole.jsonl part.jsonl || { say "$search, $k lines: $(tail -n 1 err)"; return 1; }
        done
    done
}
t_kill_minus_nine() {
    write whole.jsonl --search bon --budget 200 "3 3 8 8"
    "$ponder" solve -q -t 1 --trace part.jsonl --search bon --budget 200 "3 3 8 8" >out 2>err &
    local pid=$! i
    for i in $(seq 200); do
        [ "$(cat part.jsonl 2>/dev/null | wc -l)" -gt 40 ] && break
        sleep 0.02
    done
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    [ "$(wc -c <part.jsonl)" -lt "$(wc -c <whole.jsonl)" ] || return 77 # it was faster than the kill
    "$ponder" tree resume -t 1 part.jsonl >out 2>err
    same whole.jsonl part.jsonl
}
t_stopped_by_the_user_it_goes_on_too() {
    write whole.jsonl --search bon --budget 200 "3 3 8 8"
    "$ponder" solve -q -t 1 --trace part.jsonl --search bon --budget 200 "3 3 8 8" >out 2>err &
    local pid=$! i
    for i in $(seq 200); do
        [ "$(cat part.jsonl 2>/dev/null | wc -l)" -gt 40 ] && break
        sleep 0.02
    done
    kill -INT $pid 2>/dev/null
    wait $pid 2>/dev/null
    [ "$(wc -c <part.jsonl)" -lt "$(wc -c <whole.jsonl)" ] || return 77 # it was faster
    expect 0 "$ponder" tree show part.jsonl && has out 'no end' || return 1
    "$ponder" tree resume -t 1 part.jsonl >out 2>err
    same whole.jsonl part.jsonl
}
t_replay_needs_no_model() {
    local search
    for search in greedy bon maj beam mcts tokenbeam; do
        write a.jsonl --search $search "4 7 8 8"
        "$ponder" tree replay a.jsonl >out 2>err
        has err "$(wc -l <a.jsonl) of $(wc -l <a.jsonl) lines came again" || { say "$search"; return 1; }
    done
    [ "$(sed 's/   .*//;q' answer)" = "$(cat out)" ] || { say "another answer: $(cat out)"; return 1; }
    head -n 20 a.jsonl >part.jsonl
    refuses 1 'ponder tree resume goes on with it' "$ponder" tree replay part.jsonl || return 1
    sed '5s/"logprob":-[0-9]/"logprob":-9/' a.jsonl >changed.jsonl
    expect 1 "$ponder" tree replay changed.jsonl && has err 'changed.jsonl:5: the search goes another way'
}
t_show_stats_check() {
    write a.jsonl --search mcts --budget 40 "4 7 8 8" || return 1
    expect 0 "$ponder" tree show a.jsonl && has out visits && has out 'answer: ' && has out 'GFLOP' && lacks out $'\033' || return 1
    expect 0 "$ponder" tree stats a.jsonl --json && one_line out && has out '"complete":true' && has out '"why":"solved"' || return 1
    expect 0 "$ponder" tree check a.jsonl && has out complete || return 1
    head -n 9 a.jsonl >part.jsonl
    expect 0 "$ponder" tree show part.jsonl && has out 'no end' && expect 0 "$ponder" tree check part.jsonl && has out 'no end'
}
t_export() {
    write a.jsonl --search mcts --budget 40 "4 7 8 8" && write b.jsonl --search beam "4 7 8 8" || return 1
    expect 0 "$ponder" tree export --format dot a.jsonl && has out 'digraph' || return 1
    expect 0 "$ponder" tree export -o a.svg a.jsonl && has a.svg '</svg>' || return 1
    expect 0 "$ponder" tree export --format json a.jsonl && has out '"picked":true' || return 1
    expect 0 "$ponder" tree export -o two.html a.jsonl b.jsonl && has two.html 'id="saved"' && lacks two.html 'http://' || return 1
    refuses 2 'takes one file' "$ponder" tree export --format dot a.jsonl b.jsonl && refuses 2 '--format is missing' "$ponder" tree export a.jsonl
}
t_rescore() {
    write a.jsonl --search mcts --budget 60 --stop-value 2 "4 7 8 8" || return 1
    expect 0 "$ponder" tree rescore a.jsonl --judge embedded -t 1 && has out ', 0 of ' && has out 'correlation of finished chains' || return 1
    [ "$(sed -n 's/^was: //p' out)" = "$(sed -n 's/^now: //p' out)" ] || { cat out; return 1; } # the same judge, the same bits
    expect 0 "$ponder" tree rescore a.jsonl --judge oracle && has out 'value 1.0000' && expect 0 "$ponder" tree rescore a.jsonl --judge logprob || return 1
    refuses 1 '--judge ptrue' "$ponder" tree rescore a.jsonl --judge ptrue && refuses 2 '--judge is missing' "$ponder" tree rescore a.jsonl &&
        refuses 1 '/no/such' "$ponder" tree rescore a.jsonl --judge /no/such
}
t_explain() {
    "$ponder" solve -q -t 1 --search weighted --budget 12 --explain "4 7 8 8" >out 2>err && has err 'why this answer: the answer with most votes' &&
        has err 'runner-up: ' && has err 'its steps:' || return 1
    write a.jsonl --search mcts --budget 60 --explain "4 7 8 8" && has err 'the finished chain of the largest value' || return 1
    expect 0 "$ponder" tree show --explain a.jsonl && has out "$(grep 'why this answer' err)" || return 1
    "$ponder" solve -q -t 1 --search bon --budget 1 --max-depth 1 --explain "4 7 8 8" >out 2>err
    has err 'why no answer'
}
t_run_writes_them_too() {
    local run=("$ponder" run -t 1 --seed 3 --temp 0.7 --search maj --budget 4 --max-step-tokens 12 -n 40 -p " 4 7 8 8")
    "${run[@]}" --trace a.jsonl --explain >answer 2>err
    [ -s a.jsonl ] && has err 'why' && has a.jsonl '"event":"done"' || return 1
    head -n 4 a.jsonl >part.jsonl
    "$ponder" tree resume -t 1 part.jsonl >out 2>err
    same a.jsonl part.jsonl && refuses 2 'needs --search' "$ponder" run --trace b.jsonl -p x
}
t_diff() {
    write a.jsonl --search mcts --budget 40 "4 7 8 8" || return 1
    expect 0 "$ponder" tree diff a.jsonl a.jsonl && empty out || return 1
    sed 's/"text":" 8 - 7 = 1/"text":" 8 - 7 = 2/' a.jsonl >b.jsonl
    expect 1 "$ponder" tree diff a.jsonl b.jsonl && has out '8 - 7 = 2'
}
t_damaged_files_name_line_and_field() {
    write a.jsonl --search mcts --budget 40 "4 7 8 8" || return 1
    sed '4s/"depth":1/"depth":7/; 6s/"tokens":/"token":/' a.jsonl >bad.jsonl
    refuses 1 'bad.jsonl:4: "depth": 7' "$ponder" tree show bad.jsonl || return 1
    expect 1 "$ponder" tree check bad.jsonl && has out 'bad.jsonl:4: "depth": 7' && has out 'bad.jsonl:6: "token"' || return 1
    sed '1s/"hash":"[0-9a-f]*"/"hash":"0123456789abcdef"/' a.jsonl | head -n 30 >other.jsonl
    refuses 1 'another model' "$ponder" tree resume -t 1 other.jsonl || return 1
    sed '1s/"options":{/"options":{"speed":9,/' a.jsonl | head -n 30 >other.jsonl
    refuses 1 '"speed"' "$ponder" tree resume other.jsonl || return 1
    : >empty.jsonl
    refuses 1 'header' "$ponder" tree show empty.jsonl && refuses 1 'missing.jsonl' "$ponder" tree show missing.jsonl || return 1
    expect 1 "$ponder" tree check other.jsonl && has out speed || return 1
    printf '{"format":"ponder-results"}\n' >results.jsonl
    refuses 1 '"format"' "$ponder" tree show results.jsonl && head -c 3000 /dev/urandom >noise && expect 1 "$ponder" tree show noise
}
t_wrong_use() {
    refuses 2 'verb is missing' "$ponder" tree && refuses 2 '"burn" is none of' "$ponder" tree burn x && refuses 2 'takes one file' "$ponder" tree show &&
        refuses 2 'takes two files' "$ponder" tree diff x && refuses 2 '--json: show has no use' "$ponder" tree show --json x &&
        refuses 1 '--trace /no/such' "$ponder" solve -q --trace /no/such/file "4 7 8 8"
}
t_a_full_disk_is_an_error() {
    [ -e /dev/full ] || return 77
    refuses 1 'could not be written' "$ponder" solve -q -t 1 --trace /dev/full --search bon --budget 4 "4 7 8 8"
}

run_tests "${2:-}"
