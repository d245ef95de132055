#!/usr/bin/env bash
# run.sh BUILD_FOLDER [NAME...]: runs every test program there, then the command-line tests, and adds their counts up; with
# names those only: test_engine, cli_search, or cli_search:PART for its tests that have PART in their names.
# The last line is "N passed, N failed, N skipped"; logs stay beside the programs.  A test that cannot run here counts as
# skipped, never as passed.  Exit code 1 when anything failed.
set -u
B=${1:?usage: tests/run.sh BUILD_FOLDER [NAME...]}
shift
only=" $* "
cd "$(dirname "$0")/.."
export OPENBLAS_NUM_THREADS=1 # our own team is the parallelism, and sanitizers cannot see into the library
export TSAN_OPTIONS="${TSAN_OPTIONS:-} halt_on_error=1 second_deadlock_stack=1"
passed=0 failed=0 skipped=0 names=

# one NAME SECONDS COMMAND...: runs it into NAME.log and keeps its exit code and its seconds beside the log.
one() {
    local log=$B/tests/$1.log start=$SECONDS
    timeout -k 5 "$2" "${@:3}" </dev/null >"$log" 2>&1
    echo "$? $((SECONDS - start))" >"$log.end"
}

# count NAME SECONDS: takes the numbers from its log; a crash or a time-out is one failure more.
count() {
    local p f s code took why= log=$B/tests/$1.log
    read -r code took <"$log.end" && rm "$log.end"
    p=$(grep -c '^\[ *OK *\]\|^ok ' "$log")
    # cmocka lists the skipped and the failed ones again below its totals
    s=$(awk '/^\[ *SKIPPED *\] [0-9]+ test/ { again = 1 } again && /^\[ *SKIPPED *\] [^0-9]/ { next }
             /^\[=+\] Running/ { again = 0 } /^\[ *SKIPPED *\] [^0-9]|^skipped / { n++ } END { print n + 0 }' "$log")
    f=$(awk '/^\[ *FAILED *\] [0-9]+ test/ { again = 1 } again && /^\[ *FAILED *\] [^0-9]/ { next }
             /^\[=+\] Running/ { again = 0 } /^\[ *FAILED *\] [^0-9]|^not ok / { n++ } END { print n + 0 }' "$log")
    if [ "$code" = 124 ]; then why=" (stopped after $2 s)"; fi
    if [ "$code" != 0 ] && [ "$f" = 0 ]; then f=1 why="${why:- (exit code $code)}"; fi
    if [ "$p" = 0 ] && [ "$f" = 0 ] && [ "$s" = 0 ]; then f=1 why=' (no test ran)'; fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    printf '%-24s %4d passed' "$1" "$p"
    [ "$f" = 0 ] || printf ', %d FAILED%s' "$f" "$why"
    [ "$s" = 0 ] || printf ', %d skipped' "$s"
    printf ', %d s\n' "$took"
    [ "$f" = 0 ] || names="$names $1"
    [ "$f" = 0 ] || grep -v '^\[ *OK *\]\|^\[ *RUN *\]\|^ok ' "$log" | tail -n 60
}

[ -x "$B/ponder" ] || { echo "run.sh: $B/ponder is not built" >&2; exit 1; }
limit=${TEST_SECONDS:-400}
jobs=${TEST_JOBS:-$(nproc)} # programs at a time: most of a test is work of one thread
order=() limits=() counted=0
# told: counts what has ended, in the order of the start.
told() {
    while [ "$counted" -lt ${#order[@]} ] && [ -e "$B/tests/${order[counted]}.log.end" ]; do
        count "${order[counted]}" "${limits[counted]}"
        counted=$((counted + 1))
    done
}
# start NAME SECONDS COMMAND...: as soon as fewer than `jobs` are running.
start() {
    while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do wait -n; told; done
    order+=("$1") limits+=("$2")
    one "$@" &
}
# The command-line tests are some 150 processes each: they begin first, since they take longest.
for script in tests/cli*.sh; do
    name=$(basename "$script" .sh) part=
    if [ -n "${only// /}" ]; then
        [[ $only =~ " $name"(:([^ ]*))?" " ]] || continue
        part=${BASH_REMATCH[2]}
    fi
    start "$name" $((2 * limit)) "$script" "$B/ponder" $part
done
for source in tests/test_*.c; do
    name=$(basename "$source" .c)
    [ -z "${only// /}" ] || [[ $only = *" $name "* ]] || continue
    start "$name" "$limit" "$B/tests/$name"
done
while [ "$counted" -lt ${#order[@]} ]; do wait -n; told; done
[ -z "$names" ] || echo "failed:$names (logs in $B/tests)"
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ]
