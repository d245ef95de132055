/* test_tree_read.c: tree files that are whole, cut, or damaged: what is said of each; and why an answer won.
 * Not how they are made: test_cassette.c.
 * Next: solve/tree_read.h. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/rng.h"
#include "solve/explain.h"
#include "solve/tree_file.h"
#include "solve/tree_tools.h"

static char path[64];

static const char HEADER[] =
    "{\"format\":\"ponder-tree\",\"version\":2,\"task\":\"game24\",\"problem\":\"4 7 8 8\",\"strategy\":\"mcts\","
    "\"seed\":1,\"root\":\"0000000000000007\",\"policy\":{\"hash\":\"00000000000000ab\"},\"prm\":null,\"settings\":{"
    "\"budget\":4},"
    "\"options\":{\"budget\":4,\"parameters\":{\"c-puct\":\"0.5\"}},\"session\":{\"model\":\"embedded\"}}";

/* A small tree whose seeds are right. */
static char lines[16][600];
static size_t n_lines;

static void make_lines(void) {
    uint64_t a = rng_fold(7, 0), b = rng_fold(7, 1), c = rng_fold(a, 0);
    n_lines = 0;
#define LINE(...) snprintf(lines[n_lines++], sizeof *lines, __VA_ARGS__)
#define KEY(k) (unsigned long long)(k)
    LINE("%s", HEADER);
    LINE("{\"event\":\"prompt\",\"can\":93,\"tokens\":2,\"ids\":[0,5],\"prompt_tokens\":2,\"prm_tokens\":2,\"policy_"
         "flops\":10,"
         "\"prm_flops\":8}");
    LINE("{\"event\":\"made\",\"node\":1,\"parent\":0,\"try\":0,\"depth\":1,\"seed\":\"%016llx\",\"text\":\"8 / 8 = "
         "1\",\"tokens\":2,"
         "\"logprob\":-0.5,\"end\":\"open\",\"by\":\"policy\",\"ids\":[3,4],\"logprobs\":[-0.25,-0.25],\"ended\":"
         "\"separator\","
         "\"steps\":1,\"flops\":20}",
         KEY(a));
    LINE("{\"event\":\"made\",\"node\":2,\"parent\":0,\"try\":1,\"depth\":1,\"seed\":\"%016llx\",\"text\":\"4 + "
         "7\",\"tokens\":1,"
         "\"logprob\":null,\"end\":\"truncated\",\"by\":\"given\",\"ids\":[9],\"ended\":\"open\",\"steps\":0,\"flops\":"
         "0}",
         KEY(b));
    LINE("{\"event\":\"scored\",\"node\":1,\"value\":0.75,\"judge_tokens\":2,\"judge_flops\":16,\"flops\":0}");
    LINE("{\"event\":\"visited\",\"node\":1,\"visits\":1,\"mean\":0.75}");
    LINE("{\"event\":\"pruned\",\"node\":2}");
    LINE("{\"event\":\"made\",\"node\":3,\"parent\":1,\"try\":0,\"depth\":2,\"seed\":\"%016llx\",\"text\":\"a\\ufffd\","
         "\"tokens\":1,"
         "\"logprob\":-1,\"end\":\"finished\",\"by\":\"draft\",\"ids\":[2],\"logprobs\":[-1],\"ended\":\"finished\","
         "\"steps\":1,"
         "\"flops\":10,\"bytes\":\"61c3\"}",
         KEY(c));
    LINE("{\"event\":\"answer\",\"node\":3,\"answer\":\"(7-8/8)*4\"}");
    LINE("{\"event\":\"checked\",\"node\":3,\"reward\":1,\"reason\":\"\"}");
    LINE("{\"event\":\"finished\",\"node\":3,\"value\":0.5,\"checked\":true}");
    LINE("{\"event\":\"node\",\"node\":3,\"value\":0.5,\"times\":2,\"tries\":0,\"visits\":2,\"mean\":0.5,\"status\":"
         "\"right\"}");
    LINE("{\"event\":\"done\",\"node\":3,\"value\":0.5,\"why\":\"solved\",\"pick\":\"best\",\"finished\":1,"
         "\"simulations\":3,\"prompt_"
         "tokens\":2,"
         "\"generated_tokens\":4,\"prm_tokens\":4,\"policy_flops\":40,\"prm_flops\":24,\"forks\":3}");
}

static void write_file(const char *text, size_t size) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, size, f), size);
    fclose(f);
}

static void write_lines(size_t n) {
    struct buffer b = {0};
    for (size_t i = 0; i < n; i++) buffer_print(&b, "%s\n", lines[i]);
    write_file(b.data ? b.data : "", b.n);
    buffer_free(&b);
}

static void a_sound_file_is_read(void **state) {
    (void)state;
    struct saved_tree f;
    struct error e;
    make_lines();
    write_lines(n_lines);
    if (tree_read(path, &f, NULL, NULL, NULL, &e)) fail_msg("%s", e.text);
    assert_int_equal(f.tree.n, 4);
    assert_true(f.done && f.result.node == 3 && f.result.why == WHY_SOLVED && f.cost.policy_flops == 40);
    assert_string_equal(f.tree.nodes[3].text, "a\xC3");
    assert_string_equal(f.nodes[3].answer, "(7-8/8)*4");
    assert_int_equal(f.tree.nodes[3].flags, NODE_FINISHED | NODE_CHECKED_RIGHT | NODE_DRAFTED);
    assert_int_equal(f.tree.nodes[3].multiplicity, 2);
    assert_true(f.tree.nodes[2].flags == (NODE_TRUNCATED | NODE_PRUNED) && f.tree.nodes[2].logprob == -INFINITY);
    const enum tape_kind kinds[] = {TAPE_STEP, TAPE_PUT, TAPE_VALUE, TAPE_STEP, TAPE_ANSWER, TAPE_CHECKED};
    assert_int_equal(f.n_items, 6);
    for (size_t i = 0; i < 6; i++) assert_int_equal(f.items[i].kind, kinds[i]);
    assert_true(f.items[3].draft && f.items[3].end == STEP_FINISHED && f.items[1].end == STEP_OPEN);
    assert_true(f.items[0].ids[1] == 4 && f.items[0].logprobs[1] == -0.25f && f.items[1].logprobs == NULL);
    assert_true(tree_visits(&f.tree)[0].n == 1 && tree_visits(&f.tree)[3].n == 2);
    struct tree_options o;
    assert_int_equal(tree_options_read(&f, &o, &e), OK);
    assert_int_equal(o.search.budget, 4);
    assert_string_equal(o.search.settings.items[0].flag, "c-puct");
    tree_close(&f);
}

struct faults {
    size_t n, line;
    char text[400];
};

static void note_fault(void *arg, size_t line, const char *text) {
    struct faults *x = arg;
    x->n++, x->line = line;
    snprintf(x->text, sizeof x->text, "%s", text);
}

/* Each damage, on a copy of the sound lines: one fault, which names line and field. */
static void each_damage_is_named(void **state) {
    static const struct {
        size_t line;
        const char *old, *new, *says;
    } damages[] = {
        {1, "ponder-tree", "ponder-results", "\"format\""},
        {1, "\"version\":2", "\"version\":3", "\"version\": 3, allowed is 2"},
        {1, "game24", "chess", "\"task\": \"chess\""},
        {1, "mcts", "magic", "\"strategy\": \"magic\""},
        {1, "\"seed\":1", "\"seed\":-1", "\"seed\": -1"},
        {1, "\"root\":\"00", "\"root\":\"xx", "\"root\""},
        {1, "ab\"}", "xy\"}", "\"policy\".\"hash\""},
        {1, "\"options\":{", "\"choices\":{", "\"options\": missing"},
        {2, "prompt\"", "pronto\"", "\"event\": \"pronto\""},
        {2, "[0,5]", "[0,-5]", "\"ids\"[1]: -5"},
        {2, "[0,5]", "[0]", "\"ids\": 1 of them, \"tokens\" is 2"},
        {3, "\"node\":1", "\"node\":2", "\"node\": 2, the next one is 1"},
        {3, "\"parent\":0", "\"parent\":9", "\"parent\": 9"},
        {3, "\"depth\":1", "\"depth\":4", "\"depth\": 4"},
        {3, "\"try\":0", "\"try\":5", "\"seed\""},
        {3, "\"tokens\":2", "\"tokens\":2.5", "\"tokens\": 2.5"},
        {3, "\"text\":\"8 / 8 = 1\"", "\"text\":7", "\"text\": 7, a text is allowed"},
        {3, "\"logprob\":-0.5", "\"logprob\":3", "\"logprob\": 3"},
        {3, "\"end\":\"open\"", "\"end\":\"shut\"", "\"end\": \"shut\""},
        {3, "[-0.25,-0.25]", "[-0.25]", "\"logprobs\": 1 of them"},
        {3, "\"logprobs\":[-0.25,-0.25],", "", "\"logprobs\" is missing"},
        {3, "\"flops\":20", "\"floops\":20", "\"floops\""},
        {3, "\"flops\":20", "\"flops\":20,\"shares\":[0.5,1.5]", "\"shares\"[1]: 1.5"},
        {3, "\"flops\":20", "\"flops\":20,\"shares\":[0.5]", "\"shares\": 1 of them"},
        {5, "\"value\":0.75", "\"value\":1.75", "\"value\": 1.75"},
        {5, "\"node\":1", "\"node\":7", "\"node\": 7"},
        {6, "\"mean\":0.75", "\"mean\":\"much\"", "\"mean\": \"much\""},
        {7, "\"node\":2", "\"node\":2,\"node\":2", "duplicate"},
        {8, "\"bytes\":\"61c3\"", "\"bytes\":\"61c\"", "\"bytes\""},
        {9, "(7-8/8)*4\"}", "(7-8/8)*4\"", ""},
        {10, "\"reward\":1", "\"reward\":2", "\"reward\": 2"},
        {11, "\"node\":3", "\"node\":2", "has not come to its end"},
        {12, "\"status\":\"right\"", "\"status\":\"great\"", "\"status\""},
        {13, "\"why\":\"solved\"", "\"why\":\"luck\"", "\"why\": \"luck\""},
        {13, "\"node\":3", "\"node\":1", "\"node\": 1 has not come"},
        {13, "\"forks\":3", "\"forks\":-3", "\"forks\": -3"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        make_lines();
        char *line = lines[damages[i].line - 1], *at = strstr(line, damages[i].old), rest[600];
        if (!at) fail_msg("damage %zu: the text is not there", i);
        strcpy(rest, at + strlen(damages[i].old));
        snprintf(at, sizeof *lines - (size_t)(at - line), "%s%s", damages[i].new, rest);
        write_lines(n_lines);
        struct saved_tree f;
        struct error e;
        char where[100];
        snprintf(where, sizeof where, "%s:%zu: ", path, damages[i].line);
        assert_int_equal(tree_read(path, &f, NULL, NULL, NULL, &e), ERR_INPUT);
        if (!strstr(e.text, where) || !strstr(e.text, damages[i].says))
            fail_msg("damage %zu: \"%s\", want %s and %s", i, e.text, where, damages[i].says);
        struct faults seen = {0};
        size_t n;
        if (tree_read(path, &f, note_fault, &seen, &n, &e)) fail_msg("%s", e.text);
        assert_true(n >= 1 && n == seen.n);
        tree_close(&f);
    }
}

/* Every cut is a shorter tree; what is behind the last line end does not count. */
static void every_cut_is_read(void **state) {
    (void)state;
    struct buffer b = {0};
    make_lines();
    for (size_t i = 0; i < n_lines; i++) buffer_print(&b, "%s\n", lines[i]);
    for (size_t size = strlen(lines[0]) + 1; size <= b.n; size += size % 7 + 1) {
        struct saved_tree f;
        struct error e;
        write_file(b.data, size);
        if (tree_read(path, &f, NULL, NULL, NULL, &e)) fail_msg("cut at %zu: %s", size, e.text);
        assert_true(f.torn == (b.data[size - 1] != '\n'));
        tree_close(&f);
    }
    struct saved_tree f;
    struct error e;
    write_file(b.data, strlen(lines[0]) - 2);
    assert_int_equal(tree_read(path, &f, NULL, NULL, NULL, &e), ERR_INPUT);
    assert_non_null(strstr(e.text, "the header is missing"));
    buffer_free(&b);
}

/* Bytes changed at random: an error or a tree whose links hold, and no crash. */
static void random_damage_hurts_nobody(void **state) {
    (void)state;
    struct buffer b = {0};
    make_lines();
    for (size_t i = 0; i < n_lines; i++) buffer_print(&b, "%s\n", lines[i]);
    uint32_t sound = 0;
    for (uint64_t round = 0; round < 800; round++) {
        char *copy = mem_new(b.n, 1);
        memcpy(copy, b.data, b.n);
        for (uint32_t k = 0, n = 1 + rng_below(1, round, 3); k < n; k++)
            copy[rng_below(2, 4 * round + k, (uint32_t)b.n)] =
                rng_below(3, 4 * round + k, 2) ? "0123456789\"{}[],:-"[rng_below(4, 4 * round + k, 18)]
                                               : (char)rng_below(5, 4 * round + k, 256);
        write_file(copy, b.n);
        mem_free(copy);
        struct saved_tree f;
        struct error e;
        struct faults seen = {0};
        size_t n;
        if (tree_read(path, &f, note_fault, &seen, &n, &e)) continue;
        sound += !n;
        for (uint32_t u = 1; u < f.tree.n; u++) {
            const struct node *x = &f.tree.nodes[u];
            assert_true(x->parent < u && x->depth == f.tree.nodes[x->parent].depth + 1 && x->text);
        }
        struct buffer text = {0};
        const struct saved_tree *one = &f;
        const struct tree_page page = {"<script></script>", 17};
        static const char *const forms[] = {"dot", "svg", "json", "html"};
        if (f.header && f.n_lines) assert_int_equal(tree_export(forms[round % 4], &page, &one, 1, &text, &e), OK);
        json_decref(tree_stats(&f));
        buffer_free(&text);
        tree_close(&f);
    }
    if (sound < 8 || sound > 780) fail_msg("%u of 800 are sound: the test is empty", sound);
    buffer_free(&b);
}

static void without_memory_it_says_so(void **state) {
    (void)state;
    struct saved_tree f;
    struct error e;
    make_lines();
    write_lines(n_lines);
    for (size_t i = 1;; i++) {
        mem_fail_at(i, false);
        enum status s = tree_read(path, &f, NULL, NULL, NULL, &e);
        size_t n = mem_fail_at(0, false);
        if (n < i) {
            assert_int_equal(s, OK);
            tree_close(&f);
            break;
        }
        if (s != ERR_MEMORY) fail_msg("allocation %zu: status %d", i, s);
    }
}

/* A planted difference is found, and only that. */
static void a_planted_difference_is_found(void **state) {
    static const struct {
        size_t line;
        const char *old, *new, *says;
    } plants[] = {
        {3, "8 / 8 = 1", "8 / 8 = 2", "node 0: text \"8 / 8 = 1\", \"8 / 8 = 2\""},
        {12, "\"times\":2", "\"times\":1", "node 0.0: 2 times, 1"},
        {5, "0.75", "0.5", "node 0: value 0.75, 0.5"},
        {13, "\"policy_flops\":40", "\"policy_flops\":41", "cost: policy_flops 40, 41"},
        {1, "\"budget\":4}", "\"budget\":5}", "header: \"budget\": 4, 5"},
    };
    (void)state;
    char other[80];
    struct error e;
    snprintf(other, sizeof other, "%s.a", path);
    for (size_t i = 0; i < sizeof plants / sizeof *plants; i++) {
        struct saved_tree a, b;
        struct buffer text = {0};
        size_t n;
        make_lines();
        write_lines(n_lines);
        assert_int_equal(rename(path, other), 0);
        char *line = lines[plants[i].line - 1], *at = strstr(line, plants[i].old), rest[600];
        strcpy(rest, at + strlen(plants[i].old));
        snprintf(at, sizeof *lines - (size_t)(at - line), "%s%s", plants[i].new, rest);
        write_lines(n_lines);
        assert_int_equal(tree_read(other, &a, NULL, NULL, NULL, &e), OK);
        assert_int_equal(tree_read(path, &b, NULL, NULL, NULL, &e), OK);
        assert_int_equal(tree_diff(&a, &b, 10, &text, &n, &e), OK);
        if (n != 1 || !strstr(text.data, plants[i].says)) fail_msg("plant %zu: %zu: %s", i, n, text.n ? text.data : "");
        buffer_free(&text);
        assert_int_equal(tree_diff(&a, &a, 10, &text, &n, &e), OK);
        assert_int_equal(n, 0);
        buffer_free(&text);
        tree_close(&a), tree_close(&b);
    }
    unlink(other);
}

/* ---- why ---- */

static size_t letter(void *arg, const struct tree *t, uint32_t node, char *text, size_t cap) {
    (void)arg;
    return (size_t)snprintf(text, cap, "answer %c", (char)t->nodes[node].answer);
}

/* Four chains of one step: two come to A, one to B, one to none. */
static void why_an_answer_won(void **state) {
    (void)state;
    struct node nodes[5] = {{.first_child = 1, .last_child = 4, .n_children = 4}};
    static const struct {
        float value;
        char answer;
    } chains[] = {{0.3f, 'A'}, {0.9f, 'B'}, {0.4f, 'A'}, {0.5f, 0}};
    for (uint32_t u = 1; u < 5; u++)
        nodes[u] = (struct node){.depth = 1,
                                 .child_index = u - 1,
                                 .next_sibling = u < 4 ? u + 1 : 0,
                                 .text = "a step",
                                 .value = chains[u - 1].value,
                                 .answer = (uint64_t)chains[u - 1].answer,
                                 .flags = NODE_FINISHED | NODE_SCORED,
                                 .logprob = -1,
                                 .n_tokens = 2,
                                 .n_steps = 1,
                                 .multiplicity = 1};
    struct tree t = {.nodes = nodes, .n = 5, .cap = 5};
    static const struct {
        enum pick pick;
        uint32_t node;
        const char *rule, *margin;
    } wants[] = {
        {PICK_MAJORITY, 3, "one for each chain, of 4 finished chains", "runner-up: 1 of 3 votes behind"},
        {PICK_WEIGHTED, 2, "weighted by their values", "runner-up: 0.2 of 1.6 votes behind"},
        {PICK_BEST, 2, "the finished chain of the largest value", "runner-up: 0.5000 behind in value"},
    };
    for (size_t i = 0; i < sizeof wants / sizeof *wants; i++) {
        struct search_result r = {.why = WHY_DONE};
        struct buffer text = {0};
        struct error e;
        assert_int_equal(pick_answer(&t, wants[i].pick, &r, &e), OK);
        assert_int_equal(r.node, wants[i].node);
        assert_int_equal(explain(&t, &r, letter, NULL, &text, &e), OK);
        if (!strstr(text.data, wants[i].rule) || !strstr(text.data, wants[i].margin) ||
            !strstr(text.data, "3 beside it"))
            fail_msg("%s: %s", pick_name(wants[i].pick), text.data);
        const char *a = strstr(text.data, "answer A"), *b = strstr(text.data, "answer B");
        assert_true(a && b && (a < b) == (wants[i].node == 3)); /* the winner's line is the first */
        buffer_free(&text);
    }
    struct search_result none = {.why = WHY_TOKENS};
    struct buffer text = {0};
    struct error e;
    assert_int_equal(explain(&t, &none, letter, NULL, &text, &e), OK);
    assert_non_null(strstr(text.data, "stopped: tokens"));
    buffer_free(&text);
}

static int open_path(void **state) {
    (void)state;
    strcpy(path, "/tmp/ponder-tree-XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 || close(fd);
}

static int unlink_path(void **state) {
    (void)state;
    unlink(path);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_file_is_read),      cmocka_unit_test(each_damage_is_named),
        cmocka_unit_test(every_cut_is_read),         cmocka_unit_test(random_damage_hurts_nobody),
        cmocka_unit_test(without_memory_it_says_so), cmocka_unit_test(a_planted_difference_is_found),
        cmocka_unit_test(why_an_answer_won),
    };
    return cmocka_run_group_tests(tests, open_path, unlink_path);
}
