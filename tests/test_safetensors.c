/* test_safetensors.c: the reader of safetensors: what it gives, and every broken file it must refuse with a reason.
 * Not models: test_convert.c.
 * Next: test_convert.c. */
#include "tests/hf_folder.h"

#include <sys/stat.h>

static const uint8_t zeros[256];

/* ---- files that are read ---- */

static struct safetensors *opened(const char *name) {
    struct safetensors *s;
    struct error e;
    if (safetensors_open(tiny_path(name), &s, &e)) fail_msg("%s", e.text);
    return s;
}

static void tensors_are_what_was_written(void **state) {
    (void)state;
    const float values[] = {1, -2, 3.5f, 0.25f, 1e-3f, 1e9f};
    struct st_make m = st_new();
    json_object_set_new(m.header, "__metadata__", json_pack("{s:s}", "format", "pt"));
    st_add(&m, "b", TYPE_BF16, 0, 3, values);
    st_add(&m, "f", TYPE_F32, 2, 3, values);
    st_add(&m, "h", TYPE_F16, 3, 1, values);
    st_put(&m, "good");
    struct safetensors *s = opened("good");
    assert_int_equal(safetensors_count(s), 3);
    const struct st_tensor *f = safetensors_find(s, "f");
    assert_int_equal(f->n_dims, 2);
    assert_int_equal(f->dims[0], 2);
    assert_int_equal(f->dims[1], 3);
    assert_int_equal(f->type, TYPE_F32);
    assert_int_equal(f->size_bytes, sizeof values);
    assert_memory_equal(f->data, values, sizeof values);
    assert_string_equal(safetensors_at(s, 0)->name, "b");
    assert_int_equal(safetensors_find(s, "b")->type, TYPE_BF16);
    assert_string_equal(safetensors_find(s, "h")->dtype, "F16");
    assert_null(safetensors_find(s, "g"));
    assert_null(safetensors_find(s, "__metadata__"));
    safetensors_close(&s);
    assert_null(s);
}

static void unusual_files_are_read(void **state) {
    (void)state;
    static const struct {
        const char *header;
        size_t data, tensors;
    } good[] = {
        {"{}", 0, 0},
        {"{}      ", 0, 0}, /* padded to a multiple of 8 */
        {"{\"__metadata__\":{}}", 0, 0},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", 4, 1},    /* a number */
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[3,0],\"data_offsets\":[0,0]}}", 0, 1}, /* nothing */
        {"{\"a\":{\"dtype\":\"I64\",\"shape\":[2],\"data_offsets\":[0,16]}}", 16, 1}, /* no type of ours */
        {"{\"a\":{\"dtype\":\"F4\",\"shape\":[3,2],\"data_offsets\":[0,3]}}", 3, 1},  /* half bytes */
        {"{\"b\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[2,3]},\"e\":{\"dtype\":\"U8\",\"shape\":[0],"
         "\"data_offsets\":[2,2]},\"a\":{\"dtype\":\"U8\",\"shape\":[2],\"data_offsets\":[0,2]}}",
         3, 3},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        put_image("unusual", good[i].header, strlen(good[i].header), zeros, good[i].data);
        struct safetensors *s = opened("unusual");
        assert_int_equal(safetensors_count(s), good[i].tensors);
        if (i == 5) assert_int_equal(safetensors_at(s, 0)->type, ST_NO_TYPE);
        if (i == 7) assert_string_equal(safetensors_at(s, 2)->name, "b");
        safetensors_close(&s);
    }
}

/* ---- files that are refused ---- */

static void file_refused(const char *name, const char *const *parts) {
    struct safetensors *s;
    struct error e = {""};
    if (safetensors_open(tiny_path(name), &s, &e) == OK)
        fail_msg("%s was opened; the error should say %s", name, parts[0]);
    assert_null(s);
    says(&e, parts);
    if (!strstr(e.text, name)) fail_msg("\"%s\" does not name the file", e.text);
}
#define FILE_REFUSED(name, ...) file_refused(name, (const char *const[]){__VA_ARGS__, NULL})

static void header_refused(const char *header, size_t data, const char *part, const char *other) {
    put_image("bad.st", header, strlen(header), zeros, data);
    FILE_REFUSED("bad.st", part, other);
}

/* F1 */
static void files_cut_at_every_byte_are_refused(void **state) {
    (void)state;
    const char header[] = "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}";
    uint8_t image[8 + sizeof header - 1 + 8] = {sizeof header - 1};
    memcpy(image + 8, header, sizeof header - 1);
    for (size_t n = 0; n < sizeof image; n++) {
        struct safetensors *s;
        struct error e = {""};
        put_file("cut.st", image, n);
        if (safetensors_open(tiny_path("cut.st"), &s, &e) == OK) fail_msg("cut to %zu bytes, it was opened", n);
        assert_null(s);
        assert_non_null(strstr(e.text, "cut.st"));
    }
    put_file("cut.st", image, sizeof image);
    struct safetensors *s = opened("cut.st");
    safetensors_close(&s);
}

/* F2 */
static void what_is_no_file_is_refused(void **state) {
    (void)state;
    FILE_REFUSED("absent.st", "No such file");
    mkfifo(tiny_path("fifo.st"), 0600);
    FILE_REFUSED("fifo.st", "not a regular file", "safetensors");
    put_text("empty.st", "");
    FILE_REFUSED("empty.st", "is empty");
    put_text("text.st", "once upon a time");
    FILE_REFUSED("text.st", "header of 8", "allowed are up to 100000000");
}

/* F12: header > 100 MB, and one that is longer than the file */
static void header_lengths_are_bounded(void **state) {
    (void)state;
    static const uint64_t lengths[] = {100000001, UINT64_MAX, UINT64_MAX - 7, (uint64_t)1 << 63};
    uint8_t image[64] = {0};
    for (size_t i = 0; i < COUNT(lengths); i++) {
        memcpy(image, &lengths[i], 8);
        put_file("long.st", image, sizeof image);
        FILE_REFUSED("long.st", "allowed are up to 100000000");
    }
    memcpy(image, &(uint64_t){57}, 8);
    put_file("long.st", image, sizeof image);
    FILE_REFUSED("long.st", "header of 57 bytes", "56 bytes are left");
    memcpy(image, &(uint64_t){0}, 8);
    put_file("long.st", image, sizeof image);
    FILE_REFUSED("long.st", "does not begin with '{'");
}

#define TENSOR(dtype, shape, offsets) "{\"a\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" offsets "}}"

static void headers_that_are_not_json_are_refused(void **state) {
    (void)state;
    header_refused(" {}", 0, "does not begin with '{'", "bad.st");
    header_refused("[]", 0, "does not begin with '{'", "bad.st");
    header_refused("{", 0, "not valid JSON", "line 1");
    header_refused("{}x", 0, "not valid JSON", "end of file expected");
    header_refused("{\"a\xff\":1}", 0, "not valid JSON", "0xff");
    header_refused("{\"a\":{}}", 0, "tensor \"a\"", "dtype is missing");
    header_refused("{\"a\":3}", 0, "tensor \"a\"", "no object");
}

/* F12: deep JSON */
static void deep_json_is_refused(void **state) {
    (void)state;
    enum { DEPTH = 100000 };
    char *text = malloc(DEPTH + 8);
    memcpy(text, "{\"a\":", 5);
    memset(text + 5, '[', DEPTH);
    put_image("deep.st", text, DEPTH + 5, zeros, 0);
    FILE_REFUSED("deep.st", "not valid JSON", "depth");
    free(text);
}

/* F12: duplicate key */
static void duplicate_keys_are_refused(void **state) {
    (void)state;
    const char *one = "\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}";
    char text[256];
    snprintf(text, sizeof text, "{%s,%s}", one, one);
    header_refused(text, 1, "duplicate", "bad.st");
    header_refused("{\"a\":{\"dtype\":\"U8\",\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, "duplicate",
                   "bad.st");
}

static void wrong_fields_are_refused(void **state) {
    (void)state;
    header_refused(TENSOR("\"F99\"", "[1]", "[0,4]"), 4, "\"F99\"", "BF16");
    header_refused(TENSOR("7", "[1]", "[0,4]"), 4, "dtype", "no string");
    header_refused(TENSOR("\"F32\"", "4", "[0,4]"), 4, "shape", "no array");
    header_refused(TENSOR("\"F32\"", "[-1]", "[0,4]"), 4, "shape[0]", "0 or above");
    header_refused(TENSOR("\"F32\"", "[1.0]", "[0,4]"), 4, "shape[0]", "integer");
    header_refused(TENSOR("\"F32\"", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), 4, "9 dims", "up to 8");
    header_refused(TENSOR("\"F32\"", "[4611686018427387904,4]", "[0,0]"), 0, "overflows", "dim 1");
    header_refused(TENSOR("\"F32\"", "[2305843009213693952]", "[0,0]"), 0, "whole number of bytes", "F32");
    header_refused(TENSOR("\"F4\"", "[3]", "[0,2]"), 2, "whole number of bytes", "F4");
    header_refused(TENSOR("\"F32\"", "[99999999999999999999]", "[0,0]"), 0, "not valid JSON", "too big");
    header_refused(TENSOR("\"F32\"", "[1]", "[0]"), 4, "data_offsets", "two integers");
    header_refused(TENSOR("\"F32\"", "[1]", "[0,4,8]"), 4, "data_offsets", "two integers");
    header_refused(TENSOR("\"F32\"", "[1]", "[4,0]"), 4, "data_offsets", "begin <= end");
    header_refused(TENSOR("\"F32\"", "[1]", "[-4,0]"), 4, "data_offsets", "0 <= begin");
    header_refused(TENSOR("\"F32\"", "[1]", "[0,\"4\"]"), 4, "data_offsets", "two integers");
    header_refused(TENSOR("\"F32\"", "[1]", "[0,8]"), 8, "hold 8 bytes", "need 4");
    header_refused(TENSOR("\"F32\"", "[2]", "[0,8]"), 4, "[0, 8]", "4 bytes follow");
    header_refused("{\"__metadata__\":{\"a\":1}}", 0, "__metadata__", "no string");
    header_refused("{\"__metadata__\":[]}", 0, "__metadata__", "no object");
}

/* F12: holes and overlap */
static void holes_and_overlaps_are_refused(void **state) {
    (void)state;
    char text[256];
    const char *two = "{\"a\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},"
                      "\"b\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[%d,%d]}}";
    snprintf(text, sizeof text, two, 5, 9);
    header_refused(text, 9, "begins at 5", "no hole");
    snprintf(text, sizeof text, two, 3, 7);
    header_refused(text, 7, "begins at 3", "no overlap");
    snprintf(text, sizeof text, two, 0, 4);
    header_refused(text, 4, "begins at 0", "no overlap");
    snprintf(text, sizeof text, two, 4, 8);
    header_refused(text, 9, "ends at 8", "9 bytes of data");
    header_refused(TENSOR("\"U8\"", "[4]", "[1,5]"), 5, "begins at 1", "no hole");
    put_image("bad.st", text, strlen(text), zeros, 8);
    struct safetensors *s = opened("bad.st");
    safetensors_close(&s);
}

/* ---- shards ---- */

static void put_shard(const char *name, const char *tensor) {
    char header[200];
    snprintf(header, sizeof header, "{\"%s\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", tensor);
    put_image(name, header, strlen(header), zeros, 1);
}

static void put_index(const char *map) {
    char text[600];
    snprintf(text, sizeof text, "{\"metadata\":{\"total_size\":2},\"weight_map\":%s}", map);
    put_text("model.safetensors.index.json", text);
}

static void index_refused(const char *map, const char *part, const char *other) {
    struct safetensors *s;
    struct error e = {""};
    put_index(map);
    if (safetensors_open_folder(tiny_folder, &s, &e) == OK) fail_msg("%s was opened; expected \"%s\"", map, part);
    assert_null(s);
    says(&e, (const char *const[]){part, other, NULL});
}

static void shards_are_one_set_of_tensors(void **state) {
    (void)state;
    struct safetensors *s;
    struct error e;
    fresh_folder();
    put_shard("m-2.safetensors", "b");
    put_shard("m-1.safetensors", "a");
    put_index("{\"b\":\"m-2.safetensors\",\"a\":\"m-1.safetensors\"}");
    GOOD(safetensors_open_folder(tiny_folder, &s, &e));
    assert_int_equal(safetensors_count(s), 2);
    assert_string_equal(safetensors_at(s, 0)->name, "a");
    assert_non_null(strstr(safetensors_find(s, "b")->file, "m-2.safetensors"));
    safetensors_close(&s);
}

/* F12: shard names that leave the folder */
static void shard_names_stay_in_the_folder(void **state) {
    (void)state;
    static const char *const names[] = {
        "../../etc/passwd", "/etc/passwd",    "../m-1.safetensors", "a/m-1.safetensors", "..",     "", ".",
        ".safetensors",     ".m.safetensors", "a\\\\m.safetensors", "m..safetensors",    "m-1.bin"};
    fresh_folder();
    put_shard("m-1.safetensors", "a");
    for (size_t i = 0; i < COUNT(names); i++) {
        char map[200];
        snprintf(map, sizeof map, "{\"a\":\"%s\"}", names[i]);
        index_refused(map, "tensor \"a\"", "allowed are names NAME.safetensors");
    }
    index_refused("{\"a\":7}", "(no string)", "allowed are names");
}

/* F12: a missing shard, and indexes that are wrong about shards */
static void indexes_must_be_right(void **state) {
    (void)state;
    struct safetensors *s;
    struct error e = {""};
    fresh_folder();
    assert_int_equal(safetensors_open_folder(tiny_folder, &s, &e), ERR_INPUT);
    says(&e, (const char *const[]){"neither model.safetensors nor model.safetensors.index.json", NULL});
    put_shard("m-1.safetensors", "a");
    put_shard("m-2.safetensors", "b");
    put_shard("m-3.safetensors", "a");
    index_refused("{\"a\":\"m-1.safetensors\",\"c\":\"m-4.safetensors\"}", "m-4.safetensors", "No such file");
    index_refused("{\"a\":\"m-1.safetensors\",\"c\":\"m-2.safetensors\"}", "tensor \"c\"",
                  "should be in m-2.safetensors");
    index_refused("{\"a\":\"m-2.safetensors\",\"b\":\"m-1.safetensors\"}", "tensor \"a\"",
                  "should be in m-2.safetensors");
    index_refused("{\"a\":\"m-1.safetensors\",\"x\":\"m-3.safetensors\"}", "tensor \"a\"", "another shard");
    index_refused("{}", "names no shard", "index.json");
    index_refused("[]", "weight_map", "no object");
    index_refused("{\"a\":\"m-1.safetensors\",\"a\":\"m-1.safetensors\"}", "duplicate", "index.json");
    put_text("model.safetensors.index.json", "{");
    assert_int_equal(safetensors_open_folder(tiny_folder, &s, &e), ERR_INPUT);
    says(&e, (const char *const[]){"not valid JSON", "index.json", NULL});
}

/* ---- memory ---- */

static void failed_allocations_are_errors(void **state) {
    (void)state;
    fresh_folder();
    put_shard("m-1.safetensors", "a");
    put_shard("m-2.safetensors", "b");
    put_index("{\"a\":\"m-1.safetensors\",\"b\":\"m-2.safetensors\"}");
    for (int on = 0; on < 2; on++)
        for (size_t n = 1;; n++) {
            struct safetensors *s;
            struct error e = {""};
            mem_fail_at(n, on);
            enum status st = safetensors_open_folder(tiny_folder, &s, &e);
            size_t made = mem_fail_at(0, false);
            if (st == OK) {
                safetensors_close(&s);
                assert_true(made < n);
                break;
            }
            if (st != ERR_MEMORY) fail_msg("allocation %zu fails: status %d, \"%s\"", n, (int)st, e.text);
            assert_null(s);
        }
}

static int setup(void **state) {
    (void)state;
    tiny_path("x");
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tensors_are_what_was_written),
        cmocka_unit_test(unusual_files_are_read),
        cmocka_unit_test(files_cut_at_every_byte_are_refused),
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(header_lengths_are_bounded),
        cmocka_unit_test(headers_that_are_not_json_are_refused),
        cmocka_unit_test(deep_json_is_refused),
        cmocka_unit_test(duplicate_keys_are_refused),
        cmocka_unit_test(wrong_fields_are_refused),
        cmocka_unit_test(holes_and_overlaps_are_refused),
        cmocka_unit_test(shards_are_one_set_of_tensors),
        cmocka_unit_test(shard_names_stay_in_the_folder),
        cmocka_unit_test(indexes_must_be_right),
        cmocka_unit_test(failed_allocations_are_errors),
    };
    return cmocka_run_group_tests(tests, setup, tiny_cleanup);
}
