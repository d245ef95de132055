/* fuzz_http.c: libFuzzer target: the bytes are what a client sends, over loopback, to a server.
 * Not a test by itself: test_serve_hostile.c replays tests/corpus/http/ through it.
 * Run: fuzz_http NEW_FOLDER tests/corpus/http
 * Next: fuzz_body.c, which is faster where only bodies matter. */
#include "tests/http_client.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(x)                                                                                                       \
    if (!(x)) {                                                                                                        \
        fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #x);                                          \
        abort();                                                                                                       \
    }

static struct house fuzz_house;

static void fuzz_open(void) {
    if (fuzz_house.server) return;
    house_open(&fuzz_house, model("fuzz.gguf", chatml),
               &(struct server_params){.parallel = 2, .max_n = 3, .max_tokens = 4, .max_budget = 3, .timeout = 2});
}

/* Closed by a reset: hundreds of connections a second would use up the ports otherwise. */
static void fuzz_close(int fd) {
    struct linger now = {.l_onoff = 1};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(fd);
}

/* What comes back is nothing, or a reply with a status; and the server lives. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char reply[512];
    size_t n = 0;
    if (size > 65536) return 0;
    fuzz_open();
    int fd = http_connect(&fuzz_house);
    http_send(fd, (const char *)data, size);
    shutdown(fd, SHUT_WR);
    for (ssize_t got = 1; got > 0;) { /* until it is closed, or silent: it may wait for more */
        char rest[4096];
        bool room = n < sizeof reply - 1;
        struct pollfd p = {.fd = fd, .events = POLLIN};
        if (poll(&p, 1, 30) <= 0) break;
        got = recv(fd, room ? reply + n : rest, room ? sizeof reply - 1 - n : sizeof rest, 0);
        if (got > 0 && room) n += (size_t)got;
    }
    fuzz_close(fd);
    reply[n] = '\0';
    int status = 0;
    CHECK(!n || (sscanf(reply, "HTTP/1.%*d %d", &status) == 1 && status >= 100 && status < 600));
    CHECK(server_n_waiting(fuzz_house.server, CLASS_INTERACTIVE) < 64);
    return 0;
}
