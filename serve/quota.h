/* quota.h: how much may be computed: by one request, by one key a day, by all of them a day; and who has used what.
 * Not who may ask: route.c looks at keys.
 * Next: quota.c. */
#ifndef PONDER_SERVE_QUOTA_H
#define PONDER_SERVE_QUOTA_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "serve/keys.h"

enum { QUOTA_SECONDS = 86400 };

/* Of the key with its number in server_keys, or of all together (QUOTA_ALL). */
enum { QUOTA_ALL = SERVER_KEYS };
struct quota {
    pthread_mutex_t lock;
    struct {
        struct allowance limit, used, reserved;
    } of[SERVER_KEYS + 1];
    struct allowance request; /* constant: of one */
    uint64_t until;           /* of clock_ns: then everything is unused again */
};

struct server;
struct exchange;
struct ledger;

void quota_open(struct server *s);
void quota_close(struct server *s);

/* Will this request, which takes at most `most`, stay within all limits?  most 0 in a member: nobody knows.  True: it
 * is reserved until quota_settle; false: the exchange has been told why. */
bool quota_admit(struct exchange *ex, const struct allowance *most);
/* What is left for a request that can stop by itself, the smallest of all limits; UINT64_MAX: there is none. */
struct allowance quota_left(struct exchange *ex);
/* It took so much.  Counts it in the metrics, too. */
void quota_charge(struct exchange *ex, const struct ledger *cost);
/* It is over: what was reserved and not used is free again.  Without a reservation: nothing. */
void quota_settle(struct exchange *ex);

#endif
