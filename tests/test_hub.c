/* test_hub.c: finding models in a hub cache made on the spot.
 * Not a network test: there is no network in it.
 * Next: weights/hub/hub.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "weights/hub/hub.c" /* commands are not in the library that tests link */

static char root[] = "/tmp/ponder-hub-XXXXXX";

/* A file at root/path, with all folders above it. */
static void put_text(const char *path, const char *text) {
    char full[HUB_PATH];
    size_t n = (size_t)snprintf(full, sizeof full, "%s/%s", root, path);
    for (size_t i = strlen(root) + 1; i < n; i++)
        if (full[i] == '/') full[i] = 0, mkdir(full, 0755), full[i] = '/';
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static void point(const char *variable, const char *folder) {
    char full[HUB_PATH];
    snprintf(full, sizeof full, "%s/%s", root, folder);
    setenv(variable, full, 1);
}

static int make_cache(void **state) {
    (void)state;
    const char *files[] = {
        "hub/models--a--m/snapshots/c2/m-Q4_K_M.gguf",
        "hub/models--a--m/snapshots/c2/m-q8_0.gguf",
        "hub/models--a--m/snapshots/c2/a-Q2_K.gguf",
        "hub/models--a--m/snapshots/c2/mmproj-Q8_0.gguf",
        "hub/models--a--m/snapshots/c2/README.md",
        "hub/models--a--m/snapshots/c1/m-Q4_K_M.gguf",
        "hub/models--a--m/snapshots/c1/m-F16.gguf",
        "hub/models--a--parts/snapshots/x/UD-Q4_K_XL/p-UD-Q4_K_XL-00002-of-00002.gguf",
        "hub/models--a--parts/snapshots/x/UD-Q4_K_XL/p-UD-Q4_K_XL-00001-of-00002.gguf",
        "hub/models--a--plain/snapshots/x/b-Q5_K_M.gguf",
        "hub/models--a--plain/snapshots/x/a-Q5_0.gguf",
        "hub/models--a--half/snapshots/x/h-Q4_K_M-00002-of-00002.gguf",
        "hub/models--a--see/snapshots/x/mmproj-Q4_K_M.gguf",
        "hub/models--a--see/snapshots/x/see-Q4_K_M.gguf",
        "hub/models--a--none/snapshots/x/config.json",
        "other/models--a--m/snapshots/o/other-Q4_K_M.gguf",
    };
    for (size_t i = 0; i < sizeof caches / sizeof *caches; i++) unsetenv(caches[i].variable);
    if (!mkdtemp(root)) return -1;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) put_text(files[i], "");
    put_text("hub/models--a--m/refs/main", "c2\n");
    return 0;
}

static int drop_cache(void **state) {
    (void)state;
    char command[128];
    snprintf(command, sizeof command, "rm -r '%s'", root);
    return system(command);
}

static int at_home(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof caches / sizeof *caches; i++) unsetenv(caches[i].variable);
    point("HF_HOME", "");
    return 0;
}

static void expect(const char *spec, const char *wanted) {
    char path[HUB_PATH] = "";
    struct error e = {{0}};
    const char *found = hub_find(spec, path, &e) ? e.text : path;
    const char *end = strlen(found) > strlen(wanted) ? found + strlen(found) - strlen(wanted) : found;
    if (strcmp(end, wanted)) fail_msg("%s: found %s, expected .../%s", spec, found, wanted);
}

static void expect_error(const char *spec, const char *part) {
    char path[HUB_PATH] = "";
    struct error e = {{0}};
    if (!hub_find(spec, path, &e)) fail_msg("%s: found %s, expected the error \"%s\"", spec, path, part);
    if (!strstr(e.text, part)) fail_msg("%s: \"%s\" does not say \"%s\"", spec, e.text, part);
}

static void quantisations(void **state) {
    (void)state;
    expect("a/m", "c2/m-Q4_K_M.gguf");
    expect("a/m:Q8_0", "c2/m-q8_0.gguf"); /* any case, and no projector */
    expect("a/m:q2_k", "c2/a-Q2_K.gguf");
    expect("a/m:F16", "c1/m-F16.gguf");      /* in an older snapshot only */
    expect_error("a/m:Q4_K", "a-Q2_K.gguf"); /* Q4_K_M is another type, and the error says what there is */
    expect("a/see", "x/see-Q4_K_M.gguf");
    expect_error("a/half", "no such model"); /* without its first part it cannot be opened */
    expect("a/plain", "x/a-Q5_0.gguf");      /* no Q4_K_M: the first by name */
    expect("a/parts:Q4_K_XL", "UD-Q4_K_XL/p-UD-Q4_K_XL-00001-of-00002.gguf");
    expect("a/parts", "UD-Q4_K_XL/p-UD-Q4_K_XL-00001-of-00002.gguf");
}

static void order_of_caches(void **state) {
    (void)state;
    point("HF_HUB_CACHE", "other");
    expect("a/m", "o/other-Q4_K_M.gguf");
    expect("a/plain", "x/a-Q5_0.gguf"); /* not there: the next cache */
    expect("a/m:Q8_0", "c2/m-q8_0.gguf");
    point("LLAMA_CACHE", "hub");
    expect("a/m", "c2/m-Q4_K_M.gguf");
    at_home(NULL);
    unsetenv("HF_HOME");
    expect_error("a/m", "names one");
    char link[HUB_PATH + 32], hub[HUB_PATH];
    snprintf(hub, sizeof hub, "%s/hub", root);
    snprintf(link, sizeof link, "%s/huggingface", root), mkdir(link, 0755);
    snprintf(link, sizeof link, "%s/huggingface/hub", root);
    assert_int_equal(symlink(hub, link), 0);
    point("XDG_CACHE_HOME", "");
    expect("a/m", "c2/m-Q4_K_M.gguf");
}

static void errors(void **state) {
    (void)state;
    const char *wrong[] = {"m", "", "a/", "/m", "a/m:", "a/b/c", "../m", "a/..", "a/m:../x", "a/m x", "a*/m"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) expect_error(wrong[i], "expected user/model");
    expect_error("a/absent", "//hub"); /* where was looked */
    expect_error("a/none", "no such model");
    put_text("hub/models--a--m/refs/main", "../../models--a--plain/snapshots/x\n");
    expect("a/m", "c1/m-Q4_K_M.gguf"); /* a name that leads out is not followed */
    put_text("hub/models--a--m/refs/main", "c2\n");
}

/* What an interrupted or cleaned cache leaves: a link to a blob that is gone. */
static void dangling_links(void **state) {
    (void)state;
    char path[HUB_PATH];
    put_text("hub/models--a--cut/snapshots/x/z-Q8_0.gguf", "");
    snprintf(path, sizeof path, "%s/hub/models--a--cut/snapshots/x/a-Q4_K_M.gguf", root);
    assert_int_equal(symlink("../../blobs/gone", path), 0);
    expect("a/cut", "x/z-Q8_0.gguf");
    expect_error("a/cut:Q4_K_M", "z-Q8_0.gguf");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(quantisations, at_home),
        cmocka_unit_test_setup(order_of_caches, at_home),
        cmocka_unit_test_setup(errors, at_home),
        cmocka_unit_test_setup(dangling_links, at_home),
    };
    return cmocka_run_group_tests(tests, make_cache, drop_cache);
}
