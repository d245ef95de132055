# shell.sh: what the command-line tests share; sourced by tests/cli*.sh with the binary as $1 and part of a name as $2.
# Each test is a function t_NAME that runs in a folder of its own and returns 0 (passed), 77 (cannot run here) or another code.
set -u
ponder=$(realpath "${1:?usage: $0 PONDER [PART_OF_A_NAME]}")
here=$(realpath "$(dirname "$0")")
dir=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null; rm -rf "$dir"' EXIT
cd "$dir" || exit 1
unset NO_COLOR CLICOLOR CLICOLOR_FORCE
export TERM=xterm LC_ALL=C

say() { printf '  %s\n' "$*" >&2; }

# expect CODE COMMAND...: runs it, streams into the files out and err; says what happened when the exit code is another.
expect() {
    local want=$1 got
    shift
    "$@" >out 2>err </dev/null
    got=$?
    [ "$got" = "$want" ] && return 0
    say "exit code $got, expected $want: $*"
    head -c 600 err >&2
    return 1
}
# has FILE TEXT, lacks FILE TEXT (plain strings)
has() { grep -qF -- "$2" "$1" || { say "no \"$2\" in $1: $(head -c 400 "$1")"; return 1; }; }
lacks() { ! grep -qF -- "$2" "$1" || { say "\"$2\" in $1: $(head -c 400 "$1")"; return 1; }; }
same() { cmp -s "$1" "$2" || { say "$1 and $2 differ"; diff "$1" "$2" | head -5 >&2; return 1; }; }
empty() { [ ! -s "$1" ] || { say "$1 is not empty: $(head -c 200 "$1")"; return 1; }; }
one_line() { [ "$(wc -l <"$1")" = 1 ] || { say "$1 has not one line: $(cat "$1")"; return 1; }; }
# refuses CODE TEXT COMMAND...: this exit code, nothing on stdout, one line on stderr that holds TEXT and no control byte.
refuses() {
    local code=$1 text=$2
    shift 2
    expect "$code" "$@" && empty out && one_line err && has err "$text" || { say "of: $*"; return 1; }
    ! LC_ALL=C grep -q '[^ -~]' err || { say "control bytes in the error of: $*"; return 1; }
}
sanitized() { grep -q '__[at]san_init' "$ponder"; }

# run_tests [PART_OF_A_NAME]: all functions t_NAME; one line each, which run.sh counts.  The exit code says whether one failed.
run_tests() {
    local test_name started status=0
    for test_name in $(declare -F | sed -n 's/^declare -f \(t_.*\)/\1/p'); do
        [ -n "${1:-}" ] && case $test_name in *$1*) ;; *) continue ;; esac
        started=$SECONDS
        $test_name
        case $? in
        0) echo "ok ${test_name#t_} ($((SECONDS - started)) s)" ;;
        77) echo "skipped ${test_name#t_}" ;;
        *) echo "not ok ${test_name#t_}"; status=1 ;;
        esac
    done
    return $status
}
