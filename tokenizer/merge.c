/* merge.c: the merge loop of both BPE kinds: a linked list of symbols and a heap of pairs.
 * Not the rule which pairs may merge: bpe.c (by rank) and spm.c (by score) hand that in.
 * Next: bpe.c. */
#include "base/mem.h"
#include "tokenizer/tok_internal.h"

enum status merge_reserve(struct merge_work *w, size_t n, struct error *e) {
    w->n = w->n_heap = 0;
    if (n <= w->cap) return OK;
    merge_free(w);
    w->symbols = mem_new(n, sizeof *w->symbols);
    w->heap = mem_new(n, 2 * sizeof *w->heap);
    if (!w->symbols || !w->heap) {
        merge_free(w);
        return error_set(e, ERR_MEMORY, "tokenizer: no memory for a word of %zu symbols", n);
    }
    w->cap = n;
    return OK;
}

void merge_free(struct merge_work *w) {
    mem_free(w->symbols);
    mem_free(w->heap);
    *w = (struct merge_work){0};
}

void merge_push(struct merge_work *w, int32_t id, size_t start, size_t size) {
    struct symbol *s = &w->symbols[w->n];
    *s = (struct symbol){
        .id = id, .start = (uint32_t)start, .size = (uint32_t)size, .prev = (int32_t)w->n - 1, .next = -1};
    if (w->n > 0) w->symbols[w->n - 1].next = (int32_t)w->n;
    w->n++;
}

/* A binary min-heap of keys: priority in the high half, place of the left symbol in the low half, so that equal
 * priorities come out from left to right.  Each merge adds at most two keys and takes one, and there are fewer merges
 * than symbols: 2n places suffice. */
static void heap_add(struct merge_work *w, uint64_t key) {
    size_t i = w->n_heap++;
    for (; i > 0 && w->heap[(i - 1) / 2] > key; i = (i - 1) / 2) w->heap[i] = w->heap[(i - 1) / 2];
    w->heap[i] = key;
}

static uint64_t heap_take(struct merge_work *w) {
    uint64_t top = w->heap[0], last = w->heap[--w->n_heap];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= w->n_heap) break;
        if (child + 1 < w->n_heap && w->heap[child + 1] < w->heap[child]) child++;
        if (w->heap[child] >= last) break;
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return top;
}

static void offer(struct merge_work *w, const struct tok *t, const char *text, merge_fn *f, int32_t left) {
    int32_t right = left < 0 ? -1 : w->symbols[left].next;
    uint32_t priority;
    int32_t id;
    if (right < 0 || !f(t, text, &w->symbols[left], &w->symbols[right], &priority, &id)) return;
    heap_add(w, (uint64_t)priority << 32 | (uint32_t)left);
}

void merge_run(struct merge_work *w, const struct tok *t, const char *text, merge_fn *f) {
    for (size_t i = 0; i + 1 < w->n; i++) offer(w, t, text, f, (int32_t)i);
    while (w->n_heap > 0) {
        uint64_t key = heap_take(w);
        struct symbol *left = &w->symbols[(uint32_t)key];
        if (left->size == 0 || left->next < 0) continue;
        struct symbol *right = &w->symbols[left->next];
        uint32_t priority;
        int32_t id;
        /* The key may be stale: one of the two has merged since.  Then the pair that stands here now has a key of its
         * own, equal to this one if it should go now. */
        if (!f(t, text, left, right, &priority, &id) || priority != key >> 32) continue;
        left->id = id;
        left->size += right->size;
        left->next = right->next;
        right->size = 0;
        if (left->next >= 0) w->symbols[left->next].prev = (int32_t)(uint32_t)key;
        offer(w, t, text, f, left->prev);
        offer(w, t, text, f, (int32_t)(uint32_t)key);
    }
}
