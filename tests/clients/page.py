#!/usr/bin/env python3
"""page.py URL FOLDER [TREE_FILE]: the page in headless Chromium: a search is followed to its answer, a tree file is replayed and dropped, keys move about.
Screenshots go to FOLDER.  Exit code 77 when there is no Chromium, 1 when anything is wrong.  Only the standard library is used.
Next: serve/page.html."""
import base64, json, os, shutil, subprocess, sys, tempfile, time

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--remote-debugging-pipe", "--window-size=1400,900"]


class Browser:
    """Commands and events over a pair of pipes, one JSON text and a NUL each."""

    def __init__(self, binary):
        self.folder = tempfile.mkdtemp(prefix="ponder-chromium-")
        to_read, self.to = os.pipe()
        self.out, out_write = os.pipe()

        def pipes():
            os.dup2(to_read, 3)
            os.dup2(out_write, 4)

        a, b = os.dup(to_read), os.dup(out_write)  # not 3 or 4 themselves, so that dup2 harms none
        to_read, out_write = a, b
        self.process = subprocess.Popen([binary, *FLAGS, "--user-data-dir=" + self.folder, "about:blank"], preexec_fn=pipes,
                                        close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.rest, self.number, self.session, self.complaints = b"", 0, None, []

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def message(self):
        while b"\0" not in self.rest:
            more = os.read(self.out, 1 << 16)
            if not more:
                raise SystemExit("Chromium has ended")
            self.rest += more
        one, self.rest = self.rest.split(b"\0", 1)
        return json.loads(one)

    def note(self, m):
        p = m.get("params", {})
        if m.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(p["exceptionDetails"].get("exception", {}).get("description", "exception"))
        if m.get("method") == "Runtime.consoleAPICalled" and p["type"] in ("error", "warning", "assert"):
            self.complaints.append(str(p["args"]))
        if m.get("method") == "Log.entryAdded" and p["entry"]["level"] in ("error", "warning"):
            self.complaints.append(p["entry"]["text"])

    def call(self, method, **params):
        self.number += 1
        m = {"id": self.number, "method": method, "params": params}
        if self.session:
            m["sessionId"] = self.session
        os.write(self.to, json.dumps(m).encode() + b"\0")
        while True:
            m = self.message()
            if m.get("id") == self.number:
                if "error" in m:
                    raise SystemExit(f"{method}: {m['error']}")
                return m["result"]
            self.note(m)

    def run(self, script):
        r = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in r:
            raise SystemExit(f"{script}: {r['exceptionDetails']}")
        return r["result"].get("value")

    def until(self, script, what, tries=600):
        for _ in range(tries):
            if self.run(script):
                return
            time.sleep(0.1)
        raise SystemExit(f"{what}: it did not happen")

    def shot(self, path):
        with open(path, "wb") as f:
            f.write(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def key(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key)


def check(browser, url, folder, tree):
    target = browser.call("Target.createTarget", url="about:blank")["targetId"]
    browser.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    browser.call("Emulation.setDeviceMetricsOverride", width=1400, height=900, deviceScaleFactor=1, mobile=False)
    for domain in ("Page", "Runtime", "Log"):
        browser.call(domain + ".enable")
    browser.call("Page.navigate", url=url)
    browser.until("document.documentElement && document.documentElement.dataset.ready === 'yes'", "the page is ready")
    # A search, to its answer.
    browser.run("panes[0].budget.value = 7; panes[0].budget.oninput(); $('input').value = '4 7 8 8'; send(); 0")
    browser.until("panes[0].tree.nodes.length > 3", "the tree grows")
    browser.until("panes[0].tree.done && !running.length", "the search ends")
    browser.until("document.querySelectorAll('.message.assistant .note').length === 1", "the answer is shown")
    answer = browser.run("document.querySelector('.message.assistant').textContent")
    assert "24" in answer and "mcts 128" in answer, answer
    assert browser.run("panes[0].tree.nodes.filter(n => n.picked).length") >= 3
    # Keys: down the first branch, and what the node says.
    browser.run("panes[0].canvas.focus(); 0")
    browser.key("ArrowDown")
    browser.until("panes[0].selected !== 0", "a key moves the selection")
    browser.until("panes[0].node.textContent.includes('log p')", "the node says what it is")
    browser.until("panes[0].tokens.querySelectorAll('span').length > 2", "the node shows its tokens")
    assert browser.run("[...panes[0].tokens.querySelectorAll('span')].every(s => /^probability [01][.]/.test(s.title))")
    step = browser.run("panes[0].tree.nodes[panes[0].selected].text")
    assert step in browser.run("panes[0].tokens.textContent").replace("⏎", "\n"), step
    # Whoever does not see the canvas hears of it.
    assert browser.run("panes[0].canvas.getAttribute('aria-label').includes('arrow keys')")
    assert browser.run("panes[0].node.getAttribute('aria-live')") == "polite"
    for what in ("button", "select", "input", "textarea", "canvas"):
        unnamed = browser.run(f"""[...document.querySelectorAll('{what}')].filter(e => !(e.textContent.trim() || e.ariaLabel ||
            e.getAttribute('aria-label') || e.closest('label') || e.hidden)).map(e => e.outerHTML)""")
        assert not unnamed, unnamed
    browser.shot(os.path.join(folder, "light.png"))
    # Two beside each other, in the dark.
    browser.run("$('second').click(); panes[1].strategy.value = 'beam'; panes[1].strategy.onchange(); $('theme').click(); 0")
    browser.run("$('input').value = '1 5 5 5'; send(); 0")
    browser.until("panes.every(p => p.tree.done) && !running.length", "both searches end")
    browser.until("document.querySelectorAll('.message.assistant .note').length === 3", "both answers are shown")
    browser.shot(os.path.join(folder, "dark-two.png"))
    # Replay of a file; backwards, too.
    n = browser.run("panes[0].tree.all.length")
    browser.run("""window.file = panes[0].tree.all.map((e) => JSON.stringify(e)).join("\\n");
        open(panes[1], new File([window.file], "tree.jsonl")).then(() => 0)""")
    assert browser.run("panes[1].tree.all.length") == n
    browser.run("panes[1].seek(5); 0")
    assert browser.run("panes[1].tree.shown") == 5
    browser.run("panes[1].seek(panes[1].tree.all.length); 0")
    assert browser.run("panes[1].tree.nodes.length === panes[0].tree.nodes.length")
    # A file that ponder solve --trace wrote, dropped from the desktop.
    if tree:
        place = browser.run("(() => { const r = panes[1].canvas.getBoundingClientRect(); return [r.x + 50, r.y + 50]; })()")
        for kind in ("dragEnter", "dragOver", "drop"):
            browser.call("Input.dispatchDragEvent", type=kind, x=place[0], y=place[1],
                         data={"items": [], "files": [os.path.abspath(tree)], "dragOperationsMask": 1})
        lines = [json.loads(line) for line in open(tree)]
        made = sum(line.get("event") == "made" for line in lines)
        browser.until(f"panes[1].tree.nodes.length === {made + 1} && panes[1].tree.done", "the dropped file is shown")
        assert browser.run("panes[1].tree.nodes[0].text") == lines[0]["problem"]
        assert browser.run("panes[1].tree.nodes.filter(n => n.picked).length") >= 2
        browser.shot(os.path.join(folder, "dropped.png"))
    # Ten thousand nodes: the time of a frame.
    browser.run("""{ const lines = []; let seed = 1;
        for (let i = 1; i <= 10000; i++) { seed = (seed * 48271) % 2147483647;
            const parent = Math.max(0, i - 1 - seed % Math.min(i, 400));
            lines.push(JSON.stringify({ event: "made", node: i, parent, depth: 1, text: "step " + i, tokens: 3, logprob: -1, end: "open" }),
                       JSON.stringify({ event: "scored", node: i, value: (seed % 1000) / 1000 })); }
        const depth = [0]; window.file = lines.map((l) => { const e = JSON.parse(l);
            if (e.event === "made") e.depth = depth[e.node] = depth[e.parent] + 1; return JSON.stringify(e); }).join("\\n"); } 0""")
    browser.run("open(panes[1], new File([window.file], 'large.jsonl')).then(() => 0)")
    assert browser.run("panes[1].tree.nodes.length") == 10001
    ms = browser.run("""{ const times = []; for (let i = 0; i < 20; i++) { const t = performance.now(); panes[1].draw();
        times.push(performance.now() - t); } times.sort((a, b) => a - b); times[10] }""")
    print(f"a frame of 10,001 nodes takes {ms:.1f} ms")
    frames = browser.run("""new Promise((end) => { const t0 = performance.now(); let n = 0, last = t0, worst = 0;
        const step = (t) => { worst = Math.max(worst, t - last); last = t; const v = panes[1].view; v.fit = false; v.x += 3; panes[1].dirty();
            if (++n < 120) requestAnimationFrame(step); else end([n / (performance.now() - t0) * 1e3, worst]); };
        requestAnimationFrame(step); })""")
    print(f"while it is moved: {frames[0]:.0f} frames a second, the longest {frames[1]:.0f} ms")
    browser.shot(os.path.join(folder, "large.png"))
    assert not browser.complaints, browser.complaints


def main():
    url, folder, tree = sys.argv[1], sys.argv[2], sys.argv[3] if len(sys.argv) > 3 else None
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    if not binary:
        print("SKIP: no Chromium here")
        sys.exit(77)
    os.makedirs(folder, exist_ok=True)
    browser = Browser(binary)
    try:
        check(browser, url, folder, tree)
    finally:
        browser.close()
    print("the page is good")


main()
