/* hf_folder.h: writes safetensors files and model folders, well-formed and broken ones, and vocabularies as tokenizer.json.
 * Not a test itself, and not written with the reader's code: it knows the format on its own.
 * Next: test_safetensors.c, test_convert.c, test_hf_tokens.c. */
#ifndef PONDER_TESTS_HF_FOLDER_H
#define PONDER_TESTS_HF_FOLDER_H

#include "tests/tiny_model.h"

#include <jansson.h>

#include "weights/hf.h"
#include "weights/safetensors.h"

/* ---- files of the folder ---- */

/* The test's folder, emptied. */
static inline const char *fresh_folder(void) {
    void *none = NULL;
    tiny_cleanup(&none);
    tiny_path("x");
    return tiny_folder;
}

static inline void put_file(const char *name, const void *data, size_t size) {
    FILE *f = fopen(tiny_path(name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

static inline void put_text(const char *name, const char *text) { put_file(name, text, strlen(text)); }

static inline void put_json(const char *name, json_t *json) {
    assert_int_equal(json_dump_file(json, tiny_path(name), JSON_COMPACT), 0);
    json_decref(json);
}

/* length | header | data */
static inline void put_image(const char *name, const char *header, size_t header_size, const void *data, size_t size) {
    uint64_t n = header_size;
    char *image = malloc(8 + header_size + size);
    memcpy(image, &n, 8);
    memcpy(image + 8, header, header_size);
    if (size) memcpy(image + 8 + header_size, data, size);
    put_file(name, image, 8 + header_size + size);
    free(image);
}

/* ---- a safetensors file, tensor by tensor ---- */

enum { ST_MAX_TENSORS = 256, ST_MAX_DATA = 1 << 22 };

struct st_make {
    json_t *header;
    uint8_t *data; /* [ST_MAX_DATA] */
    size_t size;
};

static inline struct st_make st_new(void) { return (struct st_make){json_object(), malloc(ST_MAX_DATA), 0}; }

/* rows 0: a vector.  The values are rounded to the type. */
static inline void st_add(struct st_make *m, const char *name, enum tensor_type type, size_t rows, size_t cols,
                          const float *values) {
    const size_t n = (rows ? rows : 1) * cols, bytes = n * (type == TYPE_F32 ? 4 : 2);
    assert_true(m->size + bytes <= ST_MAX_DATA);
    type_from_f32(type, values, m->data + m->size, n);
    json_t *shape = rows ? json_pack("[i, i]", (int)rows, (int)cols) : json_pack("[i]", (int)cols);
    json_object_set_new(m->header, name,
                        json_pack("{s:s, s:o, s:[i, i]}", "dtype", type_info(type)->name, "shape", shape,
                                  "data_offsets", (int)m->size, (int)(m->size + bytes)));
    m->size += bytes;
}

static inline void st_put(struct st_make *m, const char *name) {
    char *header = json_dumps(m->header, JSON_COMPACT);
    put_image(name, header, strlen(header), m->data, m->size);
    free(header);
    json_decref(m->header);
    free(m->data);
    *m = (struct st_make){0};
}

/* ---- errors ---- */

static inline void says(const struct error *e, const char *const *parts) {
    for (; *parts; parts++)
        if (!strstr(e->text, *parts)) fail_msg("\"%s\" does not say \"%s\"", e->text, *parts);
}

/* hf_open of the test's folder fails and says all parts. */
static inline void folder_refused(const char *const *parts) {
    struct gguf *g;
    struct error e = {""};
    if (hf_open(tiny_folder, &g, &e) == OK) fail_msg("the folder was opened; the error should say %s", parts[0]);
    assert_null(g);
    says(&e, parts);
}
#define FOLDER_REFUSED(...) folder_refused((const char *const[]){__VA_ARGS__, NULL})

/* ---- the smallest model: one layer of width 8 ---- */

static inline void put_small_tensors(struct st_make *m, size_t n_vocab) {
    static const struct {
        const char *name;
        size_t rows, cols;
    } all[] = {
        {"model.layers.0.input_layernorm.weight", 0, 8},  {"model.layers.0.self_attn.q_proj.weight", 8, 8},
        {"model.layers.0.self_attn.k_proj.weight", 8, 8}, {"model.layers.0.self_attn.v_proj.weight", 8, 8},
        {"model.layers.0.self_attn.o_proj.weight", 8, 8}, {"model.layers.0.post_attention_layernorm.weight", 0, 8},
        {"model.layers.0.mlp.gate_proj.weight", 16, 8},   {"model.layers.0.mlp.up_proj.weight", 16, 8},
        {"model.layers.0.mlp.down_proj.weight", 8, 16},   {"model.norm.weight", 0, 8}};
    float *values = malloc((n_vocab * 8 + 128) * sizeof *values);
    for (size_t i = 0; i < n_vocab * 8 + 128; i++) values[i] = (float)tiny_gauss(5, i);
    st_add(m, "model.embed_tokens.weight", TYPE_BF16, n_vocab, 8, values);
    for (size_t i = 0; i < COUNT(all); i++) st_add(m, all[i].name, TYPE_BF16, all[i].rows, all[i].cols, values + i);
    free(values);
}

static inline void put_small_weights(size_t n_vocab) {
    struct st_make m = st_new();
    put_small_tensors(&m, n_vocab);
    st_put(&m, "model.safetensors");
}

static inline json_t *small_config(size_t n_vocab) {
    return json_pack("{s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:f, s:b}", "model_type", "llama", "hidden_size", 8,
                     "num_hidden_layers", 1, "num_attention_heads", 1, "intermediate_size", 16,
                     "max_position_embeddings", 128, "vocab_size", (int)n_vocab, "rms_norm_eps", 1e-5,
                     "tie_word_embeddings", 1);
}

/* A byte-level vocabulary of two letters and their pair. */
static const char small_tokenizer[] =
    "{\"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2}, \"merges\": [\"a b\"]},"
    " \"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": true}}";

static inline void put_small_folder(void) {
    fresh_folder();
    put_small_weights(5);
    put_json("config.json", small_config(5));
    put_text("tokenizer.json", small_tokenizer);
}

#endif
