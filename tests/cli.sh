#!/usr/bin/env bash
# cli.sh PONDER: the binary from outside: exit codes, streams, files, signals.  Needs models inside the binary.
. "$(dirname "$0")/shell.sh"
small=(--search mcts --budget 16)

# field NAME FILE: a number of the JSON object in the last line
field() { tail -n 1 "$2" | sed -n "s/.*\"$1\":\([-0-9.e+]*\).*/\1/p"; }
# What must not depend on time, threads and interruptions.
counts() { tail -n 1 "$1" | grep -o '"\(n\|correct\|accuracy\|generated_tokens\|prm_tokens\|policy_flops\|prm_flops\|forks\|shared_tokens\|simulations\)":[-0-9.e+]*'; }
puzzles() { printf '%s\n' "4 7 8 8" "2 3 5 12" "1 5 5 5" "1 1 4 6" "6 6 6 6" "3 3 8 8" "1 2 3 4" "2 2 6 9" "5 5 5 9" "4 4 10 10" "1 3 4 6" "1 4 5 6"; }
puzzles >puzzles.txt

t_no_arguments_show_the_usage() { expect 2 "$ponder" && empty out && has err 'ponder "4 7 8 8"'; }
# Libraries that take memory and start threads just by being there would hang or die here.
t_little_memory_is_enough_to_say_the_version() {
    sanitized && return 77
    local kb
    for kb in 120000 60000; do
        (ulimit -v $kb && timeout 20 "$ponder" --version) >out 2>err </dev/null || { say "$kb KB: $? $(head -c 200 err)"; return 1; }
        has out ponder && empty err || return 1
    done
}
t_help_of_every_command() {
    local c
    expect 0 "$ponder" --help && has out solve && empty err || return 1
    for c in solve run chat eval generate judge calibrate train label logits inspect quantize tokenize detokenize perplexity; do
        expect 0 "$ponder" "$c" --help && empty err && has out "usage: ponder $c" && has out --help || return 1
    done
}
t_completion_knows_commands_and_flags() {
    expect 0 "$ponder" --completion-bash && empty err && cp out ponder.bash || return 1
    reply() { # COMMAND-LINE-WORDS...: what the last one becomes
        bash -c 'source ./ponder.bash; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ponder; echo "${COMPREPLY[*]}"' - "$@"
    }
    [ "$(reply "$ponder" qua)" = quantize ] && [ "$(reply "$ponder" run --repeat-p)" = --repeat-penalty ] &&
        [ "$(reply "$ponder" solve --max-s)" = --max-step-tokens ] && [ -z "$(reply "$ponder" run text)" ]
}
t_version() { expect 0 "$ponder" --version && one_line out && has out "ponder " && has out "stb_ds"; }

t_nonsense_gets_one_clear_line() {
    refuses 2 'hello world' "$ponder" "hello world" &&
        refuses 2 'game24 takes 4' "$ponder" "4 7 8" &&
        refuses 2 '5 numbers' "$ponder" "4 7 8 8 9" &&
        refuses 2 '99999' "$ponder" "4 7 8 99999" &&
        refuses 2 '"-3' "$ponder" solve "4 7 8 -3" &&
        refuses 2 'problem is missing' "$ponder" solve &&
        refuses 2 'is not allowed' "$ponder" $'4 7 8 \033[31m8'
}
t_wrong_flags_name_flag_value_and_range() {
    refuses 2 '--budget: "abc" is not a whole number from 1 to' "$ponder" solve --budget abc "4 7 8 8" &&
        refuses 2 '--budget: "0"' "$ponder" solve --budget 0 "4 7 8 8" &&
        refuses 2 '--budget: "4.5"' "$ponder" solve --budget=4.5 "4 7 8 8" &&
        refuses 2 '--threads: "-2"' "$ponder" solve -t -2 "4 7 8 8" &&
        refuses 2 '--threads: "1000000"' "$ponder" solve -t 1000000 "4 7 8 8" &&
        refuses 2 '--seed: "99999999999999999999"' "$ponder" solve --seed 99999999999999999999 "4 7 8 8" &&
        refuses 2 '--temp: "nan"' "$ponder" solve --temp nan "4 7 8 8" &&
        refuses 2 '--pick: "x" is none of best|' "$ponder" solve --pick x "4 7 8 8" &&
        refuses 2 '--search: "nope" is none of' "$ponder" solve --search nope "4 7 8 8" &&
        refuses 2 '--task: "chess"' "$ponder" solve --task chess "4 7 8 8" &&
        refuses 2 'unknown flag --bugdet' "$ponder" solve --bugdet 3 "4 7 8 8" &&
        refuses 2 '--budget: a value is missing' "$ponder" solve "4 7 8 8" --budget &&
        refuses 2 '--json takes no value' "$ponder" solve --json=1 "4 7 8 8" &&
        refuses 2 '--input is missing' "$ponder" eval &&
        refuses 2 'one of policy, prm' "$ponder" train &&
        refuses 2 'multiple of 4' "$ponder" train policy --out x.gguf --batch 6
}

t_flags_of_other_strategies_are_refused() {
    refuses 2 '--pick: --search bon does not use it; those that do: ' "$ponder" solve --search bon --pick majority "4 7 8 8" &&
        refuses 2 '--temp: --search greedy does not use it' "$ponder" solve --search greedy --temp 1 "4 7 8 8" &&
        refuses 2 '--budget: --search greedy does not use it' "$ponder" solve --search greedy --budget 4 "4 7 8 8" &&
        refuses 2 '--agg: --search maj does not use it' "$ponder" solve --agg min --search maj "4 7 8 8" &&
        refuses 2 '--prm: --search maj does not use it' "$ponder" solve --prm embedded --search maj "4 7 8 8" &&
        refuses 2 '--verifier: --search greedy does not use it' "$ponder" eval -i puzzles.txt --verifier ptrue --search greedy &&
        refuses 2 '--model-draft: --search bon does not use it' "$ponder" solve -md embedded --search bon "4 7 8 8" &&
        refuses 2 '--stop-value: --search maj does not use it' "$ponder" solve --stop-value 0.5 --search maj "4 7 8 8" &&
        refuses 2 '--c-puct: --search beam does not use it; those that do: mcts' "$ponder" eval -i puzzles.txt --c-puct 1 --search beam &&
        refuses 2 '--c-puct: "-1" is not a number from 0 to' "$ponder" solve --c-puct -1 "4 7 8 8" &&
        refuses 2 '--beam-width: "x" is not a whole number' "$ponder" solve --search beam --beam-width x "4 7 8 8" &&
        refuses 2 '--c-puct: needs --search' "$ponder" run -p x --c-puct 3
}
# Rows make the list, the headers and the flags: what one says the others know.
t_strategies_describe_themselves() {
    local name flag
    expect 0 "$ponder" strategies && has out 'greedy ' && has out 'mcts ' && empty err || return 1
    "$ponder" strategies | awk 'NF > 1 && !/^ponder/ { print $1 }' >names
    [ "$(wc -l <names)" -ge 6 ] || return 1
    "$ponder" solve --help >help
    while read -r name; do
        expect 0 "$ponder" strategies "$name" && has out "$name: " && has out 'source: ' && has out 'needs: ' || return 1
        for flag in $(grep -o '^  --[a-z-]*' out | grep -v -- --budget); do has help "$flag " || return 1; done
    done <names
    expect 0 "$ponder" strategies mcts --json && has out '"flag":"c-puct"' && has out '"default":256,"default_words":64' || return 1
    "$ponder" -q --search bon --budget 2 --json "4 7 8 8" >out 2>err
    has out '"stop_value":2.0' && lacks out c_puct && lacks out '"pick"' && lacks out beam_width || return 1
    "$ponder" -q --search greedy --json "4 7 8 8" >out 2>err
    lacks out '"temp"' && lacks out '"agg"' && lacks out '"batch"' || return 1
    refuses 2 '"nope" is none of greedy' "$ponder" strategies nope && refuses 2 'one name at a time' "$ponder" strategies bon maj
}

# The answer line is true: its value is what awk computes, its verdict says whether that is 24, the exit code agrees.
t_the_answer_is_what_it_says() {
    local p code line expression value
    while read -r p; do
        "$ponder" -q "${small[@]}" "$p" >out 2>err </dev/null
        code=$?
        [ "$(wc -l <out)" = 2 ] || { say "stdout has not two lines"; return 1; }
        tail -n 1 out | grep -q '^cost: .* policy + .* PRM tokens, .* forks, .* pages copied, .* saved by sharing, .* s$' || return 1
        empty err || return 1
        line=$(head -n 1 out) expression=${line%% = *} value=${line#* = }
        value=${value%% *}
        case $line in *"   right") [ "$code" = 0 ] && [ "$value" = 24 ] || { say "$p: $line, exit code $code"; return 1; } ;;
            *) [ "$code" = 1 ] || { say "$p: $line, exit code $code"; return 1; } ;; esac
        case $line in *=*' = 24   right') ;; *' = 24   right')
            awk "BEGIN { x = $expression - 24; exit !(x < 1e-9 && x > -1e-9) }" || { say "$p: $line"; return 1; } ;; esac
    done < <(head -n 6 puzzles.txt)
}
t_the_checker_during_the_search_when_asked_for() {
    expect 0 "$ponder" -q --budget 256 --prm oracle --check --json "1 2 3 4" && has out '"correct":true' && has out '"check":true'
}
t_words_make_the_same_puzzle_and_the_bare_form_is_solve() {
    "$ponder" solve -q "${small[@]}" --json 4 7 8 8 2>err | sed 's/"ms":[^,]*//' >one
    "$ponder" "4,7,8,8" "${small[@]}" -q --json 2>err | sed 's/"ms":[^,]*//' >two
    "$ponder" "${small[@]}" -q --json "4 7 8 8" 2>err | sed 's/"ms":[^,]*//' >three
    has one '"problem":"4 7 8 8 -> 24"' && same one two && same one three
}
t_models_inside_have_names() {
    "$ponder" -q -m game24-policy --prm game24-prm "${small[@]}" --json "4 7 8 8" 2>err | sed 's/"ms":[^,]*//' >one
    "$ponder" -q "${small[@]}" --json "4 7 8 8" 2>err | sed 's/"ms":[^,]*//' >two
    same one two && "$ponder" -q -m game24-policy-small "${small[@]}" --json "4 7 8 8" >out 2>err
    has out '"simulations":'
}
t_another_target_is_countdown() { "$ponder" -q "${small[@]}" --json "2 3 7 -> 42" >out 2>err; has out '"task":"countdown"'; }
t_a_search_needs_its_reward_model() { refuses 1 'needs a reward model' "$ponder" -q --prm none "4 7 8 8"; }
t_a_search_says_what_it_lacks() {
    refuses 1 '--search draft needs a draft model: give --model-draft FILE' "$ponder" -q --search draft "4 7 8 8" &&
        refuses 1 '--search refine needs a prompt to revise: --task game24 has none' "$ponder" -q --search refine "4 7 8 8"
}
t_a_draft_model_writes_steps() {
    "$ponder" -q --search draft --budget 4 -md game24-policy-small --accept-from 0.3 --json "4 7 8 8" >out 2>err || return 1
    [ "$(jq '.draft_steps > 0' out)" = true ] && has out '"policy_steps":' || { cat out; return 1; }
    "$ponder" -q --search draft --budget 4 -md game24-policy-small --accept likelihood --prm none --json "4 7 8 8" >out 2>err &&
        has out '"prm_tokens":0' && refuses 1 'no_such.gguf: cannot open' "$ponder" -q --search draft -md no_such.gguf "4 7 8 8"
}
t_a_binary_without_a_file_says_which() {
    mkdir -p folder
    : >nothing.gguf
    printf 'this is no model file, only text' >text.gguf
    refuses 1 missing.gguf "$ponder" -q -m missing.gguf "4 7 8 8" &&
        refuses 1 folder "$ponder" inspect folder &&
        refuses 1 nothing.gguf "$ponder" inspect nothing.gguf &&
        refuses 1 text.gguf "$ponder" run -m text.gguf -p x &&
        refuses 1 'missing.txt' "$ponder" eval --input missing.txt
}

t_tree_on_stderr_fits_80_columns() {
    "$ponder" "${small[@]}" "4 7 8 8" >out 2>err
    has err visits && has err 'greedy: ' && has err '`- ' && lacks err $'\033' || return 1
    awk 'length > 80 { exit 1 }' err || { say "a line is too long"; return 1; }
    LC_ALL=C.UTF-8 "$ponder" "${small[@]}" "4 7 8 8" 2>err >out
    has err '└─ '
}
t_colors_by_the_rules() {
    CLICOLOR_FORCE=1 "$ponder" "${small[@]}" "4 7 8 8" >out 2>err
    has err $'\033[3' || return 1
    CLICOLOR_FORCE=1 "$ponder" --search greedy "4 7 8 8" >out 2>err
    has out $'\033[1;3' || return 1
    CLICOLOR_FORCE=1 NO_COLOR=1 "$ponder" "${small[@]}" "4 7 8 8" >out 2>err
    lacks err $'\033' && lacks out $'\033' || return 1
    local flag
    for flag in --color --color=on '-co on'; do # the last word of the line: --color alone must not take the puzzle
        NO_COLOR=1 "$ponder" --search greedy $flag "4 7 8 8" >out 2>err
        has out $'\033[1;3' || { say "of $flag"; return 1; }
    done
    for flag in --no-color '--color off'; do
        CLICOLOR_FORCE=1 "$ponder" --search greedy $flag "4 7 8 8" >out 2>err
        lacks out $'\033' || { say "of $flag"; return 1; }
    done
    refuses 2 '--color: "maybe" is none of on|off|auto' "$ponder" --color=maybe "4 7 8 8"
}
# On a terminal: drawn in place and coloured, unless told not to.
on_terminal() { env "$@" script -qec "stty cols 60 rows 24; $ponder ${small[*]} --budget 48 '4 7 8 8'" /dev/null </dev/null >tty 2>&1; }
t_terminal_is_drawn_in_place() {
    on_terminal TERM=xterm
    has tty $'\033[K' && has tty $'A\r' && has tty $'\033[3' || return 1
    sed 's/\r$//; s/\x1b\[[0-9;]*[A-Za-z]//g; s/\r//g' tty | grep -v '^cost' | awk 'length > 60 { exit 1 }' || { say "wider than the terminal"; return 1; }
    on_terminal TERM=xterm NO_COLOR=1
    has tty $'\033[K' && lacks tty $'\033[3' || return 1
    on_terminal TERM=dumb
    lacks tty $'\033['
}

t_same_seed_same_search_on_any_threads() {
    local isa t
    "$ponder" -q --budget 32 --json -t 1 "4 7 8 8" 2>err | sed 's/"ms":[^,]*//' >one
    for t in 2 3; do
        "$ponder" -q --budget 32 --json -t $t "4 7 8 8" 2>err | sed 's/"ms":[^,]*//' >two
        same one two || return 1
    done
    PONDER_ISA=scalar "$ponder" -q --budget 32 --json -t 1 "4 7 8 8" 2>err | sed 's/"ms":[^,]*//' >two
    same one two
}

run_eval() { "$ponder" eval --input puzzles.txt "${small[@]}" --json "$@"; }
t_eval_summary() {
    expect 0 run_eval && one_line out || return 1
    local f
    grep -q '^{"task":"game24","search":"mcts","budget":16,"n":12,"correct":[0-9]*,"accuracy":[0-9.]*,"ci95":\[[0-9.]*,[0-9.]*\],"generated_tokens":[0-9]*,"prm_tokens":[0-9]*,"policy_flops":[0-9]*,"prm_flops":[0-9]*,"seconds":[0-9.]*,' out || { cat out >&2; return 1; }
    for f in median_ms forks pages_copied shared_tokens threads seed git why; do has out "\"$f\":" || return 1; done
}
t_eval_is_the_same_alone_and_in_a_crowd() {
    run_eval -t 1 --in-flight 1 -o alone.jsonl >out 2>err
    counts out >one
    run_eval -t 2 --in-flight 6 -o crowd.jsonl >out 2>err
    counts out >two
    same one two || return 1
    for f in alone crowd; do sed '1d; s/,"ms".*//' $f.jsonl >$f; done
    [ "$(wc -l <alone)" = 12 ] && same alone crowd
}
t_eval_agrees_with_solve() {
    run_eval --limit 1 -o one.jsonl >out 2>err
    "$ponder" -q "${small[@]}" --json "4 7 8 8" >out 2>err
    sed '1d; s/.*"answer":\(.*\),"ms".*/\1/' one.jsonl >one
    sed 's/.*"answer":\(.*\),"ms".*/\1/' out >two
    same one two
}
t_eval_table_for_people() { expect 0 "$ponder" eval --input puzzles.txt --search greedy --limit 3 && has out 'right ' && has out ' of 3:' && has out 'cost: '; }
t_eval_reads_jsonl_and_samples() {
    printf '%s\n' '# a comment' '' '{"id":"a","task":"game24","problem":"4 7 8 8"}' '{"id":"b","problem":[1,2,3,4]}' '1 1 4 6' >mixed.txt
    expect 0 "$ponder" eval --input mixed.txt --search greedy --json -o mixed.jsonl && has out '"n":3' || return 1
    has mixed.jsonl '"id":"a"' && has mixed.jsonl '"id":"5"' || return 1
    "$ponder" eval --input puzzles.txt --search greedy --sample 4 --seed 3 --json -o s1.jsonl >out 2>err && has out '"n":4' || return 1
    "$ponder" eval --input puzzles.txt --search greedy --sample 4 --seed 4 --json -o s2.jsonl >out 2>err
    [ "$(cut -d, -f1 <s1.jsonl | sed 1d)" != "$(cut -d, -f1 <s2.jsonl | sed 1d)" ] || { say "two seeds, one sample"; return 1; }
}
t_eval_bad_input_names_the_line() {
    printf '4 7 8 8\n4 7 x 8\n' >bad.txt
    refuses 1 'bad.txt: line 2' "$ponder" eval --input bad.txt &&
        printf '{"id":"a","problem":"4 7 8 8"}\n{"id":"a","problem":"1 2 3 4"}\n' >bad.txt && refuses 1 'the id "a"' "$ponder" eval --input bad.txt &&
        : >bad.txt && refuses 1 'no problem' "$ponder" eval --input bad.txt &&
        printf '4 7 8\0 8\n' >bad.txt && refuses 1 'NUL' "$ponder" eval --input bad.txt
}

# A finished run to compare with, made once.
whole_run() {
    [ -s whole.out ] && return
    for i in 1 2; do puzzles; done >many.txt
    "$ponder" "${many[@]}" -o whole.jsonl >whole.out 2>err
}
many=(eval --input many.txt -m game24-policy-small "${small[@]}" --json -t 1 --in-flight 2)
many() { "$ponder" "${many[@]}" "$@"; }
# started FILE: waits until FILE holds at least 4 lines
started() {
    local i
    for i in $(seq 600); do
        [ -f "$1" ] && [ "$(wc -l <"$1")" -ge 4 ] && return 0
        sleep 0.02
    done
    say "$1 did not grow"
    return 1
}
is_whole() { # the resumed FILE holds every problem once, in order, with the results of the uninterrupted run
    sed '1d; s/,"ms".*//' whole.jsonl >a
    sed '1d; s/,"ms".*//' "$1" >b
    [ "$(wc -l <b)" = 24 ] || { say "$(wc -l <b) lines"; return 1; }
    same a b
}
# interrupt SIGNAL FILE: a run into FILE that got SIGNAL before it was over; its exit code is in `code`.
interrupt() {
    local try pid
    for try in 1 2 3 4 5; do
        rm -f "$2"
        "$ponder" "${many[@]}" -o "$2" >out 2>err &
        pid=$!
        started "$2" || return 1
        kill -"$1" $pid 2>/dev/null
        wait $pid 2>/dev/null
        code=$?
        [ "$(wc -l <"$2")" -lt 25 ] && return 0
    done
    say "five runs were over before the signal came"
    return 1
}
t_kill_9_in_the_middle_of_an_eval_loses_nothing() {
    whole_run
    interrupt KILL killed.jsonl && [ "$code" = 137 ] || return 1
    expect 0 many -o killed.jsonl || return 1
    counts whole.out >one
    counts out >two
    same one two && is_whole killed.jsonl
}
t_a_torn_last_line_is_redone() {
    whole_run
    local cut
    for cut in 1 30 300 700; do
        head -c -$cut whole.jsonl >torn.jsonl
        expect 0 many -o torn.jsonl || return 1
        counts whole.out >one
        counts out >two
        same one two && is_whole torn.jsonl || { say "cut by $cut bytes"; return 1; }
    done
    head -c 100 whole.jsonl >torn.jsonl # not even the header
    expect 0 many -o torn.jsonl && is_whole torn.jsonl
}
t_a_finished_eval_is_not_run_again() {
    whole_run
    cp whole.jsonl again.jsonl
    expect 0 many -o again.jsonl && same whole.jsonl again.jsonl || return 1
    counts whole.out >one
    counts out >two
    same one two
}
t_results_of_another_run_are_refused() {
    whole_run
    cp whole.jsonl other.jsonl
    refuses 1 '"seed" is 1 there and 2 here' many -o other.jsonl --seed 2 && refuses 1 '"budget" is 16' many -o other.jsonl --budget 17 &&
        refuses 1 '"prm" is' many -o other.jsonl --prm oracle && same whole.jsonl other.jsonl || return 1
    head -n 12 many.txt >fewer.txt
    refuses 1 '"input" is' many --input fewer.txt -o other.jsonl && same whole.jsonl other.jsonl
}
t_a_run_goes_on_with_other_threads_and_says_so() {
    whole_run
    head -n 9 whole.jsonl | sed 's/"elapsed":[0-9.e-]*/"elapsed":1000.5/' >moved.jsonl
    local before after
    before=$(field elapsed moved.jsonl)
    expect 0 many -t 1 --in-flight 3 -o moved.jsonl && has moved.jsonl '{"continued":{' && has moved.jsonl '"in_flight":3' || return 1
    [ "$(grep -c continued moved.jsonl)" = 1 ] && [ "$(field n out)" = "$(grep -c '"id"' moved.jsonl)" ] || { say "not counted once"; return 1; }
    counts whole.out >one
    counts out >two
    same one two || return 1
    after=$(field elapsed moved.jsonl) # goes on from what was there
    awk "BEGIN { exit !($before == 1000.5 && $after > $before) }" || { say "elapsed was $before, then $after"; return 1; }
    cp moved.jsonl again.jsonl
    expect 0 many -t 1 --in-flight 3 -o again.jsonl && same moved.jsonl again.jsonl || return 1
    sed 's/"host":"[^"]*"/"host":"elsewhere"/; s/"git":"[^"]*"/"git":"old"/' whole.jsonl | head -n 5 >moved.jsonl
    expect 0 many -o moved.jsonl && has moved.jsonl '{"continued":{"git":' && has moved.jsonl '"host":"elsewhere"'
}
t_foreign_results_are_refused_by_name() {
    whole_run
    sed 's/"id":"3"/"id":"odd one"/' whole.jsonl >foreign.jsonl
    cp foreign.jsonl copy
    refuses 1 'a result for "odd one"' many -o foreign.jsonl && same foreign.jsonl copy
}
t_two_evals_on_one_file() {
    whole_run
    "$ponder" "${many[@]}" -o both.jsonl >out1 2>err1 &
    local first=$! a b
    "$ponder" "${many[@]}" -o both.jsonl >out2 2>err2
    b=$?
    wait $first
    a=$?
    # Whoever came second was refused, or found the work done.
    [ $((a + b)) -le 1 ] || { say "exit codes $a and $b: $(cat err1 err2)"; return 1; }
    [ $((a + b)) = 0 ] || grep -q 'another process' err1 err2 || { cat err1 err2 >&2; return 1; }
    is_whole both.jsonl
}
t_exit_codes_of_solve() {
    expect 0 "$ponder" solve -q --search mcts --budget 64 --prm oracle "4 7 8 8" || return 1 # right
    expect 1 "$ponder" solve -q --search greedy "1 1 1 1" || return 1 # nothing reaches 24
    has out 'there is no solution' || return 1
    expect 2 "$ponder" solve -q --search nonsense "1 1 4 6" || return 1
    refuses 2 '"-4 7 8 8"' "$ponder" "-4 7 8 8" && refuses 2 'the problem is missing' "$ponder" solve "" || return 1
    expect 1 "$ponder" solve -q -m no.gguf "1 1 4 6"
}
t_numbers_of_threads_that_cannot_be() {
    local n
    for n in 1000000 -3 many; do
        expect 2 "$ponder" -q -t "$n" "4 7 8 8" && empty out && one_line err && has err "$n" || return 1
    done
}
t_few_files_may_be_open() {
    refuses 1 'few.jsonl: cannot be read: Too many open files' bash -c 'ulimit -n 4; exec "$0" eval --input puzzles.txt --search greedy -o few.jsonl' "$ponder"
}
t_other_files_are_left_alone() {
    echo "a letter" >letter
    cp letter copy
    refuses 1 'something else' run_eval -o letter && same letter copy || return 1
    printf 'no line end' >letter
    cp letter copy
    refuses 1 'something else' run_eval -o letter && same letter copy || return 1
    refuses 1 'regular file' run_eval -o /dev/null
}
t_a_second_process_is_refused() {
    whole_run
    cp whole.jsonl locked.jsonl
    flock locked.jsonl sleep 30 &
    local i pid=$!
    for i in $(seq 100); do flock -n locked.jsonl true || break; sleep 0.02; done
    refuses 1 'another process' many -o locked.jsonl
    i=$?
    kill $pid 2>/dev/null
    same whole.jsonl locked.jsonl && [ $i = 0 ]
}
t_a_full_disk_keeps_what_was_finished() {
    whole_run
    (ulimit -f 3; "$ponder" "${many[@]}" -o full.jsonl >out 2>err)
    [ $? = 1 ] && has err full.jsonl && has err 'File too large' || return 1
    [ "$(tail -c 1 full.jsonl | od -An -c | tr -d ' ')" = '\n' ] && [ "$(wc -l <full.jsonl)" -ge 2 ] || { say "no whole lines"; return 1; }
    expect 0 many -o full.jsonl && is_whole full.jsonl
}
t_ctrl_c_stops_cleanly_and_the_run_goes_on_later() {
    whole_run
    # a shell without job control starts background commands with SIGINT ignored: SIGTERM is handled the same way
    interrupt TERM stopped.jsonl || return 1
    [ "$code" = 1 ] || { say "exit code $code, expected 1: $(cat err)"; return 1; }
    has err 'the same command goes on' || return 1
    [ "$(field n out)" = "$(sed 1d stopped.jsonl | wc -l)" ] || { say "$(field n out) counted, $(sed 1d stopped.jsonl | wc -l) in the file"; return 1; }
    expect 0 many -o stopped.jsonl && is_whole stopped.jsonl
}
t_a_folder_that_cannot_be_written() {
    refuses 1 'no/such/x.jsonl' run_eval -o no/such/x.jsonl || return 1
    mkdir -p shut && cp "$ponder" puzzles.txt shut/ && chmod 755 . shut
    local as=()
    if [ "$(id -u)" = 0 ]; then as=(setpriv --reuid=65534 --regid=65534 --clear-groups); else chmod 555 shut; fi
    "${as[@]}" true 2>/dev/null || return 0
    refuses 1 'Permission denied' "${as[@]}" ./shut/ponder eval --input puzzles.txt -o shut/x.jsonl
    local code=$?
    chmod 755 shut
    return $code
}
t_closed_and_full_stdout() {
    "$ponder" inspect 2>err | head -n 1 >out
    local code=${PIPESTATUS[0]}
    [ "$code" -le 1 ] && empty err && one_line out || { say "exit code $code"; return 1; }
    "$ponder" --version >/dev/full 2>err
    [ $? = 1 ] && has err 'stdout: No space' || return 1
    "$ponder" --version >&- 2>err
    [ $? = 1 ] || { say "a closed stdout is no success"; return 1; }
    "$ponder" -q "${small[@]}" "4 7 8 8" 2>err >out <&-
    one_line <(tail -n 1 out)
}

t_logits() {
    expect 0 "$ponder" logits --tokens 1,2,3 -o out.f32 || return 1
    local rows
    rows=$(sed -n 's/.* rows of \([0-9]*\) float32/\1/p' err)
    [ "$(wc -c <out.f32)" = $((3 * rows * 4)) ] || { say "$(wc -c <out.f32) bytes"; return 1; }
    "$ponder" logits --tokens 1,2,3 -t 1 -o one.f32 2>err && PONDER_ISA=scalar "$ponder" logits --tokens 1,2,3 -o two.f32 2>err
    same out.f32 one.f32 && same one.f32 two.f32 || return 1
    refuses 2 '--tokens: "1,x"' "$ponder" logits --tokens 1,x -o out.f32 && refuses 2 '--tokens: ""' "$ponder" logits --tokens "" -o out.f32 &&
        refuses 2 '--tokens: "-1"' "$ponder" logits --tokens -1 -o out.f32 && expect 1 "$ponder" logits --tokens 1,99999 -o out.f32 &&
        expect 1 "$ponder" logits --tokens 1,2 -o no/such/file
}
t_logits_agree_with_the_reference() {
    local ref=$here/golden
    expect 0 "$ponder" logits -m "$ref/stories260K-f16.gguf" --tokens "$(jq -c '.ids[:32]' "$ref/story.json" | tr -d '[]')" -o ours.f32 || return 1
    cmp <(wc -c <ours.f32) <(wc -c <"$ref/stories260K.logits.f32") || return 1
    paste <(od -An -v -tf4 -w4 ours.f32) <(od -An -v -tf4 -w4 "$ref/stories260K.logits.f32") |
        awk '{ d = $1 - $2; num += d * d; den += $2 * $2 } END { printf "nmse %g\n", num / den; exit !(num / den < 1e-5) }' >&2
}
t_run_continues_a_text() {
    "$ponder" run -p $' 4 7 8 8 -> 24\n' --temp 0 -n 20 >one 2>err && "$ponder" run -p $' 4 7 8 8 -> 24\n' --temp 0 -n 20 -t 1 >two 2>err
    same one two && has one ' 4 7 8 8 -> 24' && [ "$(wc -l <one)" -ge 2 ] || return 1
    "$ponder" run -p ' 3 5' --temp 2 --top-k 0 --top-p 1 --min-p 0 --seed 5 -n 30 >one 2>err
    "$ponder" run -p ' 3 5' --temperature 2 --top-k 0 --top-p 1 --min-p 0 --seed 5 --n-predict=30 >two 2>err
    "$ponder" run -p ' 3 5' --temp 2 --top-k 0 --top-p 1 --min-p 0 --seed 6 -n 30 >three 2>err
    same one two && ! cmp -s one three
}
t_order_of_the_samplers() {
    local text=(run -p $' 4 7 8 8 -> 24\n' -n 30 -s 4 --ignore-eos --temp 3 --repeat-penalty 3) names
    expect 0 "$ponder" "${text[@]}" && cp out usual || return 1
    for names in --sampler-seq=ekypmt --sampling-seq=edskypmxt '--samplers=penalties;dry;top-k;typ_p;top_p;minp;temperature'; do
        expect 0 "$ponder" "${text[@]}" "$names" && same usual out || { say "of $names"; return 1; }
    done
    expect 0 "$ponder" "${text[@]}" --repeat-penalty 1 && cp out one || return 1
    expect 0 "$ponder" "${text[@]}" --sampler-seq kypmt && same one out && ! cmp -s usual out || return 1
    expect 0 "$ponder" "${text[@]}" --sampler-seq kt --top-k 1 && cp out one || return 1
    expect 0 "$ponder" "${text[@]}" --sampler-seq t --temp 0 && same one out || return 1
    expect 0 "$ponder" "${text[@]}" --typical 0.2 && ! cmp -s usual out || return 1
    refuses 2 '"z" is none of penalties (e)' "$ponder" "${text[@]}" --sampler-seq kz &&
        refuses 2 '"mirostat" is none' "$ponder" "${text[@]}" --samplers 'top_k;mirostat' &&
        refuses 2 'can only be the first' "$ponder" "${text[@]}" --sampler-seq ke &&
        refuses 2 'give one of them' "$ponder" "${text[@]}" --sampler-seq k --samplers top_k &&
        refuses 2 '"kz' "$ponder" "${text[@]}" --search maj --samplers kz
}
# The rows of a pass change no text, only its memory.
t_rows_of_a_pass() {
    local text=(run -p "$(yes ' 4 7 8 8 -> 24' | head -n 12)" --temp 0 -n 20 -t 1) flags
    expect 0 "$ponder" "${text[@]}" && cp out plain || return 1
    for flags in '-ub 1' '-b 3' '-ub 5 --lookup' '-ub 3 -md game24-policy-small' '-ub 65536 -b 65536' --no-mmap; do
        expect 0 "$ponder" "${text[@]}" $flags && same plain out || { say "of $flags"; return 1; }
    done
    refuses 2 '--ubatch-size: "0" is not a whole number from 1 to 65536' "$ponder" "${text[@]}" -ub 0
}
# The command waits for its text when all is loaded: then its locked memory can be seen, or the line that says why there is none.
t_memory_is_locked() {
    ! sanitized || return 0 # sanitizers make mlockall do nothing
    local pid i
    mkfifo typed
    "$ponder" run --mlock -f - -n 2 <typed >out 2>err &
    pid=$!
    exec 9>typed
    for i in {1..100}; do
        grep -q 'VmLck:.*[1-9]' /proc/$pid/status && break
        grep -q -- '--mlock: memory is not locked' err && break
        sleep 0.05
    done
    echo ' 4 7' >&9
    exec 9>&-
    wait $pid && [ "$i" -lt 100 ] || { say "VmLck is 0, and no line says so: $(cat err)"; return 1; }
}
t_guessing_changes_no_text() {
    local text=(run -p $' 4 7 8 8 -> 24\n 4 7 8 8 -> 24\n' -n 40 --ignore-eos)
    expect 0 "$ponder" "${text[@]}" --temp 0 && cp out plain || return 1
    expect 0 "$ponder" "${text[@]}" --temp 0 --lookup && same out plain && has err 'guessed: ' || return 1
    expect 0 "$ponder" "${text[@]}" --temp 0 -md game24-policy-small && same out plain || return 1
    expect 0 "$ponder" "${text[@]}" --temp 0 -md game24-policy --draft-p-min 0 && same out plain &&
        has err '(100.0 %)' || return 1
    expect 0 "$ponder" "${text[@]}" -s 3 && cp out plain || return 1
    expect 0 "$ponder" "${text[@]}" -s 3 --lookup && same out plain || return 1
    refuses 2 --draft-min "$ponder" "${text[@]}" --lookup --draft-min 17 &&
        refuses 2 --lookup "$ponder" "${text[@]}" --lookup -md game24-policy-small &&
        refuses 1 'reward model' "$ponder" "${text[@]}" -md game24-prm
}
t_run_stories_as_llama_cpp_does() {
    local model=$here/golden/stories260K-f16.gguf
    "$ponder" run -m "$model" -p "Once upon a time" --temp 0 -n 60 >out 2>err
    has out "Once upon a time, there was a little girl named Lily. She loved to play outside in the park. One day, she saw a big, red ball. She wanted to play with it, but it was too high." || return 1
    refuses 1 'another vocabulary' "$ponder" -q -m "$model" --task game24 "4 7 8 8"
}
t_inspect_shows_what_is_inside() { expect 0 "$ponder" inspect && has out game24-policy-small && has out game24-prm && has out 'general.architecture' && has out 'KV cache' && has out 'reward model'; }
t_inspect_begins_with_what_a_run_costs() {
    expect 0 "$ponder" inspect -m game24-policy && lacks out blk.0.attn_q.weight && has out 'KV cache: i16' && has out 'branch, i16' || return 1
    [ "$(grep -n 'together' out | cut -d: -f1)" -lt "$(grep -n 'general.architecture' out | cut -d: -f1)" ] || { say "keys come first"; return 1; }
    expect 0 "$ponder" inspect -m game24-policy --tensors -ctk f32 && has out blk.0.attn_q.weight && has out 'branch, f32' || return 1
    expect 0 "$ponder" inspect -m game24-policy --json && one_line out && has out '"kv_type":"i16"' || return 1
    local i16 f32
    i16=$(sed -n 's/.*"kv":\([0-9]*\).*/\1/p' out)
    "$ponder" inspect -m game24-policy --json -ctk f32 >out 2>err
    f32=$(sed -n 's/.*"kv":\([0-9]*\).*/\1/p' out)
    [ "$f32" -gt $((i16 * 3 / 2)) ] || { say "i16 $i16, f32 $f32 bytes"; return 1; }
}
t_inspect_announces_the_memory_of_a_run() {
    local total peak
    expect 0 "$ponder" inspect -m game24-policy && has out 'together' && has out 'full context of 256 tokens' || return 1
    expect 0 "$ponder" inspect -m game24-policy --json -c 0 && one_line out || return 1
    total=$(sed -n 's/.*"memory":{.*"total":\([0-9]*\)}.*/\1/p' out)
    ! sanitized || return 0 # their shadows are not announced
    "$ponder" run -m game24-policy -c 0 -p "$(puzzles | head -9)" -n 200 --temp 0 >out 2>err
    peak=$(sed -n 's/.*; \([0-9.]*\) MB.*/\1/p' err)
    awk "BEGIN { exit !($peak > 4 && $peak * 1e6 < 1.15 * $total) }" || { say "peak $peak MB, announced $total bytes"; return 1; }
}
t_contexts_that_do_not_fit() {
    expect 0 "$ponder" run -p x -c 300 -n 1 && has err 'the model was trained for 256 tokens' &&
        refuses 2 '--ctx-size: "-2"' "$ponder" run -p x -c -2 &&
        expect 0 "$ponder" run -p "4 7 8 8" -n 2 -c 0
}
t_positions_and_caches_as_llama_cpp_has_them() {
    local flags="-p x -n 9 --temp 0 --no-perf --ignore-eos"
    expect 0 "$ponder" run $flags && cp out plain &&
        expect 0 "$ponder" run $flags --rope-scaling none --rope-freq-base 0 --yarn-ext-factor -1 && same out plain &&
        expect 0 "$ponder" run $flags --rope-freq-base 20 && ! cmp -s out plain &&
        expect 0 "$ponder" run $flags --rope-scaling yarn --rope-scale 4 -c 1000 && lacks err 'was trained for' &&
        expect 0 "$ponder" run $flags --rope-scaling linear --rope-scale 4 -c 1000 && has err 'was trained for 256' &&
        expect 0 "$ponder" run $flags -ctk q8_0 -ctv f16 && expect 0 "$ponder" run $flags -ctk f16 -ctv q8_0 &&
        expect 0 "$ponder" inspect -m game24-policy -ctk q8_0 -ctv f16 && has out 'keys (q8_0) and values (f16)' &&
        refuses 2 '--rope-scaling: "ntk"' "$ponder" run $flags --rope-scaling ntk &&
        refuses 1 'say the same thing' "$ponder" run $flags --rope-scale 2 --rope-freq-scale 0.5 &&
        refuses 1 '--cache-type-k f32 and --cache-type-v q8_0: only f16 and q8_0' "$ponder" run $flags -ctk f32 -ctv q8_0
}
t_escapes_in_a_prompt() {
    expect 0 "$ponder" run -p '4 7\n8\t\x38\\ \q' -n 0 && has out "$(printf '4 7\n8\t8\\ \\q')" || return 1
    expect 0 "$ponder" run --no-escape -p '4 7\n8' -n 0 && has out '4 7\n8' || return 1
    [ "$(wc -l <out)" = 0 ] || return 1 # nothing is written: no line end either
    printf '4 7\\n8' >prompt.txt
    expect 0 "$ponder" run -f prompt.txt -n 0 && has out '4 7\n8'
}
t_models_of_the_hub_by_name() {
    local snapshot=cache/models--a--m/snapshots/1
    mkdir -p "$snapshot"
    refuses 1 'no such model in cache; nothing is downloaded' env HF_HUB_CACHE=cache HOME= "$ponder" solve --offline -hf a/absent "4 7 8 8" &&
        refuses 1 'hub_cache_is_here' env HF_HUB_CACHE=hub_cache_is_here HOME= "$ponder" inspect --offline hf:a/m
}

# The whole chain, tiny: a policy, labels, a reward model, a search with both.
tiny=(--batch 8 --validation 8 --warmup 2 -t 1)
t_train_a_policy_in_two_parts() {
    expect 0 "$ponder" train policy --size tiny --steps 12 "${tiny[@]}" -o whole.gguf --log p.log && has p.log '"loss"' || return 1
    "$ponder" train policy --size tiny --steps 12 "${tiny[@]}" -o parts.gguf --save-every 0.1 >out 2>err &
    local i pid=$!
    for i in $(seq 600); do [ -f parts.gguf.ckpt ] && break; sleep 0.02; done
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    expect 0 "$ponder" train policy --size tiny --steps 12 "${tiny[@]}" -o parts.gguf && same whole.gguf parts.gguf || return 1
    "$ponder" -q -m whole.gguf "${small[@]}" --json "4 7 8 8" >out 2>err
    has out '"simulations":16' || return 1
    refuses 1 'prm.kind' "$ponder" -q --prm whole.gguf "4 7 8 8"
}
# A policy of an instant's training, to have a file that is not inside the binary.
tiny_file() { "$ponder" train policy --size tiny --steps 1 "${tiny[@]}" -o tiny.gguf >/dev/null 2>&1; }
t_tokenize_and_back() {
    tiny_file || return 1
    expect 0 "$ponder" tokenize -m tiny.gguf -p " 4 7 8 8 -> 24" && one_line out && [ "$(wc -w <out)" = 6 ] || return 1
    local ids
    ids=$(cat out)
    expect 0 "$ponder" detokenize -m tiny.gguf $ids && has out " 4 7 8 8 -> 24" || return 1
    refuses 1 'no.gguf' "$ponder" tokenize -m no.gguf -p x
}
t_tokenize_reads_escapes_like_run() {
    tiny_file || return 1
    "$ponder" tokenize -m tiny.gguf -p $' 1\n 2' >real </dev/null
    expect 0 "$ponder" tokenize -m tiny.gguf -p ' 1\n 2' && same out real || return 1
    expect 0 "$ponder" tokenize -m tiny.gguf -p ' 1\x0a 2' && same out real || return 1
    printf ' 1\n 2' | "$ponder" tokenize -m tiny.gguf -f - >out && same out real || return 1
    "$ponder" tokenize -m tiny.gguf --no-escape -p ' 1\n 2' >out 2>err </dev/null # this vocabulary has no backslash
    ! cmp -s out real || { say "--no-escape changed nothing"; return 1; }
}
t_eval_reads_pipes_and_line_ends_of_all_kinds() {
    printf '4 7 8 8\n1 2 3 4\n' >unix
    printf '4 7 8 8\r\n\r\n1 2 3 4\r\n' >dos
    local f
    expect 0 "$ponder" eval -i unix --search greedy --json && counts out >want || return 1
    for f in unix dos; do
        "$ponder" eval -i - --search greedy --json <$f >out 2>err || { cat err; return 1; }
        counts out >got && same want got || return 1
    done
    expect 0 "$ponder" eval -i dos --search greedy --json && counts out >got && same want got
}
t_eval_ids_of_lines_give_way_to_given_ones() {
    printf '%s\n' '{"id":"2","problem":"4 7 8 8"}' '{"problem":"1 2 3 4"}' >ids
    expect 0 "$ponder" eval -i ids --search greedy -o r.jsonl && has r.jsonl '"id":"2"' && has r.jsonl '"id":"line 2"' || return 1
    printf '%s\n' '{"id":"2","problem":"4 7 8 8"}' '{"id":"2","problem":"1 2 3 4"}' >ids
    refuses 1 'two problems have the id "2"' "$ponder" eval -i ids --search greedy
}
t_quantize_and_run() {
    tiny_file || return 1
    expect 0 "$ponder" quantize tiny.gguf q.gguf Q8_0 && expect 0 "$ponder" inspect -m q.gguf && has out Q8_0 || return 1
    expect 0 "$ponder" run -m q.gguf -p " 4 7 8 8 -> 24" --temp 0 -n 4 && has out " 4 7 8 8 -> 24" || return 1
    expect 2 "$ponder" quantize tiny.gguf q2.gguf Q9_9 && empty out && one_line err && has err Q9_9 || return 1
    local name
    cp tiny.gguf own.gguf && ln -s own.gguf linked.gguf && ln own.gguf second.gguf || return 1
    for name in own.gguf ./own.gguf linked.gguf second.gguf; do
        refuses 2 'is the file that is read' "$ponder" quantize own.gguf "$name" Q4_0 && same tiny.gguf own.gguf || return 1
    done
}
# hf_folder NAME HEADS: a llama of one layer, all weights 0, as a folder; its words are a, b and ab.
hf_folder() {
    local at=0 header='{' line name rows cols size
    mkdir -p "$1"
    printf '{"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":8,"intermediate_size":16,"num_attention_heads":%s,"num_hidden_layers":1,"vocab_size":3,"max_position_embeddings":64,"rms_norm_eps":1e-5,"rope_theta":10000.0,"tie_word_embeddings":true,"eos_token_id":0}' "$2" >"$1/config.json"
    printf '{"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]},"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false},"decoder":{"type":"ByteLevel"},"added_tokens":[]}' >"$1/tokenizer.json"
    while read -r name rows cols; do
        size=$((4 * rows * cols))
        line="[$rows,$cols]"
        [ "$cols" != 1 ] || line="[$rows]"
        header="$header\"model.$name.weight\":{\"dtype\":\"F32\",\"shape\":$line,\"data_offsets\":[$at,$((at + size))]},"
        at=$((at + size))
    done <<'END'
embed_tokens 3 8
layers.0.input_layernorm 8 1
layers.0.mlp.down_proj 8 16
layers.0.mlp.gate_proj 16 8
layers.0.mlp.up_proj 16 8
layers.0.post_attention_layernorm 8 1
layers.0.self_attn.k_proj 8 8
layers.0.self_attn.o_proj 8 8
layers.0.self_attn.q_proj 8 8
layers.0.self_attn.v_proj 8 8
norm 8 1
END
    header="${header%,}}"
    { printf "\\x$(printf %02x $((${#header} % 256)))\\x$(printf %02x $((${#header} / 256)))\\0\\0\\0\\0\\0\\0%s" "$header" && head -c $at /dev/zero; } >"$1/model.safetensors"
}
t_convert_a_folder() {
    hf_folder good 1 && hf_folder bad 2 # heads of 4 are too small
    expect 0 "$ponder" convert good c.gguf && has err '11 tensors' && expect 0 "$ponder" tokenize -m c.gguf -p abba && [ "$(cat out)" = '2 1 0' ] || { cat out err >&2; return 1; }
    expect 0 "$ponder" logits -m c.gguf --tokens 0,1 -o c.f32 && expect 0 "$ponder" logits -m good --tokens 0,1 -o f.f32 && same c.f32 f.f32 && [ "$(wc -c <c.f32)" = 24 ] || return 1
    refuses 1 'head dimension 4' "$ponder" convert bad b.gguf || return 1
    [ ! -e b.gguf ] || { say "a file that nothing can open was written"; return 1; }
    refuses 2 'no type to write' "$ponder" convert good d.gguf --type Q9_9 && refuses 2 'expected FOLDER OUT.gguf' "$ponder" convert good && [ ! -e d.gguf ]
}
t_perplexity_of_a_text() {
    tiny_file || return 1
    for i in $(seq 200); do echo " 4 7 8 8 -> 24"; done >text
    expect 0 "$ponder" perplexity -m tiny.gguf -f text -c 64 && has out PPL || return 1
    head -c 20 text >short
    expect 1 "$ponder" perplexity -m tiny.gguf -f short -c 64 && one_line err && has err short
}
t_label_and_train_a_reward_model() {
    local label=(label -m game24-policy-small -n 25 --chains 2 --max-rollouts 4 -t 1)
    expect 0 "$ponder" "${label[@]}" -o l.jsonl && [ "$(wc -l <l.jsonl)" = 26 ] || return 1
    cp l.jsonl whole_labels
    head -c -50 whole_labels >l.jsonl
    expect 0 "$ponder" "${label[@]}" -o l.jsonl && same l.jsonl whole_labels || return 1
    expect 0 "$ponder" train prm --init game24-policy-small --labels l.jsonl --steps 6 "${tiny[@]}" -o r.gguf || return 1
    "$ponder" -q --prm r.gguf "${small[@]}" --json "4 7 8 8" >out 2>err
    has out '"simulations":16'
}

"$ponder" inspect >out 2>&1 || { echo "not ok models_inside_the_binary"; cat out; exit 1; }
run_tests "${2:-}"
