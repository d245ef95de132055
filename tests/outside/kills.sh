#!/usr/bin/env bash
# kills.sh: eval, label and train are killed with kill -9 at random moments and go on; their files must be those of runs
# that nobody disturbed, to the byte (but for the milliseconds in results and training logs).
# Not part of `make test`, which kills each once or twice (tests/cli*.sh): 200 kills of each take some ten minutes.
# Next: docs/HOSTILE.md.
#
#   tests/outside/kills.sh [PONDER [KILLS [SEED]]]
set -u
ponder=$(realpath "${1:-build/ponder}") kills=${2:-200} RANDOM=${3:-1}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 1

# What must be equal of a file: all but times, host and lines that say that a run went on.
plain() {
    case $1 in
    *.results) grep -v '^{"continued"' "$1" | sed -E 's/"(ms|elapsed|started|seconds)":("[^"]*"|[0-9.]+),?//g' ;;
    *.log) sed -E 's/"(ms|elapsed|seconds|tokens_per_second)":[0-9.e+-]+,?//g' "$1" ;;
    *) cat "$1" ;;
    esac
}

# disturbed NAME FILES COMMAND...: once in peace, then with kills; @ in the command is the name of its files.
disturbed() {
    local name=$1 files=$2 file start length n=0 done=0 rc pid
    shift 2
    start=$(date +%s%N)
    "${@//@/peace}" >peace.out 2>&1 || { echo "not ok $name: exit code $?: $(tail -1 peace.out)"; return 1; }
    length=$((($(date +%s%N) - start) / 1000000))
    while [ "$done" = 0 ]; do
        "${@//@/killed}" >killed.out 2>&1 &
        pid=$!
        if [ "$n" -lt "$kills" ]; then
            # short waits hit the beginning, long ones the middle of the work; each run gets on by a part of it
            sleep "$(printf '0.%03d' $((RANDOM % (length * 3 / kills + 60))))"
            kill -9 $pid 2>/dev/null && n=$((n + 1))
        fi
        wait $pid 2>/dev/null
        rc=$?
        [ "$rc" = 137 ] && continue
        [ "$rc" = 0 ] || { echo "not ok $name: exit code $rc after $n kills: $(tail -1 killed.out)"; return 1; }
        done=1
        if [ "$n" -lt "$kills" ]; then # finished too soon: from the beginning, with what is there compared first
            done=0
        fi
        for file in $files; do
            cmp -s <(plain "${file//@/peace}") <(plain "${file//@/killed}") || {
                echo "not ok $name: $file differs after $n kills"
                diff <(plain "${file//@/peace}") <(plain "${file//@/killed}") | head -4
                return 1
            }
        done
        [ "$done" = 1 ] || rm -f killed.*
    done
    echo "ok $name: $n kills"
}

printf '%s\n' '4 7 8 8' '1 2 3 4' '3 3 8 8' '1 5 5 5' '2 3 5 12' '6 6 6 6' '1 3 4 6' '4 4 10 10' '2 2 2 9' '1 1 1 8' >problems.txt
bad=0
disturbed eval @.results "$ponder" eval -i problems.txt --search mcts --budget 16 -t 1 -o @.results || bad=1
disturbed label @.labels "$ponder" label -m game24-policy-small -n 60 --chains 2 --max-rollouts 8 -t 1 -o @.labels || bad=1
disturbed "train policy" "@.gguf @.log" "$ponder" train policy --size tiny --steps 60 --batch 8 --validation 8 --warmup 2 \
    -t 1 --save-every 0.1 -o @.gguf --log @.log || bad=1
disturbed "train prm" @.prm "$ponder" train prm --init game24-policy-small --labels peace.labels --steps 12 --batch 8 \
    --validation 8 --warmup 2 -t 1 --save-every 0.1 -o @.prm || bad=1
exit $bad
