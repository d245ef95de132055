/* checkpoint.c: header | settings | weights | m | v | CRC-32 of all before it.
 * Not portable across byte orders: a checkpoint is for the machine that wrote it.
 * Next: trainer.c. */
#include "train/checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

enum { SETTINGS = 1024 };

struct header {
    char magic[8];
    uint64_t step, seed, n_weights, n_embd, n_layer, head;
    char settings[SETTINGS];
};

static struct header header_for(const struct checkpoint *c) {
    const struct net *n = c->net;
    struct header h = {.magic = "PNDCKP2",
                       .step = c->step,
                       .seed = c->seed,
                       .n_weights = n->n_weights,
                       .n_embd = n->config.n_embd,
                       .n_layer = n->config.n_layer,
                       .head = n->head};
    snprintf(h.settings, sizeof h.settings, "%s", c->settings ? c->settings : "");
    return h;
}

/* CRC-32 (IEEE 802.3, reflected 0xEDB88320), continued from crc. */
static uint32_t crc32(uint32_t crc, const void *data, size_t n) {
    static uint32_t table[256];
    if (!table[1])
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int k = 0; k < 8; k++) c = c & 1 ? c >> 1 ^ 0xEDB88320u : c >> 1;
            table[i] = c;
        }
    crc = ~crc;
    for (const unsigned char *p = data, *end = p + n; p < end; p++) crc = table[(crc ^ *p) & 255] ^ crc >> 8;
    return ~crc;
}

static bool put(FILE *f, uint32_t *crc, const void *data, size_t n) {
    *crc = crc32(*crc, data, n);
    return fwrite(data, 1, n, f) == n;
}

enum status checkpoint_save(const struct checkpoint *c, struct error *e) {
    char tmp[4096], prev[4096];
    if (snprintf(tmp, sizeof tmp, "%s.tmp", c->path) >= (int)sizeof tmp)
        return error_set(e, ERR_INPUT, "checkpoint path is too long");
    snprintf(prev, sizeof prev, "%s.prev", c->path);
    FILE *f = fopen(tmp, "wb");
    if (!f) return error_set(e, ERR_IO, "%s: %s", tmp, strerror(errno));
    struct header h = header_for(c);
    uint32_t crc = 0;
    size_t bytes = c->net->n_weights * sizeof(float);
    bool good = put(f, &crc, &h, sizeof h) && put(f, &crc, c->net->weights, bytes) &&
                put(f, &crc, c->adamw->m, bytes) && put(f, &crc, c->adamw->v, bytes) &&
                fwrite(&crc, sizeof crc, 1, f) == 1 && !fflush(f) && !fsync(fileno(f));
    if (fclose(f) || !good) {
        unlink(tmp);
        return error_set(e, ERR_IO, "%s: write failed: %s", tmp, strerror(errno));
    }
    /* A crash between the two renames leaves only path.prev, which load takes. */
    if ((rename(c->path, prev) && errno != ENOENT) || rename(tmp, c->path))
        return error_set(e, ERR_IO, "%s: rename failed: %s", c->path, strerror(errno));
    return OK;
}

/* True when the CRC at the end of the file is that of everything before it; then f is at its start again. */
static bool is_whole(FILE *f) {
    static const size_t TAIL = sizeof(uint32_t);
    unsigned char block[65536 + sizeof(uint32_t)];
    uint32_t crc = 0, stored;
    size_t kept = 0, got; /* the last TAIL bytes read so far may be the CRC: they wait for more */
    while ((got = fread(block + kept, 1, sizeof block - kept, f)) > 0) {
        kept += got;
        if (kept <= TAIL) continue;
        crc = crc32(crc, block, kept - TAIL);
        memmove(block, block + kept - TAIL, TAIL);
        kept = TAIL;
    }
    if (kept < TAIL || ferror(f)) return false;
    memcpy(&stored, block, TAIL);
    rewind(f);
    return crc == stored;
}

/* The first line in which two settings differ, as an error. */
static enum status settings_differ(const char *path, const char *old, const char *new, struct error *e) {
    while (*old || *new) {
        int n_old = (int)strcspn(old, "\n"), n_new = (int)strcspn(new, "\n"), name = (int)strcspn(new, "=\n");
        if (n_old != n_new || memcmp(old, new, (size_t)n_new))
            return error_set(e, ERR_INPUT, "%s was made with %.*s; now --%.*s is %.*s: remove it or name another file",
                             path, n_old, old, name, new, n_new > name ? n_new - name - 1 : 0, new + name + 1);
        old += n_old + (old[n_old] == '\n'), new += n_new + (new[n_new] == '\n');
    }
    return OK;
}

static enum status check_header(const char *path, const struct header *h, const struct header *want, struct error *e) {
    if (h->seed != want->seed || h->n_weights != want->n_weights || h->n_embd != want->n_embd ||
        h->n_layer != want->n_layer || h->head != want->head)
        return error_set(
            e, ERR_INPUT,
            "%s: checkpoint of another run (seed %llu, %llu weights; wanted seed %llu, %llu weights): remove it or "
            "name another file",
            path, (unsigned long long)h->seed, (unsigned long long)h->n_weights, (unsigned long long)want->seed,
            (unsigned long long)want->n_weights);
    return settings_differ(path, h->settings, want->settings, e);
}

/* OK with *found when the file is whole; OK without when it is missing or damaged.  The CRC is looked at first: a
 * damaged header must not pass for that of another run. */
static enum status read_one(struct checkpoint *c, const char *path, bool *found, struct error *e) {
    *found = false;
    FILE *f = fopen(path, "rb");
    if (!f) return OK;
    enum status s = OK;
    struct header h, want = header_for(c);
    size_t count = c->net->n_weights, bytes = count * sizeof(float);
    float *body = NULL;
    if (!is_whole(f) || fread(&h, sizeof h, 1, f) != 1 || memcmp(h.magic, want.magic, sizeof h.magic)) goto out;
    h.settings[SETTINGS - 1] = 0;
    if ((s = check_header(path, &h, &want, e))) goto out;
    if (!(body = mem_new(3 * count, sizeof(float)))) {
        s = error_set(e, ERR_MEMORY, "no memory to read %s", path);
        goto out;
    }
    if (fread(body, sizeof(float), 3 * count, f) != 3 * count || fseek(f, sizeof(uint32_t), SEEK_CUR) ||
        fgetc(f) != EOF)
        goto out;
    memcpy(c->net->weights, body, bytes);
    memcpy(c->adamw->m, body + count, bytes);
    memcpy(c->adamw->v, body + 2 * count, bytes);
    c->step = h.step;
    *found = true;
out:
    mem_free(body);
    fclose(f);
    return s;
}

enum status checkpoint_load(struct checkpoint *c, bool *found, struct error *e) {
    char prev[4096];
    if (snprintf(prev, sizeof prev, "%s.prev", c->path) >= (int)sizeof prev)
        return error_set(e, ERR_INPUT, "checkpoint path is too long");
    enum status s = read_one(c, c->path, found, e);
    if (s || *found) return s;
    s = read_one(c, prev, found, e);
    if (!s && *found)
        fprintf(stderr, "%s is missing or damaged: resuming from %s (step %llu)\n", c->path, prev,
                (unsigned long long)c->step);
    return s;
}
