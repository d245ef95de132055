#!/usr/bin/env bash
# cli_tasks.sh PONDER: tasks from outside: problems drawn, judged, solved, learned from.
# Not the rules: test_steps.c.
# Next: tests/cli.sh.
. "$(dirname "$0")/shell.sh"
tasks=(countdown chain_sum basic_arithmetic multistep_arithmetic_two boolean_expressions n_queens path_star quantum_lock jugs
    tower_of_hanoi mini_sudoku futoshiki knights_knaves kakurasu)
tiny=(--batch 8 --validation 8 --warmup 2 -t 1)

t_what_is_generated_is_judged_right() {
    local t
    for t in "${tasks[@]}"; do
        "$ponder" generate --task "$t" -n 4 --seed 7 --steps >set.jsonl 2>err || { cat err; return 1; }
        [ "$(wc -l <set.jsonl)" = 4 ] || { say "$t: $(wc -l <set.jsonl) lines"; return 1; }
        sed 's/ = [0-9]*"}$/"}/' set.jsonl >answers.jsonl # countdown writes what it comes to
        expect 0 "$ponder" judge --task "$t" --input set.jsonl --answers answers.jsonl -q && has err 'of 4 answers are right' || return 1
    done
}
t_the_same_seed_gives_the_same_problems() {
    "$ponder" generate --task jugs -n 3 -s 5 >a && "$ponder" generate --task jugs -n 2 --first 1 -s 5 >b && "$ponder" generate --task jugs -n 3 -s 6 >c || return 1
    tail -n 2 a >d && same b d && ! cmp -s a c
}
# No flag is needed for what the models inside were trained on: the search that goes with each task has what it needs.
t_every_task_of_the_models_inside_runs_by_itself() {
    local t code
    for t in boolean_expressions n_queens mini_sudoku knights_knaves quantum_lock kakurasu path_star countdown multistep_arithmetic_two; do
        "$ponder" generate --task "$t" -n 1 --seed 3 >one.jsonl 2>err || { cat err; return 1; }
        "$ponder" -q -t 1 --task "$t" "$(jq -r .problem one.jsonl)" >out 2>err
        code=$?
        { [ $code -le 1 ] && grep -qE 'right|wrong|no answer' out; } || { say "$t: $code $(cat out err)"; return 1; }
    done
}
t_knobs_of_generators() {
    expect 0 "$ponder" generate --task path_star --knobs list && has out node_range || return 1
    expect 0 "$ponder" generate --task path_star --knobs degree=2,min_length=2,max_length=2 -n 1 && [ "$(tr -cd '|' <out | wc -c)" = 4 ] || return 1
    refuses 2 'no "arms"' "$ponder" generate --task path_star --knobs arms=3 &&
        refuses 2 'degree takes 2 to 8' "$ponder" generate --task path_star --knobs degree=9 &&
        refuses 2 'max_length is 3' "$ponder" generate --task path_star --knobs min_length=5,max_length=3 &&
        refuses 1 'none of 20000 problems of these settings is held out' "$ponder" generate --task game24 --held-out -n 1 &&
        refuses 2 'math has no generator' "$ponder" generate --task math &&
        refuses 2 '"chess" is none of' "$ponder" generate --task chess &&
        refuses 2 '--task is missing' "$ponder" generate
}
t_judging_answers() {
    printf '%s\n' '{"id":"a","question":"Calculate 7 using all of these numbers: 4, 1, 2.\nEach number may be used at most once.\n"}' >set.jsonl
    printf '%s\n' '{"format":"ponder-results"}' '{"id":"a","answer":"4 + 2 + 1"}' '{"id":"a","answer":"4 + 2"}' '{"id":"a","answer":null}' >ans.jsonl
    expect 0 "$ponder" judge --task countdown --input set.jsonl --answers ans.jsonl && has out '"reward":1' && has out '1 is not used' &&
        has out 'no answer' && has err '1 of 3' || return 1
    printf '%s\n' '{"id":"b","answer":"1"}' >ans.jsonl
    refuses 2 'no problem has the id "b"' "$ponder" judge --task countdown --input set.jsonl --answers ans.jsonl
}
t_code_is_run_under_bubblewrap_or_not_at_all() {
    printf '%s\n' '{"task_id":"X/0","prompt":"def one():\n    \"\"\"Returns 1.\"\"\"\n","entry_point":"one","test":"def check(f):\n    assert f() == 1\n"}' >code.jsonl
    printf '{"id":"X/0","answer":"%s"}\n' '    return 1' '    return 2' '    open(\"/ponder-was-here\", \"w\")\n    return 1' >ans.jsonl
    PATH=/nowhere expect 1 "$ponder" judge --task code --input code.jsonl --answers ans.jsonl && has err 'under bubblewrap' && has err 'install bubblewrap' || return 1
    bwrap --ro-bind / / true 2>/dev/null && command -v python3 >/dev/null || return 77
    expect 0 "$ponder" judge --task code --input code.jsonl --answers ans.jsonl || return 1
    [ "$(sed 's/.*"reward":\([01]\).*/\1/' out | tr -d '\n')" = 100 ] && has out 'AssertionError' && has out 'Read-only file system' && [ ! -e /ponder-was-here ] || { cat out >&2; return 1; }
    refuses 2 'needs tests' "$ponder" solve --task code -m game24-policy-small --prm none --search maj "def f(): pass"
}
# Where published scorers are strict, ours are: no zeros before a number, nothing behind a move.
t_judging_as_the_published_scorers_do() {
    printf '%s\n' '{"id":"a","question":"Calculate 7 using all of these numbers: 4, 1, 2.\nEach number may be used at most once.\n"}' >set.jsonl
    printf '{"id":"a","answer":"%s"}\n' '4 + 2 + 1' '04 + 2 + 1' '(4) + 2.+ +1' '4 + 2//1 + 1' '4 + 2**1' '4 + 2 - -1' >ans.jsonl
    expect 0 "$ponder" judge --task countdown --input set.jsonl --answers ans.jsonl || return 1
    sed 's/.*"reward":\([01]\).*/\1/' out | tr -d '\n' >got
    [ "$(cat got)" = 101001 ] || { say "countdown: $(cat got)"; return 1; }
    printf '{"id":"t","problem":" 1 : 1 -> 2"}\n' >set.jsonl
    printf '{"id":"t","answer":"%s"}\n' 'Move disk 1 from Peg 1 to Peg 2' ' +Move disk 1 from Peg 1 to Peg 2 ' 'Move disk 1 from Peg 1 to Peg 2.' 'I Move disk 1 from Peg 1 to Peg 2' 'move disk 1 from Peg 1 to Peg 2' >ans.jsonl
    "$ponder" generate --task tower_of_hanoi --knobs min_disks=1,max_disks=1,min_pegs=3,max_pegs=3 -n 1 >one && sed 's/"id":"[^"]*"/"id":"t"/' one >set.jsonl || return 1
    expect 0 "$ponder" generate --task tower_of_hanoi --knobs min_disks=1,max_disks=1,min_pegs=3,max_pegs=3 -n 1 --steps || return 1
    sed -n 's/.*"answer":"Move disk 1 from Peg \([0-9]\) to Peg \([0-9]\)".*/s,Peg 1,Peg a,; s,Peg 2,Peg b,; s,Peg a,Peg \1,; s,Peg b,Peg \2,/p' out >rename
    [ -s rename ] || { say "no answer in: $(cat out)"; return 1; }
    sed -i -f rename ans.jsonl
    expect 0 "$ponder" judge --task tower_of_hanoi --input set.jsonl --answers ans.jsonl || return 1
    sed 's/.*"reward":\([01]\).*/\1/' out | tr -d '\n' >got
    [ "$(cat got)" = 11000 ] || { say "tower: $(cat got)"; cat ans.jsonl; return 1; }
}
# Answers of a search in the form of whoever posed the problem: no "= 24" here.
t_eval_reads_published_questions() {
    printf '%s\n' '{"id":"q1","task":"puzzle24","question":"Make 24 using 4, 7, 8, 8. You can only use each number once. You can use the operators +, -, *, /.\n"}' >set.jsonl
    expect 0 "$ponder" eval --task puzzle24 --input set.jsonl --search mcts --budget 32 -o out.jsonl || return 1
    has out.jsonl '"correct":true' && lacks out.jsonl '= 24"' || return 1
    expect 0 "$ponder" judge --task puzzle24 --input set.jsonl --answers out.jsonl -q && has err '1 of 1'
}
t_a_policy_of_several_tasks() {
    expect 0 "$ponder" train policy --task boolean_expressions,kakurasu,n_queens --hard 0.5 --size tiny --steps 3 "${tiny[@]}" -o p.gguf || return 1
    expect 0 "$ponder" tokenize -m p.gguf -p ' 123 -> 9' && [ "$(wc -w <out)" = 5 ] || return 1
    "$ponder" generate --task n_queens -n 2 >q.jsonl
    expect 0 "$ponder" eval -m p.gguf --prm none --task n_queens --input q.jsonl --search greedy --json || return 1
    refuses 2 'no generator to learn from' "$ponder" train policy --task math -o x.gguf &&
        refuses 2 '"chess" is none of' "$ponder" train policy --task jugs,chess -o x.gguf || return 1
    expect 0 "$ponder" label -m p.gguf --task boolean_expressions -n 80 --chains 2 --max-rollouts 4 -t 1 -o l.jsonl && has err 'above 0' || return 1
    refuses 1 'labels of other settings' "$ponder" label -m p.gguf --task boolean_expressions -n 80 --chains 3 --max-rollouts 4 -t 1 -o l.jsonl || return 1
    expect 0 "$ponder" train prm --init p.gguf --labels l.jsonl --steps 2 "${tiny[@]}" -o r.gguf
}
# The text says which task is meant, among those that the model was trained for.
t_the_task_is_picked_from_the_text() {
    "$ponder" train policy --task n_queens,countdown,jugs --size tiny --steps 1 "${tiny[@]}" -o pick.gguf >out 2>err || return 1
    local run=("$ponder" solve -m pick.gguf --search greedy -q -t 1)
    expect 1 "${run[@]}" --json "8 : d . h . . . c ." && has out '"task":"n_queens"' || return 1
    expect 1 "${run[@]}" --json "Calculate 7 using all of these numbers: 4, 1, 2." && has out '"task":"countdown"' || return 1
    refuses 2 'could be a problem of countdown or jugs: say which with --task' "${run[@]}" "6 7 7 -> 3" || return 1
    refuses 2 'of no task that the model knows (n_queens,countdown,jugs)' "${run[@]}" "! T & T" || return 1
    expect 1 "${run[@]}" --task jugs --json "6 7 7 -> 3" && has out '"task":"jugs"' || return 1
    printf '%s\n' '8 : d . h . . . c .' >q.txt
    refuses 2 'task is missing: the model knows n_queens' "$ponder" eval -m pick.gguf --search greedy --input q.txt || return 1
    expect 0 "$ponder" models && has out '1.72 M weights' && has out 'inside  game24,countdown,puzzle24' || return 1
    expect 0 "$ponder" models pick.gguf && has out 'file    n_queens,countdown,jugs' || return 1
    refuses 1 'none.gguf' "$ponder" models none.gguf
}
# A search's chains become examples: those of the training side only, and the right ones.
t_what_a_search_found_is_learned() {
    "$ponder" generate --task n_queens --knobs min_remove=1,max_remove=2 --training -n 60 -s 3 >q.jsonl || return 1
    "$ponder" train policy --task n_queens --size tiny --steps 1 "${tiny[@]}" -o found.gguf >out 2>err || return 1
    expect 0 "$ponder" eval -m found.gguf --prm none --task n_queens --input q.jsonl --search greedy -t 1 -o r.jsonl && lacks r.jsonl '"correct":true' || return 1
    refuses 1 'too few' "$ponder" train distill --size tiny --labels r.jsonl --steps 1 "${tiny[@]}" -o d.gguf || return 1
    "$ponder" generate --task n_queens --knobs min_remove=1,max_remove=2 --training --steps -n 60 -s 3 >c.jsonl || return 1
    expect 0 "$ponder" train distill --size tiny --task n_queens --labels c.jsonl --steps 3 "${tiny[@]}" -o d.gguf && has err '60 problems with 60 right chains and 0 wrong' || return 1
    refuses 1 'no values of steps' "$ponder" train prm --init found.gguf --labels c.jsonl --steps 1 "${tiny[@]}" -o x.gguf || return 1
    expect 0 "$ponder" train revise --init d.gguf --labels c.jsonl --steps 2 "${tiny[@]}" -o v.gguf || return 1
    expect 0 "$ponder" inspect v.gguf && has out 'ponder.revises' && has out 'n_queens' || return 1
    head -n 4 q.jsonl >four.jsonl # who has learned to revise can be asked to
    expect 0 "$ponder" eval -m v.gguf --task n_queens --input four.jsonl --search refine --budget 4 --rounds 3 -t 1 || return 1
    refuses 1 'refine needs' "$ponder" eval -m d.gguf --task n_queens --input four.jsonl --search refine --budget 4 -t 1 || return 1
    "$ponder" generate --task n_queens --held-out --steps -n 60 -s 3 >h.jsonl
    refuses 1 'must not be trained on' "$ponder" train distill --size tiny --labels h.jsonl --steps 1 "${tiny[@]}" -o x.gguf &&
        refuses 2 'give one of them' "$ponder" generate --task n_queens --held-out --training &&
        refuses 2 '--labels FILE is missing' "$ponder" train distill -o x.gguf && refuses 2 'one of policy' "$ponder" train dance -o x.gguf
}
t_a_resume_with_other_settings_is_refused() {
    local run=(train policy --size tiny --steps 4000 "${tiny[@]}" -o b.gguf --log b.jsonl) f i
    "$ponder" "${run[@]}" --save-every 0.1 >out 2>err &
    local pid=$!
    for i in $(seq 600); do [ -f b.gguf.ckpt ] && [ -s b.jsonl ] && break; sleep 0.02; done
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    for f in "lr 0.5" "batch 4" "explore 0" "steps 1000" "warmup 10" "hard 1"; do
        set -- $f
        expect 1 "$ponder" "${run[@]}" "--$1" "$2" && has err "now --$1 is $2" || return 1
    done
}
# Reports beyond the checkpoint come again: the log holds each step once.
t_a_log_holds_each_step_once() {
    local run=(train policy --size tiny --steps 20 "${tiny[@]}" -o a.gguf --log a.jsonl)
    expect 0 "$ponder" "${run[@]}" || return 1
    cut -d, -f1-4 a.jsonl >want
    rm a.gguf.ckpt
    expect 0 "$ponder" "${run[@]}" && cut -d, -f1-4 a.jsonl >got && same want got || return 1
    expect 0 "$ponder" "${run[@]}" && cut -d, -f1-4 a.jsonl >got && same want got
}
t_grpo_goes_on_with_a_policy() {
    local run=(train grpo --init game24-policy-small --steps 2 --problems 2 --group 4 -t 1 -o g.gguf --log g.jsonl)
    expect 0 "$ponder" "${run[@]}" && has out 'mean reward' && [ "$(wc -l <g.jsonl)" = 2 ] || return 1
    expect 0 "$ponder" "${run[@]}" && [ "$(wc -l <g.jsonl)" = 2 ] || return 1
    refuses 1 'now --group is 8' "$ponder" "${run[@]}" --group 8 && refuses 2 '--init POLICY is missing' "$ponder" train grpo -o x.gguf
}
t_calibrate_prints_no_nan() {
    printf '%s\n' '4 7 8 8' >one
    expect 0 "$ponder" calibrate --input one --chains 1 --json && lacks out nan && has out '"auc":null'
}

run_tests "${2:-}"
