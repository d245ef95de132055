#!/usr/bin/env python3
"""serve-load.py PONDER MODEL.gguf [--llama LLAMA_SERVER] [--seconds N] [--streams N]: `ponder serve` under load here.

1. Streams: N requests of one text at once, all streaming; the tokens a second of all together, beside the same work
   done by `ponder bench tree` without HTTP, and by llama-server with as many slots (or llama-batched-bench, which
   serves nobody), in turn.
2. First token: a short request that comes while a prompt of 4000 tokens is read, in passes of the model.
3. Connections: the memory of 1,000 idle ones.
4. Soak: mixed requests for so many seconds; resident memory at the start and at the end.
Times depend on what else the machine does: ratios of runs in turn are what counts.  Only the standard library is used.
Next: docs/SERVE.md for the results."""
import argparse, concurrent.futures, http.client, json, os, re, socket, statistics, subprocess, sys, threading, time

parser = argparse.ArgumentParser(usage=__doc__)
parser.add_argument("ponder")
parser.add_argument("model")
parser.add_argument("--llama", help="llama-server")
parser.add_argument("--batched-bench", help="llama-batched-bench")
parser.add_argument("--seconds", type=float, default=60)
parser.add_argument("--streams", type=int, default=64)
parser.add_argument("--tokens", type=int, default=64)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--threads", default="2")
parser.add_argument("--only", default="streams,first,connections,soak")
args = parser.parse_args()
PROMPT = "The history of the town begins with"


class Server:
    def __init__(self, command, ready):
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.port = None
        for line in self.process.stderr:
            found = re.search(ready, line)
            if found:
                self.port = int(found.group(1))
                break
        if self.port is None:
            sys.exit(f"{command[0]} does not start")
        threading.Thread(target=lambda: [None for _ in self.process.stderr], daemon=True).start()

    def rss(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1)) / 1024

    def stop(self):
        self.process.terminate()
        self.process.wait(60)


def ponder(*more):
    command = [args.ponder, "serve", "-m", args.model, "--port", "0", "-t", args.threads, *more]
    return Server(command, r"http://127\.0\.0\.1:(\d+)")


def llama(port=18080):
    # As many slots as streams, each with room for its text.
    command = [args.llama, "-m", args.model, "--port", str(port), "-t", args.threads, "-np", str(args.streams),
               "-c", str(args.streams * 256), "--no-webui"]
    return Server(command, r"listening on http://127\.0\.0\.1:(\d+)")


def stream(port, body, on_first=None):
    """Tokens of one streamed completion."""
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=3600)
    c.request("POST", "/v1/completions", json.dumps({**body, "stream": True}), {"Content-Type": "application/json"})
    reply, n = c.getresponse(), 0
    for line in reply:
        if line.startswith(b"data: {"):
            if not n and on_first:
                on_first()
            n += 1
    c.close()
    if reply.status != 200:
        raise SystemExit(f"status {reply.status}")
    return n


def burst(port):
    """All streams at once; tokens a second of all together.  Each has its own seed, none ends early."""
    body = {"prompt": PROMPT, "max_tokens": args.tokens, "temperature": 1, "ignore_eos": True}
    start = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(args.streams) as pool:
        list(pool.map(lambda i: stream(port, {**body, "seed": i}), range(args.streams)))
    return args.streams * args.tokens / (time.monotonic() - start)


def bench_tree():
    """The same texts without a server."""
    command = [args.ponder, "bench", "tree", "-m", args.model, "-t", args.threads, "-b", str(args.streams), "-p", "8",
               "-n", str(args.tokens), "-r", "1", "-o", "json"]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(out.stdout)[0]["tokens_per_second"]


def batched_bench():
    command = [args.batched_bench, "-m", args.model, "-t", args.threads, "-c", str(args.streams * (args.tokens + 16)),
               "-npp", "8", "-ntg", str(args.tokens), "-npl", str(args.streams), "-pps", "--output-format", "jsonl"]
    out = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads([line for line in out.stdout.splitlines() if line.startswith("{")][-1])["speed_tg"]


def streams():
    us = ponder()
    them = llama() if args.llama else None
    others = {"bench tree": bench_tree}
    if args.llama:
        others["llama-server"] = lambda: burst(them.port)
    if args.batched_bench:
        others["llama-batched-bench"] = batched_bench
    burst(us.port)
    ours, theirs = [], {name: [] for name in others}
    for _ in range(args.rounds):
        ours.append(burst(us.port))
        for name, run in others.items():
            theirs[name].append(run())
    print(f"{args.streams} streams of {args.tokens} tokens: {statistics.median(ours):.0f} tok/s "
          f"{[round(r) for r in ours]}")
    for name, rates in theirs.items():
        ratios = [a / b for a, b in zip(ours, rates)]
        print(f"  {name}, in turn: {statistics.median(rates):.0f} tok/s {[round(r) for r in rates]}; "
              f"ponder serve is {statistics.median(ratios):.2f} of it {[round(r, 2) for r in ratios]}")
    if them:
        them.stop()
    us.stop()


def first():
    us = ponder("-c", "8192")
    long = {"prompt": "word " * 4000, "max_tokens": 1, "temperature": 0}
    short = {"prompt": PROMPT, "max_tokens": 4, "temperature": 0}
    alone, beside = [], []
    for _ in range(args.rounds):
        start = time.monotonic()
        stream(us.port, short, lambda: alone.append(time.monotonic() - start))
        fresh = {**long, "prompt": f"{time.monotonic()} " + long["prompt"]}
        whole = threading.Thread(target=stream, args=(us.port, fresh))
        begun = time.monotonic()
        whole.start()
        time.sleep(0.3)
        start = time.monotonic()
        stream(us.port, {**short, "prompt": f"{start} {PROMPT}"}, lambda: beside.append(time.monotonic() - start))
        still = whole.is_alive()
        whole.join()
        took = time.monotonic() - begun
        one_pass = took / (4000 / 512)
        print(f"first token: {alone[-1] * 1e3:.0f} ms alone, {beside[-1] * 1e3:.0f} ms beside a prompt of 4000 tokens "
              f"({took:.1f} s, {'still read then' if still else 'read already'}): {beside[-1] / one_pass:.1f} passes "
              f"of 512 tokens")
    us.stop()


def connections():
    us = ponder()
    before = us.rss()
    open_ones = [socket.create_connection(("127.0.0.1", us.port)) for _ in range(1000)]
    for s in open_ones:  # each has been seen: a request and its reply
        s.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
    for s in open_ones:
        s.recv(4096)
    print(f"1,000 idle connections: {us.rss() - before:.1f} MB more ({before:.0f} MB before)")
    for s in open_ones:
        s.close()
    us.stop()


def soak():
    us = ponder()
    end, marks, count = time.monotonic() + args.seconds, [], [0]
    bodies = [{"prompt": PROMPT, "max_tokens": 16}, {"prompt": PROMPT, "max_tokens": 8, "n": 4},
              {"prompt": "a b c", "max_tokens": 8, "response_format": {"type": "json_object"}}]

    def client(i):
        k = 0
        while time.monotonic() < end:
            if k % 5 == 4:  # and some leave
                s = socket.create_connection(("127.0.0.1", us.port))
                data = json.dumps({"prompt": PROMPT, "max_tokens": 200, "n": 8}).encode()
                head = b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
                s.sendall(head % len(data) + data)
                time.sleep(0.05)
                s.close()
            else:
                stream(us.port, {**bodies[(i + k) % len(bodies)], "seed": k})
            k += 1
            count[0] += 1

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        work = [pool.submit(client, i) for i in range(8)]
        while time.monotonic() < end:
            time.sleep(args.seconds / 12)
            marks.append(us.rss())
        for w in work:
            w.result()
    print(f"soak of {args.seconds:.0f} s, {count[0]} requests: resident MB {[round(m) for m in marks]}")
    us.stop()


for part in args.only.split(","):
    {"streams": streams, "first": first, "connections": connections, "soak": soak}[part]()
