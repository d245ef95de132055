/* test_train.c: the training loop: it learns, the bits do not depend on threads, stops or kill -9, and a damaged checkpoint is
 * noticed.
 * Not what is trained on: test_train_data.c.
 * Next: train/trainer.h. */
#include "tests/tiny_model.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "train/checkpoint.h"
#include "train/trainer.h"

static struct net *new_net(enum net_head head) {
    struct model_config c = tiny_config(1, 16, 2, 1, 24);
    struct net *n;
    struct error e;
    GOOD(net_new(&c, head, 3, &n, &e));
    return n;
}

/* Random rows of 1 to 60, with loss on two of three; arg is the key. */
static enum status random_example(void *arg, uint64_t index, struct example *x, struct error *e) {
    (void)e;
    uint64_t key = rng_fold(*(const uint64_t *)arg, index);
    *x = (struct example){.n = 1 + rng_below(key, 0, 60)};
    tiny_tokens(rng_fold(key, 1), 19, x->tokens, x->n);
    tiny_tokens(rng_fold(key, 2), 19, x->targets, x->n);
    for (uint32_t i = 0; i < x->n; i++) x->values[i] = (float)(i % 5) / 4, x->weights[i] = i % 3 > 0;
    return OK;
}

/* Four texts to learn by heart; their first token says which it is. */
static enum status text_example(void *arg, uint64_t index, struct example *x, struct error *e) {
    (void)e;
    (void)arg;
    uint64_t text = index % 4;
    *x = (struct example){.n = 12};
    tiny_tokens(rng_fold(9, text), 19, x->tokens, 12);
    x->tokens[0] = (int32_t)text;
    for (uint32_t i = 0; i + 1 < x->n; i++) x->targets[i] = x->tokens[i + 1], x->weights[i] = 1;
    for (uint32_t i = 0; i < x->n; i++) x->values[i] = (float)((text + i) % 2);
    return OK;
}

static uint64_t example_key = 17;
static const struct train_params short_run = {.steps = 20,
                                              .warmup = 3,
                                              .batch = 8,
                                              .lr = 0.01f,
                                              .lr_floor = 0.1f,
                                              .seed = 5,
                                              .threads = 1,
                                              .save_every_s = 1e9,
                                              .n_validation = 16};

/* Trains a new net on random examples; its weights are left in *out. */
static void train(struct train_params p, struct net **out, double *loss) {
    struct error e;
    *out = new_net(NET_LM);
    GOOD(train_run(*out, random_example, &example_key, &p, loss, &e));
}

static void same_nets(const struct net *got, const struct net *want, const char *what) {
    same_floats(got->weights, want->weights, want->n_weights, "%s: weights", what);
}

/* ---- learning ---- */

static void texts_are_learned_by_heart(void **state) {
    (void)state;
    for (int head = NET_LM; head <= NET_VALUE; head++) {
        struct train_params p = short_run;
        struct net *n = new_net((enum net_head)head);
        struct error e;
        double before, after;
        p.n_validation = 8, p.lr = 0.02f, p.steps = 0;
        GOOD(train_run(n, text_example, NULL, &p, &before, &e));
        p.steps = 150;
        GOOD(train_run(n, text_example, NULL, &p, &after, &e));
        print_message("head %d: loss %.3f before, %.3f after\n", head, before, after);
        assert_true(before > 0.6 && after < 0.08);
        net_free(&n);
    }
}

/* Validation examples are those from EXAMPLE_VALIDATION up, weighted by rows; without any, the training loss is given. */
static void loss_is_that_of_the_validation_examples(void **state) {
    (void)state;
    struct train_params p = short_run;
    struct net *n;
    struct tape *t;
    struct error e;
    double got, sum = 0, weight = 0;
    p.n_validation = 8;
    train(p, &n, &got);
    GOOD(tape_new(n, EXAMPLE_MAX, EXAMPLE_MAX, &t, &e));
    for (uint64_t i = 0; i < 8; i++) {
        struct example x;
        GOOD(random_example(&example_key, EXAMPLE_VALIDATION + i, &x, &e));
        uint32_t starts[2] = {0, x.n};
        struct net_batch b = {.tokens = x.tokens,
                              .starts = starts,
                              .targets = x.targets,
                              .values = x.values,
                              .weights = x.weights,
                              .n_rows = x.n,
                              .n_seqs = 1};
        sum += net_loss(n, t, &b, 1, NULL, NULL);
        for (uint32_t k = 0; k < x.n; k++) weight += x.weights[k];
    }
    if (!(fabs(got - sum / weight) < 1e-5)) fail_msg("loss %.7g, expected %.7g", got, sum / weight);
    tape_free(&t), net_free(&n);
    p.n_validation = 0;
    train(p, &n, &got);
    assert_true(got > 0 && got < 10);
    net_free(&n);
}

static void threads_do_not_change_the_bits(void **state) {
    (void)state;
    struct net *want, *n;
    double loss, other;
    train(short_run, &want, &loss);
    for (int threads = 2; threads <= 3; threads++) {
        struct train_params p = short_run;
        p.threads = threads;
        train(p, &n, &other);
        same_nets(n, want, "threads");
        assert_true(loss == other);
        net_free(&n);
    }
    example_key++; /* and the examples do */
    train(short_run, &n, &other);
    example_key--;
    assert_true(memcmp(n->weights, want->weights, n->n_weights * sizeof(float)) != 0);
    net_free(&n), net_free(&want);
}

static void bad_flags_are_refused(void **state) {
    (void)state;
    struct net *n = new_net(NET_LM);
    struct error e;
    double loss;
    static const uint32_t batches[] = {0, 1, 3, 6};
    for (int i = 0; i < 6; i++) {
        struct train_params p = short_run;
        if (i < 4) p.batch = batches[i];
        if (i == 4) p.threads = 0;
        if (i == 5) p.log = "/no/such/folder/log.jsonl";
        e.text[0] = 0;
        enum status s = train_run(n, random_example, &example_key, &p, &loss, &e);
        assert_int_equal(s, i == 5 ? ERR_IO : ERR_INPUT);
        if (!strstr(e.text, i < 4 ? "--batch" : i == 4 ? "threads" : "/no/such/folder")) fail_msg("\"%s\"", e.text);
    }
    net_free(&n);
}

/* A target that is not a number: ten steps are skipped, then it is an error; weights and checkpoint stay. */
static enum status nan_example(void *arg, uint64_t index, struct example *x, struct error *e) {
    random_example(arg, index, x, e);
    x->values[0] = NAN, x->weights[0] = 1;
    return OK;
}

static void loss_that_is_not_finite_changes_nothing(void **state) {
    (void)state;
    struct net *n = new_net(NET_VALUE), *same = new_net(NET_VALUE);
    struct train_params p = short_run;
    struct error e;
    double loss;
    struct stat st;
    p.checkpoint = tiny_path("nan.ckpt"), p.n_validation = 0;
    assert_int_equal(train_run(n, nan_example, &example_key, &p, &loss, &e), ERR_INPUT);
    if (!strstr(e.text, "not finite") || !strstr(e.text, "--lr")) fail_msg("\"%s\"", e.text);
    same_nets(n, same, "after NaN");
    assert_int_equal(stat(p.checkpoint, &st), -1);
    net_free(&n), net_free(&same);
}

static void failed_memory_is_an_error_and_no_leak(void **state) {
    (void)state;
    struct train_params p = short_run;
    struct error e;
    struct net *n = new_net(NET_LM);
    double loss;
    p.steps = 1, p.n_validation = 0, p.threads = 2, p.checkpoint = tiny_path("memory.ckpt");
    GOOD(train_run(n, random_example, &example_key, &p, &loss, &e)); /* leaves a checkpoint to be read */
    mem_fail_at(0, false);
    GOOD(train_run(n, random_example, &example_key, &p, &loss, &e));
    size_t n_allocs = mem_fail_at(0, false);
    assert_true(n_allocs > 40);
    for (size_t i = 1; i <= n_allocs; i++) {
        mem_fail_at(i, true);
        e.text[0] = 0;
        enum status s = train_run(n, random_example, &example_key, &p, &loss, &e);
        mem_fail_at(0, false);
        if (s != ERR_MEMORY || !e.text[0]) fail_msg("allocation %zu: status %d, \"%s\"", i, (int)s, e.text);
    }
    net_free(&n);
}

/* ---- checkpoints ---- */

static void forget(const char *path) {
    char name[700];
    static const char *const ends[] = {"", ".prev", ".tmp"};
    for (int i = 0; i < 3; i++) {
        snprintf(name, sizeof name, "%s%s", path, ends[i]);
        unlink(name);
    }
}

/* Runs up to each of these steps in turn, each time with a new net. */
static void train_in_parts(const uint64_t *stops, int n_stops, const char *path, struct net **out, double *loss) {
    *out = NULL;
    for (int i = 0; i < n_stops; i++) {
        struct train_params p = short_run;
        p.stop_after = stops[i], p.checkpoint = path, p.threads = 1 + i % 2;
        net_free(out);
        train(p, out, loss);
    }
}

static void parts_are_the_whole(void **state) {
    (void)state;
    static const uint64_t stops[][4] = {{7, 20}, {1, 2, 19, 0}, {20, 20, 0, 0}, {1, 1, 3, 50}};
    static const int n_stops[] = {2, 4, 3, 4};
    const char *path = tiny_path("run.ckpt");
    struct net *want, *n;
    double loss, other;
    train(short_run, &want, &loss);
    for (int i = 0; i < 4; i++) {
        train_in_parts(stops[i], n_stops[i], path, &n, &other);
        same_nets(n, want, "in parts");
        assert_true(loss == other);
        net_free(&n);
        forget(path);
    }
    net_free(&want);
}

static char *read_file(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    char *data = malloc(1 << 22);
    *size = fread(data, 1, 1 << 22, f);
    assert_true(*size < 1 << 22);
    fclose(f);
    return data;
}

static void write_file(const char *path, const char *data, size_t size) {
    FILE *f = fopen(path, "wb");
    assert_true(f && fwrite(data, 1, size, f) == size && !fclose(f));
}

/* Loads into a fresh net; the step, or -1 when nothing was found. */
static long load_step(const char *path, const struct net *body, uint64_t seed, enum status want) {
    struct net *n = new_net(NET_LM);
    struct adamw a;
    struct error e = {""};
    bool found;
    GOOD(adamw_new(n, &a, &e));
    memcpy(n->weights, body->weights, n->n_weights * sizeof(float));
    struct checkpoint c = {.path = path, .net = n, .adamw = &a, .seed = seed, .step = 12345};
    enum status s = checkpoint_load(&c, &found, &e);
    if (s != want) fail_msg("status %d, expected %d: %s", (int)s, (int)want, e.text);
    if (s || !found) {
        same_nets(n, body, "nothing loaded");
        for (size_t i = 0; i < n->n_weights; i++) assert_true(a.m[i] == 0 && a.v[i] == 0);
        assert_int_equal(c.step, 12345);
    }
    adamw_free(&a), net_free(&n);
    return s ? -2 : found ? (long)c.step : -1;
}

static void damaged_checkpoints_give_way_to_the_one_before(void **state) {
    (void)state;
    static const uint64_t stops[] = {6, 9};
    const char *path = tiny_path("run.ckpt");
    char prev[700];
    struct net *n, *want;
    double loss;
    size_t size;
    snprintf(prev, sizeof prev, "%s.prev", path);
    train_in_parts(stops, 2, path, &n, &loss);
    char *whole = read_file(path, &size);
    assert_int_equal(load_step(path, n, 5, OK), 9);
    int quiet = dup(2), null = open("/dev/null", O_WRONLY); /* each resume says a line */
    dup2(null, 2);
    for (size_t at = 0; at < size + 8;
         at += at < 80 || at >= size - 8 ? 1 : 997) { /* one bit anywhere, header and CRC in full */
        if (at < size) whole[at] ^= (char)(1 << at % 8);
        write_file(path, whole, at < size ? size : at + 1); /* at the end: more bytes than there should be */
        long step = load_step(path, n, 5, OK);
        if (step != 6) fail_msg("bit flipped in byte %zu: step %ld, expected 6", at, step);
        if (at < size) whole[at] ^= (char)(1 << at % 8);
    }
    for (size_t cut = 0; cut < size; cut += cut < 80 || cut >= size - 8 ? 1 : 997) {
        write_file(path, whole, cut);
        long step = load_step(path, n, 5, OK);
        if (step != 6) fail_msg("cut to %zu bytes: step %ld, expected 6", cut, step);
    }
    unlink(path);
    assert_int_equal(load_step(path, n, 5, OK), 6);
    net_free(&n);
    struct train_params p = short_run;
    p.checkpoint = path;
    train(p, &n, &loss); /* from .prev to the end */
    train(short_run, &want, &loss);
    same_nets(n, want, "from the checkpoint before");
    write_file(path, whole, size - 1), write_file(prev, whole, size - 1);
    assert_int_equal(load_step(path, n, 5, OK), -1);
    unlink(path), unlink(prev);
    assert_int_equal(load_step(path, n, 5, OK), -1);
    dup2(quiet, 2), close(quiet), close(null);
    free(whole), net_free(&n), net_free(&want);
}

static void checkpoints_of_other_runs_are_refused(void **state) {
    (void)state;
    static const uint64_t stops[] = {2};
    const char *path = tiny_path("run.ckpt");
    struct net *n, *value = new_net(NET_VALUE);
    struct error e;
    double loss;
    train_in_parts(stops, 1, path, &n, &loss);
    load_step(path, n, 6, ERR_INPUT);
    struct train_params p = short_run;
    p.checkpoint = path, p.seed = 6;
    assert_int_equal(train_run(n, random_example, &example_key, &p, &loss, &e), ERR_INPUT);
    if (!strstr(e.text, path) || !strstr(e.text, "seed 5") || strchr(e.text, '\n')) fail_msg("\"%s\"", e.text);
    p.seed = 5;
    assert_int_equal(train_run(value, random_example, &example_key, &p, &loss, &e), ERR_INPUT);
    assert_int_equal(load_step(path, n, 5, OK), 2); /* it is still there */
    p.checkpoint = "/no/such/folder/x.ckpt", p.steps = 1;
    assert_int_equal(train_run(n, random_example, &example_key, &p, &loss, &e), ERR_IO);
    if (!strstr(e.text, "/no/such/folder")) fail_msg("\"%s\"", e.text);
    forget(path), net_free(&n), net_free(&value);
}

static void a_cancelled_run_is_saved(void **state) {
    (void)state;
    struct train_params p = short_run;
    volatile int cancel = 1;
    struct net *n;
    double loss;
    p.checkpoint = tiny_path("run.ckpt"), p.cancel = &cancel;
    train(p, &n, &loss);
    assert_int_equal(load_step(p.checkpoint, n, 5, OK), 0);
    forget(p.checkpoint), net_free(&n);
}

static void the_log_has_a_line_per_report(void **state) {
    (void)state;
    struct train_params p = short_run;
    struct net *n;
    double loss;
    size_t size, lines = 0;
    p.log = tiny_path("log.jsonl");
    train(p, &n, &loss);
    char *text = read_file(p.log, &size), *at = text, want[40];
    text[size] = 0;
    for (char *line; (line = strsep(&at, "\n")) && *line; lines++) {
        double v;
        snprintf(want, sizeof want, "{\"step\":%zu,\"steps\":20,", lines + 1);
        if (strncmp(line, want, strlen(want))) fail_msg("\"%s\" should start with %s", line, want);
        assert_int_equal(sscanf(strstr(line, "\"validation\":"), "\"validation\":%lf", &v), 1);
        if (lines == 19) assert_true(fabs(v - loss) < 1e-5);
    }
    assert_int_equal(lines, 20);
    free(text), net_free(&n);
}

/* ---- kill -9 ---- */

/* The child waits for its end before step 30. */
static enum status endless_example(void *arg, uint64_t index, struct example *x, struct error *e) {
    while (index >= 30 * (uint64_t)short_run.batch && index < EXAMPLE_VALIDATION) pause();
    random_example(arg, index, x, e);
    return OK;
}

static int train_as_child(const char *path) {
    struct train_params p = short_run;
    struct net *n = new_net(NET_LM);
    struct error e;
    double loss;
    p.steps = 40, p.save_every_s = 0, p.checkpoint = path;
    return train_run(n, endless_example, &example_key, &p, &loss, &e) != OK;
}

/* Starts this program again as a child that trains. */
static pid_t start_child(const char *path) {
    pid_t pid = fork();
    if (pid) return pid;
    int null = open("/dev/null", O_WRONLY);
    dup2(null, 1), dup2(null, 2);
    execl("/proc/self/exe", "test_train", "--child", path, (char *)NULL);
    _exit(127);
}

static void killed_runs_lose_nothing(void **state) {
    (void)state;
    char path[700];
    struct train_params p = short_run;
    struct net *want, *n, *new = new_net(NET_LM);
    double loss;
    struct stat st;
    snprintf(path, sizeof path, "%s", tiny_path("killed.ckpt"));
    for (uint64_t i = 0; i < 3; i++) {
        int how = 0;
        pid_t pid = start_child(path);
        assert_true(pid > 0);
        /* once there is a file, some moments later: in the middle of a step or of a save */
        for (int ms = 0; stat(path, &st) && ms < 20000; ms++) usleep(1000);
        usleep(500 * rng_below(3, i, 30));
        kill(pid, SIGKILL);
        assert_int_equal(waitpid(pid, &how, 0), pid);
        assert_true(WIFSIGNALED(how)); /* else it ended by itself and nothing was tested */
    }
    assert_true(load_step(path, new, 5, OK) >= 0);
    p.steps = 40;
    train(p, &want, &loss);
    p.checkpoint = path;
    train(p, &n, &loss);
    same_nets(n, want, "after kill -9");
    net_free(&n), net_free(&want), net_free(&new);
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "--child")) return train_as_child(argv[2]);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(texts_are_learned_by_heart),
        cmocka_unit_test(loss_is_that_of_the_validation_examples),
        cmocka_unit_test(threads_do_not_change_the_bits),
        cmocka_unit_test(bad_flags_are_refused),
        cmocka_unit_test(loss_that_is_not_finite_changes_nothing),
        cmocka_unit_test(failed_memory_is_an_error_and_no_leak),
        cmocka_unit_test(parts_are_the_whole),
        cmocka_unit_test(damaged_checkpoints_give_way_to_the_one_before),
        cmocka_unit_test(checkpoints_of_other_runs_are_refused),
        cmocka_unit_test(a_cancelled_run_is_saved),
        cmocka_unit_test(the_log_has_a_line_per_report),
        cmocka_unit_test(killed_runs_lose_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, tiny_cleanup);
}
