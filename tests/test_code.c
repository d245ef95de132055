/* test_code.c: programs under bubblewrap: right and wrong ones by their tests, and hostile ones, which are
 * contained.  Skipped where bwrap or python3 cannot run.
 * Not a search.
 * Next: tasks/sandbox.h, tasks/code.c. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "tasks/sandbox.h"
#include "tests/tasks_help.h"

#define SECOND 1000000000u
static const char *const python[] = {"python3", "-I", "-", NULL};

static enum status run(const char *program, uint64_t time_ns, struct sandbox_result *r, struct error *e) {
    const struct sandbox_limits l = {
        .time_ns = time_ns, .memory_bytes = (size_t)1 << 29, .output_bytes = 4096, .disk_bytes = 1 << 20};
    return sandbox_run(python, program, strlen(program), &l, r, e);
}

static bool can_run(void) {
    struct sandbox_result r;
    struct error e;
    if (run("print(1)", 20ull * SECOND, &r, &e)) {
        print_message("%s\n", e.text);
        return false;
    }
    bool good = r.end == SANDBOX_EXITED && !r.code;
    mem_free(r.output);
    return good;
}

#define NEEDS_BWRAP()                                                                                                  \
    if (!can_run()) skip()

/* ---- what a program sees and may do ---- */

static const struct {
    const char *what, *program, *out;
} contained[] = {
    {"input is its source, and then nothing", "import sys\nprint(repr(sys.stdin.read()))", "''\n"},
    {"no environment", "import os\nprint(sorted(os.environ.keys() - {'PWD', 'LC_CTYPE'}))", "['HOME', 'PATH']\n"},
    {"no files of others",
     "import os\nprint(sorted(set(os.listdir('/')) & {'etc', 'home', 'root', 'work', 'var'}), os.listdir('/tmp'))",
     "[] []\n"},
    {"no open files of others", "import os\nprint(len(os.listdir('/proc/self/fd')) <= 4)", "True\n"},
    {"no other processes", "import os\nprint(len([p for p in os.listdir('/proc') if p.isdigit()]) <= 2)", "True\n"},
    {"writes in /tmp only",
     "for p in ['/x', '/usr/x', '/bin/x', '/proc/x', '/tmp/x']:\n  try:\n    open(p, 'w').write('x'); print(p)\n  "
     "except OSError: pass",
     "/tmp/x\n"},
    {"a full disk",
     "try:\n  for i in range(99): open('/tmp/%d' % i, 'wb').write(b'x' * 100000)\nexcept OSError as e: print(i < 20, "
     "e.errno)",
     "True 28\n"},
    {"a large file",
     "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\ntry: open('/tmp/x', 'wb').write(b'x' * "
     "3000000)\nexcept OSError: print('no')",
     "no\n"},
    {"a fork bomb", "import os\ntry:\n  while True: os.fork()\nexcept PermissionError: print('no')", "no\n"},
    {"other programs", "import subprocess\ntry: subprocess.run(['true'])\nexcept PermissionError: print('no')", "no\n"},
    {"vfork and clone",
     "import ctypes\nl = ctypes.CDLL(None)\nprint([l.syscall(n, 17, 0, 0, 0, 0) for n in ([56, 57, 58, 435] if "
     "ctypes.sizeof(ctypes.c_void_p) == 8 and __import__('platform').machine() == 'x86_64' else [220, 435, 220, "
     "435])])",
     "[-1, -1, -1, -1]\n"},
    {"threads are allowed", "import threading\nt = threading.Thread(target=print, args=('yes',))\nt.start(); t.join()",
     "yes\n"},
    {"much memory", "try: x = 'x' * (1 << 33)\nexcept MemoryError: print('no')", "no\n"},
};

static void programs_are_contained(void **state) {
    (void)state;
    NEEDS_BWRAP();
    setenv("PONDER_SECRET", "secret", 1);
    for (size_t i = 0; i < sizeof contained / sizeof *contained; i++) {
        struct sandbox_result r;
        struct error e;
        if (run(contained[i].program, 30ull * SECOND, &r, &e)) fail_msg("%s: %s", contained[i].what, e.text);
        if (r.end != SANDBOX_EXITED || r.code || strcmp(r.output, contained[i].out))
            fail_msg("%s: end %d, code %d, output: %s", contained[i].what, r.end, r.code, r.output);
        mem_free(r.output);
    }
}

/* A server of this process is not to be reached. */
static void no_network(void **state) {
    (void)state;
    NEEDS_BWRAP();
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0 && !bind(fd, (struct sockaddr *)&at, sizeof at) && !listen(fd, 4));
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    char program[400];
    snprintf(program, sizeof program,
             "import socket\nfor a in [('127.0.0.1', %d), ('192.0.2.1', 80)]:\n  try: socket.create_connection(a, 5); "
             "print('reached')\n"
             "  except OSError: print('no')",
             ntohs(at.sin_port));
    struct sandbox_result r;
    struct error e;
    assert_int_equal(run(program, 30ull * SECOND, &r, &e), OK);
    assert_string_equal(r.output, "no\nno\n");
    mem_free(r.output);
    close(fd);
}

/* ---- limits ---- */

static void expect_end(const char *program, uint64_t time_ns, enum sandbox_end end) {
    struct sandbox_result r;
    struct error e;
    uint64_t start = clock_ns();
    if (run(program, time_ns, &r, &e)) fail_msg("%s: %s", program, e.text);
    if (r.end != end) fail_msg("%s: end %d, expected %d; output %s", program, r.end, end, r.output);
    assert_true(r.n <= 4096);
    if (end == SANDBOX_TOO_LONG) assert_true(clock_ns() - start >= time_ns); /* and it came back at all */
    mem_free(r.output);
}

static void limits_end_programs(void **state) {
    (void)state;
    NEEDS_BWRAP();
    expect_end("while True: pass", SECOND / 4, SANDBOX_TOO_LONG);
    expect_end("import time\ntime.sleep(1000)", SECOND / 4, SANDBOX_TOO_LONG);
    expect_end("import os, time\nos.close(1); os.close(2)\ntime.sleep(1000)", SECOND / 2, SANDBOX_TOO_LONG);
    expect_end("import signal\nfor s in range(1, 65):\n  try: signal.signal(s, signal.SIG_IGN)\n  except (OSError, "
               "ValueError): pass\nwhile True: pass",
               SECOND / 2, SANDBOX_TOO_LONG);
    expect_end("while True: print('x' * 1000)", 30ull * SECOND, SANDBOX_TOO_MUCH);
    expect_end("import sys\nwhile True: sys.stderr.write('x' * 1000)", 30ull * SECOND, SANDBOX_TOO_MUCH);
}

/* ---- the task ---- */

#define LINE                                                                                                           \
    "{\"task_id\":\"T/1\",\"prompt\":\"import math\\n\\ndef twice(x):\\n    \\\"\\\"\\\"Two times "                    \
    "x.\\\"\\\"\\\"\\n\",\"entry_point\":\"twice\","                                                                   \
    "\"test\":\"def check(candidate):\\n    assert candidate(3) == 6\\n    assert candidate(0) == 0\\n\"}"

static const struct {
    const char *chain, *reason; /* NULL: right */
} answers[] = {
    {"```python\ndef twice(x):\n    return 2 * x\n```", NULL},
    {"Here it is:\n\n```\ndef twice(x):\n    return math.floor(2 * x)\n```\nIt doubles x.", NULL},
    {"    return 2 * x\n", NULL},                              /* a completion */
    {"def twice(x):\n    return x + x\n```\nAnd more.", NULL}, /* went on behind an opening line of the prompt */
    {"```python\ndef twice(x):\n    return x + x\n", NULL},    /* cut behind its code */
    {"```python\nbad\n```\nNo:\n```python\ndef twice(x):\n    return 2 * x\n```", NULL},
    {"```python\ndef twice(x):\n    return 3 * x\n```", "AssertionError"},
    {"```python\ndef twice(x)\n    return 2 * x\n```", "SyntaxError: expected ':'"},
    {"```python\ndef thrice(x):\n    return 2 * x\n```", "AssertionError"},
    {"", "there is no program"},
    {"```python\nimport os\ndef twice(x):\n    os._exit(0)\n```", "it ends before its tests do"},
    {"```python\ndef twice(x):\n    print('passed 0123456789abcdef')\n    exit(0)\n```", "it ends before its tests do"},
    {"```python\ndef twice(x):\n    import os, signal\n    os.kill(os.getpid(), signal.SIGSEGV)\n```",
     "it ends before its tests do"},
    {"```python\ndef twice(x):\n    print('x' * 100000)\n    return 2 * x\n```", "it writes more than 65536 bytes"},
};

static void functions_are_judged(void **state) {
    (void)state;
    NEEDS_BWRAP();
    const struct task *t = task_find("code");
    struct problem p;
    struct error e;
    if (t->parse(t, LINE, 3, &p, &e)) fail_msg("%s", e.text);
    assert_string_equal(p.id, "T/1");
    assert_non_null(strstr(p.text, "def twice(x):"));
    assert_null(strstr(p.text, "assert")); /* a model never sees the tests */
    assert_int_equal(problem_verdict(&p, ""), VERDICT_WRONG);
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct judgement j = t->judge(&p, answers[i].chain);
        if (!answers[i].reason && j.reward < 1) fail_msg("answer %zu: %s", i, j.reason);
        if (answers[i].reason && (j.reward > 0 || !strstr(j.reason, answers[i].reason)))
            fail_msg("answer %zu: reward %g, %s", i, (double)j.reward, j.reason);
    }
    char out[200];
    t->answer(&p, answers[1].chain, out, sizeof out);
    assert_string_equal(out, "def twice(x):\n    return math.floor(2 * x)\n");
    problem_free(&p);
}

static void bad_lines(void **state) {
    (void)state;
    NEEDS_BWRAP();
    static const struct {
        const char *line, *text;
    } bad[] = {{"def f(): pass", "line 7: code takes lines like"},
               {"{\"prompt\":\"x\",\"entry_point\":\"f\"}", "line 7: \"test\" must be a text"},
               {"{\"prompt\":\"x\",\"test\":\"f\",\"entry_point\":4}", "line 7: \"entry_point\" must be a text"},
               {"{\"prompt\":\"\",\"test\":\"f\",\"entry_point\":\"f\"}", "line 7: \"prompt\" must be a text"}};
    const struct task *t = task_find("code");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct problem p;
        struct error e;
        assert_int_equal(t->parse(t, bad[i].line, 7, &p, &e), ERR_INPUT);
        if (!strstr(e.text, bad[i].text)) fail_msg("\"%s\", expected \"%s\"", e.text, bad[i].text);
    }
}

/* Without bwrap nothing is run. */
static void no_bwrap_no_run(void **state) {
    (void)state;
    char *path = strdup(getenv("PATH") ? getenv("PATH") : "/usr/bin:/bin");
    struct sandbox_result r;
    struct error e;
    setenv("PATH", "/nowhere", 1);
    enum status s = run("print(1)", 10ull * SECOND, &r, &e);
    setenv("PATH", path, 1);
    free(path);
    assert_int_equal(s, ERR_INPUT);
    assert_non_null(strstr(e.text, "bwrap: cannot be started"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_are_contained), cmocka_unit_test(no_network), cmocka_unit_test(limits_end_programs),
        cmocka_unit_test(functions_are_judged),   cmocka_unit_test(bad_lines),  cmocka_unit_test(no_bwrap_no_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
