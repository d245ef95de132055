/* test_hub_fetch.c: downloads from a hub of our own, a process that answers on this computer: cut, resumed, wrong, refused.
 * Not a test of libcurl; skipped in builds without it.
 * Next: weights/hub/hub_fetch.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "weights/hub/http.h"
#include "weights/hub/hub_fetch.h"

enum { BYTES = 300000 };
#define COMMIT "0123456789abcdef0123456789abcdef01234567"
/* Of content(), by sha256sum and git hash-object. */
static const char sha256[] = "70d76847deb63dd4abb596569c68fa7e812f6c4916a634f7cd42321e5cf1941a";
static const char git_hash[] = "dc9adbaf22910de5ab84ff1075002f787cfbfe6a";

static char root[] = "/tmp/ponder-fetch-XXXXXX";
static char data[BYTES];
static int port;
static pid_t server;

/* What the server is to do; it reads the file before each answer, so that a test can change its mind. */
static void tell(const char *mood) {
    char path[64];
    snprintf(path, sizeof path, "%s/mood", root);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(mood, f);
    assert_int_equal(fclose(f), 0);
}

static bool mood_is(const char *mood) {
    char path[64], text[64] = "";
    snprintf(path, sizeof path, "%s/mood", root);
    FILE *f = fopen(path, "r");
    if (f && !fgets(text, sizeof text, f)) text[0] = 0;
    if (f) fclose(f);
    return !strcmp(text, mood);
}

/* ---- the server ---- */

static void send_all(int to, const char *bytes, size_t n) {
    for (ssize_t sent; n && (sent = send(to, bytes, n, MSG_NOSIGNAL)) > 0; bytes += sent) n -= (size_t)sent;
}

static void send_text(int to, const char *status, const char *text) {
    char head[256];
    int n = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status,
                     strlen(text));
    send_all(to, head, (size_t)n);
    send_all(to, text, strlen(text));
}

/* The content from where Range asks, all of it, or its first half only. */
static void send_data(int to, const char *request) {
    char head[256];
    const char *range = strstr(request, "Range: bytes=");
    size_t from = range && !mood_is("no ranges") ? strtoul(range + 13, NULL, 10) : 0, left = BYTES - from;
    int n = snprintf(head, sizeof head, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                     from ? "206 Partial Content" : "200 OK", left);
    send_all(to, head, (size_t)n);
    if (mood_is("dead")) return;
    send_all(to, data + from, mood_is("cut") ? left / 2 : left);
}

static void send_tree(int to) {
    char text[2048];
    const char *oid = mood_is("wrong hash") ? COMMIT "000000000000000000000000" : sha256;
    snprintf(
        text, sizeof text,
        "[{\"type\":\"file\",\"path\":\"README.md\",\"oid\":\"%s\",\"size\":3},"
        "{\"type\":\"file\",\"path\":\"../m-Q4_K_M.gguf\",\"oid\":\"%s\",\"size\":%d},"
        "{\"type\":\"file\",\"path\":\"m-Q8_0.gguf\",\"oid\":\"x\",\"size\":9,\"lfs\":{\"oid\":\"%s\",\"size\":%d}},"
        "{\"type\":\"file\",\"path\":\"small/m-F16.gguf\",\"oid\":\"%s\",\"size\":%d},"
        "{\"type\":\"file\",\"path\":\"p-Q2_K-00001-of-00002.gguf\",\"oid\":\"%s\",\"size\":%d},"
        "{\"type\":\"file\",\"path\":\"p-Q2_K-00002-of-00002.gguf\",\"oid\":\"%s\",\"size\":%d},"
        "{\"type\":\"file\",\"path\":\"h-Q3_K-00001-of-00002.gguf\",\"oid\":\"%s\",\"size\":%d}]",
        git_hash, git_hash, BYTES, oid, BYTES, git_hash, BYTES, git_hash, BYTES, git_hash, BYTES, git_hash, BYTES);
    send_text(to, "200 OK", text);
}

static void answer(int to, const char *request) {
    bool known = strstr(request, "/a/m/") != NULL;
    if (mood_is("gated") && !strstr(request, "Authorization: Bearer secret\r\n"))
        send_text(to, "401 Unauthorized", "{}");
    else if (mood_is("nonsense")) send_text(to, "200 OK", "<html>");
    else if (!known) send_text(to, "404 Not Found", "{}");
    else if (strstr(request, "/refs "))
        send_text(to, "200 OK", "{\"branches\":[{\"name\":\"main\",\"targetCommit\":\"" COMMIT "\"}],\"tags\":[]}");
    else if (strstr(request, "/tree/" COMMIT "?recursive=true ")) send_tree(to);
    else if (strstr(request, "/resolve/" COMMIT "/")) send_data(to, request);
    else send_text(to, "404 Not Found", "{}");
}

static void serve(int at, int log) {
    for (;;) {
        char request[4096];
        size_t n = 0;
        int from = accept(at, NULL, NULL);
        if (from < 0) continue;
        for (ssize_t got; n + 1 < sizeof request && (got = recv(from, request + n, sizeof request - 1 - n, 0)) > 0;) {
            request[n += (size_t)got] = 0;
            if (strstr(request, "\r\n\r\n")) break;
        }
        request[n] = 0;
        if (write(log, request, n) < 0) _exit(1);
        answer(from, request);
        close(from);
    }
}

static void log_path(char path[64]) { snprintf(path, 64, "%s/log", root); }

static int start(void **state) {
    (void)state;
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof where;
    char log[64];
    for (int i = 0; i < BYTES; i++) data[i] = (char)("0123456789\n"[i % 11] + i / 30000);
    if (!mkdtemp(root)) return -1;
    int at = socket(AF_INET, SOCK_STREAM, 0);
    if (at < 0 || bind(at, (struct sockaddr *)&where, size) || listen(at, 16) ||
        getsockname(at, (struct sockaddr *)&where, &size))
        return -1;
    port = ntohs(where.sin_port);
    log_path(log);
    server = fork();
    if (server == 0) serve(at, open(log, O_WRONLY | O_CREAT | O_APPEND, 0600));
    close(at);
    return server > 0 ? 0 : -1;
}

static int stop(void **state) {
    (void)state;
    char command[128];
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    snprintf(command, sizeof command, "rm -r '%s'", root);
    return system(command);
}

/* ---- the client ---- */

static int fresh(void **state) {
    (void)state;
    char text[128];
    snprintf(text, sizeof text, "rm -rf '%s/hub'; : > '%s/log'", root, root);
    if (system(text)) return -1;
    const char *unset[] = {"LLAMA_CACHE", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_TOKEN", "HF_HUB_OFFLINE",
                           "http_proxy",  "HF_ENDPOINT"};
    for (size_t i = 0; i < sizeof unset / sizeof *unset; i++) unsetenv(unset[i]);
    setenv("no_proxy", "127.0.0.1", 1);
    setenv("HF_HOME", root, 1);
    snprintf(text, sizeof text, "http://127.0.0.1:%d/", port);
    setenv("MODEL_ENDPOINT", text, 1);
    tell("good");
    return 0;
}

static void repo_path(char path[HUB_PATH], const char *below) {
    snprintf(path, HUB_PATH, "%s/hub/models--a--m/%s", root, below);
}

static size_t times_asked(const char *what) {
    static char text[1 << 16];
    char path[64];
    log_path(path);
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    text[fread(text, 1, sizeof text - 1, f)] = 0;
    fclose(f);
    size_t n = 0;
    for (const char *at = text; (at = strstr(at, what)); at++) n++;
    return n;
}

static void expect_asked(const char *what, size_t wanted) {
    size_t n = times_asked(what);
    if (n != wanted) fail_msg("\"%s\" was asked %zu times, expected %zu", what, n, wanted);
}

static void expect_content(const char *path) {
    static char found[BYTES + 1];
    FILE *f = fopen(path, "r");
    if (!f) fail_msg("%s is not there", path);
    size_t n = fread(found, 1, sizeof found, f);
    fclose(f);
    if (n != BYTES) fail_msg("%s has %zu bytes, expected %d", path, n, BYTES);
    for (size_t i = 0; i < n; i++)
        if (found[i] != data[i]) fail_msg("%s: byte %zu is %d, expected %d", path, i, found[i], data[i]);
}

/* The name becomes the path of a file with the right content below snapshots/. */
static void expect_fetched(const char *name, const char *below) {
    char path[HUB_PATH], wanted[HUB_PATH];
    struct error e = {""};
    const char *found = name;
    if (hub_resolve(&found, path, &e)) fail_msg("%s: %s", name, e.text);
    repo_path(wanted, "snapshots/" COMMIT "/");
    strcat(wanted, below);
    assert_string_equal(found, wanted);
    expect_content(found);
}

static void expect_error(const char *name, const char *part) {
    char path[HUB_PATH];
    struct error e = {""};
    if (!hub_resolve(&name, path, &e)) fail_msg("%s was found, expected the error \"%s\"", name, part);
    if (!strstr(e.text, part)) fail_msg("\"%s\" does not say \"%s\"", e.text, part);
}

static bool exists(const char *below) {
    char path[HUB_PATH];
    repo_path(path, below);
    return access(path, F_OK) == 0;
}

static void blob(char below[128], const char *oid, const char *end) { snprintf(below, 128, "blobs/%s%s", oid, end); }

#define NEEDS_CURL                                                                                                     \
    if (!http_is_built()) skip()

static void into_the_cache(void **state) {
    (void)state;
    char below[128], path[HUB_PATH], commit[64] = "";
    NEEDS_CURL;
    expect_fetched("hf:a/m:Q8_0", "m-Q8_0.gguf");
    blob(below, sha256, "");
    assert_true(exists(below));
    blob(below, sha256, ".downloadInProgress");
    assert_false(exists(below));
    repo_path(path, "refs/main");
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    assert_non_null(fgets(commit, sizeof commit, f));
    fclose(f);
    assert_string_equal(commit, COMMIT);
    expect_asked("GET ", 3);
    expect_fetched("hf:a/m:q8_0", "m-Q8_0.gguf"); /* now from the cache */
    expect_asked("GET ", 3);
}

/* No LFS: git's own hash; in a folder; and the first by name where no quantisation is named (the one outside is not). */
static void plain_files(void **state) {
    (void)state;
    NEEDS_CURL;
    expect_fetched("hf:a/m:F16", "small/m-F16.gguf");
    expect_fetched("hf:a/m:Q2_K", "p-Q2_K-00001-of-00002.gguf");
    char path[HUB_PATH];
    repo_path(path, "snapshots/" COMMIT "/p-Q2_K-00002-of-00002.gguf");
    expect_content(path);
    expect_asked("/m-F16.gguf ", 1);
    expect_error("hf:a/m:Q3_K", "h-Q3_K-00002-of-00002.gguf: the hub has no such part");
    expect_error("hf:a/m:Q6_K", "m-Q8_0.gguf");
}

static void goes_on_after_a_cut(void **state) {
    (void)state;
    NEEDS_CURL;
    tell("cut"); /* half of what is left each time: five tries are not enough */
    expect_error("hf:a/m:Q8_0", "the same command goes on from 0.3 MB");
    char below[128], text[64];
    struct stat st;
    char path[HUB_PATH];
    blob(below, sha256, ".downloadInProgress");
    repo_path(path, below);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, BYTES - BYTES / 32);
    assert_false(exists("snapshots/" COMMIT "/m-Q8_0.gguf"));
    expect_asked("/resolve/", 5);
    expect_asked("Range: bytes=150000-\r\n", 1);
    tell("good");
    expect_fetched("hf:a/m:Q8_0", "m-Q8_0.gguf");
    snprintf(text, sizeof text, "Range: bytes=%d-\r\n", BYTES - BYTES / 32);
    expect_asked(text, 1);
    expect_asked("/resolve/", 6);
    assert_false(exists(below));
}

static void put_partial(const char *bytes, size_t n) {
    char below[128], path[HUB_PATH], folders[HUB_PATH + 16];
    repo_path(path, "blobs");
    snprintf(folders, sizeof folders, "mkdir -p '%.4000s'", path);
    assert_int_equal(system(folders), 0);
    blob(below, sha256, ".downloadInProgress");
    repo_path(path, below);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fclose(f);
}

/* What an earlier process left: a good beginning, one of a server without ranges, too much, all of it, a wrong one. */
static void what_was_left(void **state) {
    (void)state;
    char below[128];
    static char more[BYTES + 1];
    NEEDS_CURL;
    put_partial(data, 1000);
    expect_fetched("hf:a/m:Q8_0", "m-Q8_0.gguf");
    expect_asked("Range: bytes=1000-", 1);
    fresh(NULL);
    tell("no ranges");
    put_partial("wrong", 5);
    expect_fetched("hf:a/m:Q8_0", "m-Q8_0.gguf");
    fresh(NULL);
    put_partial(more, sizeof more);
    expect_fetched("hf:a/m:Q8_0", "m-Q8_0.gguf");
    fresh(NULL);
    put_partial(data, BYTES);
    expect_fetched("hf:a/m:Q8_0", "m-Q8_0.gguf");
    expect_asked("/resolve/", 0);
    fresh(NULL);
    put_partial("wrong", 5);
    expect_error("hf:a/m:Q8_0", "it was removed");
    blob(below, sha256, ".downloadInProgress");
    assert_false(exists(below));
    expect_fetched("hf:a/m:Q8_0", "m-Q8_0.gguf");
}

static void wrong_hash(void **state) {
    (void)state;
    char below[128];
    NEEDS_CURL;
    tell("wrong hash");
    expect_error("hf:a/m:Q8_0", sha256);
    assert_false(exists("snapshots/" COMMIT "/m-Q8_0.gguf"));
    assert_false(exists("refs/main"));
    blob(below, sha256, "");
    assert_false(exists(below));
}

static void one_at_a_time(void **state) {
    (void)state;
    NEEDS_CURL;
    char below[128], path[HUB_PATH], byte = 0;
    int ready[2];
    put_partial(data, 10);
    blob(below, sha256, ".downloadInProgress");
    repo_path(path, below);
    assert_int_equal(pipe(ready), 0);
    pid_t other = fork();
    if (!other) {
        alarm(60); /* should the test fail before its end */
        if (!flock(open(path, O_RDWR), LOCK_EX) && write(ready[1], &byte, 1) == 1) pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    expect_error("hf:a/m:Q8_0", "another process is downloading it");
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
    close(ready[0]), close(ready[1]);
}

static void refusals(void **state) {
    (void)state;
    NEEDS_CURL;
    expect_error("hf:a/absent", "no such model, neither here nor at http://127.0.0.1");
    tell("gated");
    expect_error("hf:a/m", "HF_TOKEN");
    setenv("HF_TOKEN", "secret", 1);
    expect_fetched("hf:a/m:Q8_0", "m-Q8_0.gguf");
    fresh(NULL);
    tell("nonsense");
    expect_error("hf:a/m", "no JSON");
    tell("dead"); /* nothing after the header: not tried again for ever */
    expect_error("hf:a/m:Q8_0", "goes on from 0.0 MB");
    expect_asked("/resolve/", 1);
}

static void offline(void **state) {
    (void)state;
    setenv("HF_HUB_OFFLINE", "1", 1);
    expect_error("hf:a/m", "/hub; nothing is downloaded");
    setenv("HF_HUB_OFFLINE", "0", 1);
    setenv("MODEL_ENDPOINT", "http://127.0.0.1:1", 1);
    expect_error("hf:a/m", http_is_built() ? "127.0.0.1:1" : "nothing is downloaded");
    expect_asked("GET", 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(into_the_cache, fresh),
        cmocka_unit_test_setup(plain_files, fresh),
        cmocka_unit_test_setup(goes_on_after_a_cut, fresh),
        cmocka_unit_test_setup(what_was_left, fresh),
        cmocka_unit_test_setup(wrong_hash, fresh),
        cmocka_unit_test_setup(one_at_a_time, fresh),
        cmocka_unit_test_setup(refusals, fresh),
        cmocka_unit_test_setup(offline, fresh),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
