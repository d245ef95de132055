#!/usr/bin/env bash
# run.sh PONDER MODEL.gguf VENV: unmodified clients from PyPI, and the page in Chromium, against `ponder serve`.  VENV is a
# virtual environment outside the tree; it is made when it is missing.  What cannot run here is skipped with a word.
set -euo pipefail
ponder=$1 model=$2 venv=$3
here=$(dirname "$0")
pid=
stop() { [ -z "$pid" ] || kill "$pid" 2>/dev/null || true; }
trap stop EXIT

start() { # ARGUMENTS: sets url
    "$ponder" serve --port 0 "$@" 2>"$venv/serve.log" &
    pid=$!
    for _ in $(seq 300); do
        url=$(sed -n 's/^ponder serve: \(http[^ ]*\) .*/\1/p' "$venv/serve.log")
        [ -z "$url" ] || return 0
        kill -0 "$pid" 2>/dev/null || { cat "$venv/serve.log"; exit 1; }
        sleep 0.1
    done
    echo "run.sh: the server does not start"
    exit 1
}

[ -d "$venv" ] || python3 -m venv "$venv" || { echo "SKIP: no virtual environment can be made"; exit 77; }
python=$venv/bin/python
"$python" -c 'import openai, anthropic, ollama' 2>/dev/null ||
    timeout 900 "$venv/bin/pip" install -q openai==3.51.0 anthropic==2.10.0 ollama==0.6.3 ||
    { echo "SKIP: PyPI cannot be reached"; exit 77; }

start -m "$model" --alias tiny
for client in openai anthropic ollama; do timeout 900 "$python" "$here/${client}_client.py" "$url"; done
if "$python" -c 'import lm_eval' 2>/dev/null || timeout 1800 "$venv/bin/pip" install -q 'lm-eval[api]==0.4.13'; then
    timeout 900 "$python" "$here/lm_eval_client.py" "$url" "$ponder" "$model"
else
    echo "SKIP: lm-eval cannot be installed"
fi
"$python" -c 'import its_hub, aiohttp, backoff' 2>/dev/null ||
    timeout 900 "$venv/bin/pip" install -q its-hub==1.2.0 aiohttp backoff certifi || echo "SKIP: its-hub cannot be installed"
"$python" -c 'import importlib.util as u, sys; sys.exit(not u.find_spec("optillm"))' ||
    timeout 900 "$venv/bin/pip" install -q --no-deps optillm || echo "SKIP: optillm cannot be installed"
for client in its_hub optillm; do
    "$python" -c "import importlib.util as u, sys; sys.exit(not u.find_spec('$client'))" || continue
    timeout 900 "$python" "$here/${client}_client.py" "$url"
done
stop
start
"$ponder" solve "4 7 8 8" -q --trace "$venv/tree.jsonl" >/dev/null
python3 "$here/page.py" "$url/" "$venv/page" "$venv/tree.jsonl" || [ $? = 77 ]
