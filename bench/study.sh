#!/usr/bin/env bash
# study.sh quick|full FOLDER [PONDER]: how much search a small model needs: runs of policies, strategies, budgets, tasks and judges
# into FOLDER/rows, then FOLDER/report/report.html.  It goes on where it was stopped.
# Any number of processes share the work, on any computers that share the folder: start the command again beside itself, as
# `mpirun -n 4 bench/study.sh full FOLDER`, or as a Slurm array (docs/STUDY.md).  Each takes the next run that nobody works on; the lock
# of a process that is killed is gone with it, and another goes on with its file.
# Not the figures: ponder study makes them, from the rows alone.
# Next: docs/STUDY.md.
set -euo pipefail
cd "$(dirname "$0")/.."
usage='usage: bench/study.sh quick|full FOLDER [PONDER]'
kind=${1:?$usage} folder=${2:?$usage} ponder=${3:-build/ponder}
case $kind in
quick) n=60 seeds=16 budgets="4 16 64" mcts="16 64 256" noises="0 2 4" chains=16 ;;
full) n=400 seeds=64 budgets="4 16 64 256" mcts="16 64 256 1024" noises="0 1 2 3 4 6" chains=64 ;;
*) echo "$usage" >&2; exit 2 ;;
esac
# A part of it, or more: problems a task, seeds of single chains, budgets, noises.
n=${STUDY_N:-$n} seeds=${STUDY_SEEDS:-$seeds} budgets=${STUDY_BUDGETS:-$budgets} mcts=${STUDY_MCTS:-$mcts} noises=${STUDY_NOISES:-$noises}
tasks=${STUDY_TASKS:-game24}
policies=${STUDY_POLICIES:-game24-policy-small game24-policy} # from small to large
prm=${STUDY_PRM:-embedded}
threads=${STUDY_THREADS:-$(nproc)}
mkdir -p "$folder/rows" "$folder/problems" "$folder/locks"

# The problems of a task: those that training never sees.  Game of 24 has a list of its own; its generator knows others only.
problems() { # TASK
    local file=$folder/problems/$1.jsonl part
    [ ! -s "$file" ] || return 0
    part=$(mktemp "$folder/problems/XXXXXX")
    if [ "$1" = game24 ]; then
        awk -v n="$n" -v step="$((n < 1262 ? 1262 / n : 1))" '(NR - 1) % step == 0 && kept < n { kept++; printf "{\"id\":\"%d\",\"problem\":\"%s\"}\n", NR, $0 }' bench/game24.txt >"$part"
    else "$ponder" generate --task "$1" --held-out -n "$n" --seed 24 >"$part"; fi
    mv -f "$part" "$file"
}

# job NAME COMMAND...: one file of results, unless it is finished or somebody is at it (then `busy` is set).  What failed is tried
# once by each process, and listed.
busy=
declare -A tried
trap 'exit 130' INT TERM
job() {
    local name=$1 lock=$folder/locks/$1
    shift
    [ ! -e "$lock.done" ] && [ -z "${tried[$name]:-}" ] || return 0
    exec 8>"$lock"
    flock -n 8 || { busy=yes; return 0; }
    if [ ! -e "$lock.done" ]; then
        tried[$name]=yes
        echo "study: $name" >&2
        if "$@" >"$lock.out" 2>"$lock.err"; then # it holds the lock, too: when this shell is killed, until it has ended
            touch "$lock.done"
            rm -f "$lock.failed"
        else
            printf '%s: %s\n' "$name" "$(tail -n 1 "$lock.err")" | tee "$lock.failed" >&2
        fi
    fi
    exec 8>&-
}
run() { # GROUP TASK POLICY WORDS... -- FLAGS...
    local name=$1.$2.$(basename "$3" .gguf) task=$2 policy=$3
    shift 3
    while [ "$1" != -- ]; do name+=.$1; shift; done
    shift
    case " $* " in *" --prm "* | *" greedy "* | *" maj "*) ;; *) set -- --prm "$prm" "$@" ;; esac # a search without values takes none
    job "$name" "$ponder" eval -m "$policy" --task "$task" -i "$folder/problems/$task.jsonl" -t "$threads" \
        --in-flight 8 "$@" -o "$folder/rows/$name.jsonl"
}
calibration() { # TASK POLICY
    local name=calibration.$1.$(basename "$2" .gguf)
    # shellcheck disable=SC2016
    job "$name" bash -c '"$0" "${@:2}" >"$1.part" && mv "$1.part" "$1"' "$ponder" "$folder/rows/$name.jsonl" \
        calibrate -m "$2" --prm "$prm" --task "$1" --input "$folder/problems/$1.jsonl" --chains 8 --json -t "$threads"
}

all_of() { # TASK POLICY: cheap runs first, so that a study that is stopped has something of everything
    local task=$1 policy=$2 b s x seed
    run main "$task" "$policy" greedy -- --search greedy
    for seed in $(seq "$seeds"); do run samples "$task" "$policy" "$seed" -- --search maj --budget 1 --seed "$seed"; done
    for b in $budgets; do
        for s in maj bon weighted beam; do run main "$task" "$policy" "$s" "$b" -- --search "$s" --budget "$b"; done
    done
    for b in $mcts; do run main "$task" "$policy" mcts "$b" -- --search mcts --budget "$b"; done
    calibration "$task" "$policy"
    for b in $budgets; do
        for s in bon beam; do
            run judges "$task" "$policy" "$s" "$b" noisy -- --search "$s" --budget "$b" --value-noise 4
            run judges "$task" "$policy" "$s" "$b" oracle -- --prm oracle --search "$s" --budget "$b"
        done
    done
    for x in $noises; do
        for b in 1 2 4 8 16; do
            run widths "$task" "$policy" "$b" "noise$x" -- --prm oracle --search beam --budget 16 --beam-width "$b" --value-noise "$x"
        done
    done
    for x in 1 2 4 8; do
        run turns "$task" "$policy" "$x" -- --search gibbs --budget $((chains / x)) --sweeps "$x"
    done
}

for task in $tasks; do problems "$task"; done
while :; do
    busy=
    for policy in $policies; do
        for task in $tasks; do all_of "$task" "$policy"; done
    done
    [ -n "$busy" ] || break
    sleep 2 # others are at the rest; should one of them be killed, its run is free
done
exec 9>"$folder/locks/report"
flock -n 9 || exit 0 # another one writes it
cat "$folder"/locks/*.failed >"$folder/rows/failures.txt" 2>/dev/null || :
"$ponder" study "$folder/rows" -o "$folder/report"
echo "$folder/report/report.html"
