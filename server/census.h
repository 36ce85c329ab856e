/* census.h - how many devices are alike, for those who count the fleet: alike is all that many have in common (their board,
 * firmware, product, how the last attempt ended), not their ids, labels, addresses and times. */
#ifndef MOLT_SERVER_CENSUS_H
#define MOLT_SERVER_CENSUS_H

#include "host/filter/filter.h"
#include "host/model.h"

/* What the times of devices are compared with, ages in ms. */
struct census_ages {
    int64_t now_ms;
    int64_t seen, silent, decided;
};

struct census_alike {
    uint64_t count;
    uint64_t never;   /* ... of them never seen */
    uint64_t seen;    /* seen no longer ago than that */
    uint64_t silent;  /* not seen for longer than that */
    uint64_t decided; /* last_reason_ms is no longer ago than that */
};

/* Adds one device. */
static inline void census_add(struct census_alike *alike, const struct census_ages *ages,
                              int64_t last_seen_ms, int64_t last_reason_ms)
{
    alike->count++;
    alike->never += last_seen_ms == 0;
    alike->seen += last_seen_ms != 0 && ages->now_ms - last_seen_ms <= ages->seen;
    alike->silent += last_seen_ms != 0 && ages->now_ms - last_seen_ms > ages->silent;
    alike->decided += ages->now_ms - last_reason_ms <= ages->decided;
}

/* Which devices are meant. What they have in common is looked at once for all of them, and so is each word of their labels. */
enum census_verdict { CENSUS_NONE, CENSUS_ALL, CENSUS_PART };
struct census_wish {
    const struct filter *filter;
    int64_t now_ms; /* of the filter */
    /* Says of all that are alike: none; all that pass the filter; or those of them with `part` in id or address, whatever the
     * case of letters. *product: the name of their product, for the filter. Called with a shard locked. */
    enum census_verdict (*look)(void *ctx, const struct model_device *common, const char **product);
    void *ctx;
    const char *part;         /* NULL, or not empty */
    struct census_cost *cost; /* NULL, or out */
};
/* What it took: rows looked at; states judged; words read; texts of a row's own that were read. */
struct census_cost {
    uint64_t rows, states, words, own;
};

/* Further filters, for who asks several things of each device that is meant: judged like the wish's, and only when they are asked for. */
#define CENSUS_ALSO 9u
struct census_also {
    const struct filter *const *filters; /* each of them NULL: every device passes */
    uint32_t count;                      /* at most CENSUS_ALSO */
};
/* One device that is meant, while it is told of. */
struct census_device {
    const char *id;
    bool (*passes)(const struct census_device *device, uint32_t which); /* that filter */
};
typedef void (*census_meant)(void *ctx, const struct census_device *device);

/* common: a device without id, labels, address and times. Answers non-zero to hear of no more. */
typedef int (*census_row)(void *ctx, const struct model_device *common, const struct census_alike *alike);

#endif
