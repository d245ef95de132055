#!/usr/bin/env bash
# cli_search.sh PONDER: search on problems in words, from outside.  The small policy inside the binary stands for a model of others: it
# is given its puzzles as raw text, writes steps that end by a line end, and its answer is the last number.
. "$(dirname "$0")/shell.sh"
as_text=(-m game24-policy-small --raw --step-delimiter '\n')
prompt=$' 4 7 8 8 -> 24\n'
cat >q.jsonl <<'END'
{"question":" 4 7 8 8 -> 24\n","answer":"8*3 = <<8*3=24>>24\n#### 24"}
{"question":" 1 2 3 4 -> 24\n","answer":"\\boxed{24.0}","id":"b"}
{"problem":" 1 1 1 1 -> 24\n","answer":24}
END

# Lines of results without what depends on time.
timeless() { sed 's/"ms":[^,}]*//; s/"elapsed":[^,}]*//; /"format"/d' "$1"; }
solve() { "$ponder" solve "${as_text[@]}" -t 1 "$@"; }
eval_q() { "$ponder" eval "${as_text[@]}" --task gsm8k --input q.jsonl "$@"; }

t_solve_shows_the_text_the_answer_and_the_tree() {
    expect 0 solve --task math --search weighted --verifier logprob "$prompt" || return 1
    has out 'answer: 24' && has out ' = 24 ; 24' && has out 'cost: ' && lacks out right &&
        has err 'greedy: 24' && has err 'weighted:' && has err '4 7 8 8 -> 24' && has err ' answer'
}
t_every_strategy_and_verifier() {
    local s
    for s in greedy maj; do expect 0 solve --task math -q --search $s "$prompt" && has out 'answer: 24' || return 1; done
    for s in bon weighted beam mcts; do
        expect 0 solve --task math -q --search $s --verifier logprob "$prompt" && has out 'answer: 24' || return 1
    done
    expect 0 solve --task math -q --search bon --verifier ptrue --json "$prompt" && has out '"verifier":"ptrue"' || return 1
    refuses 1 '--verifier judge: the task has no prompt' solve --task math -q --search bon --verifier judge "$prompt" || return 1
    refuses 1 '--verifier check: nobody knows' solve --task math -q --search bon --verifier check "$prompt" || return 1
    expect 0 eval_q --search bon --budget 8 --verifier check -o checked.jsonl -t 1 && has checked.jsonl '"verifier":"check"' || return 1
    refuses 1 '--search beam needs a reward model' solve --task math -q --search beam "$prompt" &&
        refuses 1 '--search mcts needs a reward model' solve --task math -q --search mcts --verifier none "$prompt"
}
t_a_reward_model_reads_chains_in_words() {
    expect 0 solve --task math -q --search beam --budget 16 --prm embedded "$prompt" && has out 'answer: 24' && lacks out ' 0 PRM tokens'
}
t_the_same_seed_is_the_same_search() {
    solve --task math -q --json --seed 5 "$prompt" 2>err | sed 's/"ms":[^,]*//' >a
    "$ponder" solve "${as_text[@]}" -t 2 --task math -q --json --seed 5 "$prompt" 2>err | sed 's/"ms":[^,]*//' >b
    solve --task math -q --json --seed 6 "$prompt" 2>err | sed 's/"ms":[^,]*//' >c
    same a b && ! cmp -s a c
}
# A megabyte holds 60 pages of the policy: searches give their KV back and wait for each other, and nobody sees it in the results.
t_a_crowd_with_hardly_any_kv_memory_finds_the_same() {
    local kv in_flight replayed=0
    printf '%s\n' '1 1 4 6' '1 2 4 7' '1 3 5 8' '2 3 7 9' '3 4 6 11' '2 5 8 12' >puzzles.txt
    many() { "$ponder" eval -i puzzles.txt --search mcts --budget 64 --stop-value 2 --json "$@"; }
    many --kv-mb 64 --in-flight 1 -o rich.jsonl >out 2>err || { cat err >&2; return 1; }
    has out '"replayed_tokens":0,' && timeless rich.jsonl >rich || return 1
    for kv in 1 2 3; do
        for in_flight in 1 3 8; do
            many --kv-mb $kv --in-flight $in_flight -o scarce.jsonl >out 2>err || { cat err >&2; return 1; }
            timeless scarce.jsonl >scarce && same rich scarce || { say "--kv-mb $kv --in-flight $in_flight"; return 1; }
            replayed=$((replayed + $(jq .replayed_tokens out)))
            rm scarce.jsonl
        done
    done
    [ "$replayed" -gt 1000 ] || { say "pages were not scarce: $replayed tokens replayed"; return 1; }
}
# Whatever the table of strategies holds: one tree on 1, 2 and 3 threads, alone and in a crowd, with much KV memory and
# with little.
t_every_row_is_the_same_tree_on_any_threads_and_in_a_crowd() {
    local name how ran=0
    printf '%s\n' '4 7 8 8' '1 2 4 7' >puzzles.txt
    "$ponder" strategies --json >rows 2>err || return 1
    for name in $(jq -r '.[].name' rows); do
        budget=(--budget 6)
        jq -e --arg name "$name" '.[] | select(.name == $name).uses_budget' rows >uses || budget=()
        for how in '64 1 1' '1 2 3' '2 3 2'; do
            set -- $how
            "$ponder" eval -i puzzles.txt --search "$name" "${budget[@]}" --kv-mb "$1" -t "$2" --in-flight "$3" \
                -o now.jsonl >out 2>err || {
                has err needs || return 1 # the models inside cannot do it, and it is said
                continue 2
            }
            timeless now.jsonl >b && rm now.jsonl
            [ "$1" = 64 ] && cp b a
            same a b || { say "--search $name, kv, threads, in flight: $how"; return 1; }
        done
        ran=$((ran + 1))
    done
    [ "$ran" -ge 15 ] || { say "only $ran rows could run"; return 1; }
}
t_steps_end_by_the_delimiter() {
    solve --task math -q --json --search greedy "$prompt" >one 2>err
    solve --task math -q --json --search greedy --step-delimiter ' ;' "$prompt" >two 2>err
    has one '"step_delimiter":"\n"' && has two '"step_delimiter":" ;"' || return 1
    sed 's/.*"text":"\([^"]*\)".*/\1/' one >a && sed 's/.*"text":"\([^"]*\)".*/\1/' two >b
    same a b && has a ' ; ' || return 1 # greedy is the same text, however it is cut
    expect 1 solve --task math -q --search greedy --max-depth 1 "$prompt" && has out 'no answer' || return 1
    expect 1 solve --task math -q --search greedy --max-step-tokens 3 "$prompt" && has out 'no answer' || return 1
    refuses 2 '--step-delimiter: the text is empty' "$ponder" solve --step-delimiter '' "4 7 8 8" &&
        refuses 2 '--max-depth: "0"' "$ponder" solve --max-depth 0 x &&
        refuses 2 'is longer than 63 bytes' "$ponder" solve --step-delimiter "$(printf '%070d' 1)" "4 7 8 8"
}
t_a_problem_from_a_file() {
    printf '%s' "$prompt" >p.txt
    solve --task math -q --json "$prompt" 2>err | sed 's/"ms":[^,]*//' >a
    solve --task math -q --json -f p.txt 2>err | sed 's/"ms":[^,]*//' >b
    same a b || return 1
    refuses 2 'give one of them' "$ponder" solve -f p.txt 4 7 8 8 && refuses 1 'missing.txt' "$ponder" solve -f missing.txt &&
        printf 'a\0b' >nul && refuses 1 'NUL' "$ponder" solve -f nul && refuses 2 'empty' solve --task math ' '
}
# Seven bytes and a BOS: as text <|end|> is no token of its own.
t_names_of_control_tokens_stay_text() {
    local n
    n=$(solve --task math -q --json --budget 1 '<|end|>' 2>err | sed 's/.*"prompt_tokens":\([0-9]*\).*/\1/')
    [ "$n" -ge 7 ] || { say "$n tokens"; return 1; }
}
t_models_of_others_are_given_words() {
    "$ponder" bench make --shape tiny -o t.gguf >out 2>err || { cat err >&2; return 1; }
    expect 1 "$ponder" solve -m t.gguf -q --json -t 1 --max-step-tokens 8 "How much is 2 + 2 -> 4?" && has out '"task":"math"' && has out '"prompt":"plain"' || return 1
    expect 1 "$ponder" solve -m t.gguf -q --json -t 1 --raw --max-step-tokens 8 "x" && has out '"prompt":"raw"' && has out '"answer":null,"correct":null' || return 1
    refuses 1 'no chat template' "$ponder" solve -m t.gguf -q -sys "Be brief." "x" &&
        refuses 1 'no-such.gguf' "$ponder" solve -m no-such.gguf "x" &&
        refuses 1 'nobody knows it for --task math' solve --task math --search bon --prm oracle "$prompt"
}
t_eval_of_gsm8k() {
    expect 0 eval_q --json -o r.jsonl -t 1 || return 1
    has out '"n":3,"correct":2,' && has out '"ci95":[' && has out '"generated_tokens":' || return 1
    [ "$(wc -l <r.jsonl)" = 4 ] && has r.jsonl '"step_delimiter"' && has r.jsonl '{"id":"b","problem":"1 2 3 4 -> 24","answer":"24","correct":true' &&
        has r.jsonl '"text":" ' && cp r.jsonl copy || return 1
    # A finished one is not run again, a torn one goes on, another setting is refused.
    expect 0 eval_q --json -o r.jsonl -t 1 && same r.jsonl copy || return 1
    head -c $(($(wc -c <copy) - 40)) copy >r.jsonl
    expect 0 eval_q --json -o r.jsonl -t 1 && timeless r.jsonl >a && timeless copy >b && same a b || return 1
    refuses 1 '"max_depth" is 32 there and 9 here' eval_q --max-depth 9 -o r.jsonl -t 1
}
t_a_cut_chain_keeps_its_text() {
    expect 0 eval_q -o cut.jsonl -t 1 --search greedy --max-step-tokens 3 && has cut.jsonl '"answer":null' || return 1
    [ "$(grep -c '"answer":null.*"text":" [0-9]' cut.jsonl)" -ge 1 ] || { say "no text: $(cat cut.jsonl)"; return 1; }
}
t_eval_is_the_same_alone_and_in_a_crowd() {
    eval_q -o alone.jsonl -t 1 --in-flight 1 >out 2>err && eval_q -o crowd.jsonl -t 2 --in-flight 3 >out 2>err || { cat err >&2; return 1; }
    timeless alone.jsonl >a && timeless crowd.jsonl >b && same a b
}
# What a search decided: not what it cost, because KV that was given back is computed again.
decided() { timeless "$1" | sed -E 's/"(prm_tokens|policy_flops|prm_flops|shared_tokens|forks|pages_copied|replayed_tokens)":[^,}]*//g'; }
t_a_crowd_with_few_pages_finds_the_same() {
    local how
    printf '%s\n' '4 7 8 8' '1 2 3 4' '3 3 8 8' '1 1 11 11' '2 2 6 9' >puzzles.txt
    for how in '512 1' '1 1' '1 8'; do
        "$ponder" eval --task game24 -i puzzles.txt --search mcts --budget 64 --stop-value 2 --kv-mb ${how% *} -t 1 \
            --in-flight ${how#* } -o crowd.jsonl >out 2>err || return 1
        decided crowd.jsonl >b && rm crowd.jsonl
        [ -e a ] || cp b a
        same a b || return 1
    done
    lacks a 'kv full' && has a '"correct":true'
}
t_a_problem_that_does_not_fit_is_counted_as_wrong() {
    { head -n 1 q.jsonl && printf '{"question":"%s","answer":"1"}\n' "$(printf 'ab %.0s' {1..400})" && tail -n 1 q.jsonl; } >long.jsonl
    expect 0 "$ponder" eval "${as_text[@]}" --task gsm8k --input long.jsonl --json -o long.out || return 1
    has out '"n":3,' && has out '"error":1' && has long.out '"trouble":"the prompt has ' && has long.out '"id":"3"'
}
t_eval_needs_answers() {
    printf 'What is 2 + 2?\n' >plain.txt
    refuses 2 'has no answer to compare with' "$ponder" eval "${as_text[@]}" --task math --input plain.txt &&
        refuses 1 'line 1: gsm8k takes lines like' "$ponder" eval "${as_text[@]}" --task gsm8k --input plain.txt &&
        refuses 2 'is none of game24, countdown' "$ponder" eval --task chess --input plain.txt
}
t_run_search() {
    expect 0 "$ponder" run -m game24-policy-small -t 1 -p ' 4 7 8 8 -> 24\n' --search maj --budget 6 --step-delimiter '\n' -s 3 || return 1
    [ "$(head -n 1 out)" = " 4 7 8 8 -> 24" ] && [ "$(wc -l <out)" = 4 ] && has out ' ; 24' && has err 'answer: 24' && has err 'cost: ' && cp out a || return 1
    expect 0 "$ponder" run -m game24-policy-small -t 1 -p ' 4 7 8 8 -> 24\n' --search maj --budget 6 --step-delimiter '\n' -s 3 --no-display-prompt &&
        tail -n 3 a | same - out || return 1
    expect 1 "$ponder" run -m game24-policy-small -t 1 -p ' 4 7 8 8 -> 24\n' --search maj --budget 6 --step-delimiter '\n' -n 12 -s 3 &&
        has err 'no chain came to its end (stopped: done), the most promising one is shown' || return 1
    head -n 2 out | tail -n 1 | grep -q '^ [1-8] . [1-8] = .* ;' && [ "$(wc -l <out)" = 3 ] || { say "not a part of a chain: $(cat out)"; return 1; }
    # What shapes the distribution shapes that of a search, too: a token that is forbidden is in no chain.
    local id
    id=$("$ponder" tokenize -m game24-policy-small -p ' *') || return 1
    has a ' *' || return 1
    expect 0 "$ponder" run -m game24-policy-small -t 1 -p ' 4 7 8 8 -> 24\n' --search maj --budget 6 --step-delimiter '\n' -s 3 -l "$id-inf" &&
        lacks out ' *' && cp out b && ! cmp -s a b || return 1
    expect 0 "$ponder" run -m game24-policy-small -t 1 -p ' 4 7 8 8 -> 24\n' --search maj --budget 6 --step-delimiter '\n' -s 3 --samplers 'top_k;temperature' --typical 0.9 || return 1
    expect 0 "$ponder" run -m game24-policy-small -t 1 -p ' 4 7 8 8 -> 24\n' --search maj --budget 6 --step-delimiter '\n' -s 3 -r ' ;' --no-display-prompt &&
        lacks out ';' && [ "$(cut -d';' -f1 a | sed -n '2s/ $//p')" = "$(cat out)" ] || { say "$(cat a out)"; return 1; }
    # The time counts from the start: the prompt is read in it.
    expect 1 "$ponder" run -m game24-policy -t 1 -p ' 4 7 8 8 -> 24\n' --search maj --budget 6 --step-delimiter '\n' --max-ms 1 &&
        has err '(stopped: time)' && has err 'allow more with --max-ms' || return 1
    refuses 2 '--budget: needs --search' "$ponder" run -p x --budget 3 &&
        refuses 2 '--draft-min: not together with --search' "$ponder" run -p x --search maj --lookup --draft-min 2 &&
        refuses 2 '--model-draft: --search maj does not use it' "$ponder" run -p x --search maj -md game24-policy-small &&
        refuses 2 '"nope" is none of greedy' "$ponder" run -p x --search nope
}
# What shapes the distribution of run shapes it here; results keep it, and do not go on without it.
t_sampling_of_a_search_and_its_results() {
    local id once=(--search greedy -t 1)
    id=$("$ponder" tokenize -m game24-policy-small -p ' *') || return 1
    expect 0 eval_q "${once[@]}" -o free.jsonl && has free.jsonl ' * ' && lacks free.jsonl logit_bias || return 1
    expect 0 eval_q "${once[@]}" -o bound.jsonl -l "$id-inf" && has bound.jsonl "\"logit_bias\":[\"$id-inf\"]" || return 1
    tail -n +2 bound.jsonl | sed 's/.*"text"://' >texts && lacks texts ' *' || return 1
    refuses 1 "\"logit_bias\" is [\"$id-inf\"] there and [\"$id-1\"] here" eval_q "${once[@]}" -o bound.jsonl -l "$id-1" &&
        refuses 1 "\"logit_bias\" is [\"$id-inf\"] there and missing here" eval_q "${once[@]}" -o bound.jsonl &&
        refuses 1 '"repeat_penalty" is missing there and 1.5 here' eval_q "${once[@]}" -o free.jsonl --repeat-penalty 1.5 || return 1
    refuses 2 '--logit-bias: "x" is not of the form' solve --task math -l x "$prompt" &&
        refuses 2 'give one of them' solve --task math --samplers top_k --sampler-seq k "$prompt" &&
        refuses 2 '--reverse-prompt: the text is empty' solve --task math -r '' "$prompt" &&
        refuses 2 '--reverse-prompt: text 2 is not UTF-8' solve --task math -r é -r $'\xff' "$prompt"
}
t_guesses_change_no_search() {
    local search
    for search in "maj --budget 6" "mcts --budget 12" "beam --budget 4"; do
        # shellcheck disable=SC2086
        solve --search $search --seed 3 --json -t 1 "4 7 8 8" >a 2>tree.a || return 1
        # shellcheck disable=SC2086
        solve --search $search --seed 3 --json -t 1 --lookup --draft-max 4 "4 7 8 8" >b 2>tree.b || return 1
        has b '"guesses":4' && same tree.a tree.b || return 1
        local fields='s/"ms":[^,]*,//; s/"peak_kv_bytes":[^,]*,//; s/"pages_copied":[^,]*,//; s/"guesses":4,*//; s/"policy_flops":[0-9]*,//; s/,}/}/'
        same <(sed "$fields" a) <(sed "$fields" b) || return 1
        [ "$(grep -o '"policy_flops":[0-9]*' a | cut -d: -f2)" -lt "$(grep -o '"policy_flops":[0-9]*' b | cut -d: -f2)" ] || { say "wrong guesses cost nothing"; return 1; }
    done
}
t_a_stop_string_ends_a_chain() {
    solve --task math -q --json --search greedy "$prompt" >a 2>err && has a ' = 24 ; 24' || { cat a; return 1; }
    solve --task math -q --json --search greedy -r ' ;' "$prompt" >b 2>err
    has b '"reverse_prompt":[" ;"]' && jq -r .text b >text && lacks text ';' && [ -s text ]
}

run_tests "${2:-}"
