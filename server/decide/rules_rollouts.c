/* rules_rollouts.c - the rollouts of a snapshot: compiled once, found by release and by id.
 * Must never change after rules_build(). Tests: test/unit/rollout_test.c. */
#include "rules_index.h"

#include <stdlib.h>

static int compare_ids(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

int rules_compare_rollouts(const void *a, const void *b)
{
    const struct model_rollout *x = a, *y = b;
    int order = compare_ids(x->release_id, y->release_id);
    return order != 0 ? order : compare_ids(x->id, y->id);
}

static int compare_by_id(const void *a, const void *b)
{
    const struct model_rollout *const *x = a, *const *y = b;
    return compare_ids((*x)->id, (*y)->id);
}

bool rules_plan(struct rules_index *index, const struct store_rules *data)
{
    for (uint32_t i = 0; i < data->rollout_count; i++) {
        index->rollouts_by_id[i] = &data->rollouts[i];
        index->plan_count = i + 1; /* half a plan is freed too */
        if (!rollout_compile(&index->plans[i], &data->rollouts[i])) return false;
    }
    if (data->rollout_count > 0)
        qsort(index->rollouts_by_id, data->rollout_count, sizeof *index->rollouts_by_id, compare_by_id);
    return true;
}

const struct rollout_plan *rules_rollout_of(const struct rules *rules, int64_t release_id)
{
    uint32_t low = 0, high = rules->index->plan_count;
    while (low < high) { /* the first behind the release; the one before it is the release's last */
        uint32_t middle = low + (high - low) / 2;
        if (rules->index->plans[middle].rollout->release_id <= release_id)
            low = middle + 1;
        else
            high = middle;
    }
    const struct rollout_plan *plan = low > 0 ? &rules->index->plans[low - 1] : NULL;
    return plan != NULL && plan->rollout->release_id == release_id ? plan : NULL;
}

void rules_plan_releases(struct rules *rules)
{
    for (uint32_t i = 0; i < rules->data.release_count; i++)
        rules->index->plan_of[i] = rules_rollout_of(rules, rules->data.releases[i].id);
}

const struct rollout_plan *rules_rollout_for(const struct rules *rules, const struct model_release *release)
{
    uintptr_t first = (uintptr_t)rules->data.releases, at = (uintptr_t)release;
    if (at < first || at >= first + rules->data.release_count * sizeof *release)
        return rules_rollout_of(rules, release->id);
    return rules->index->plan_of[release - rules->data.releases];
}

const struct model_rollout *rules_rollout(const struct rules *rules, int64_t rollout_id)
{
    uint32_t low = 0, high = rules->index->plan_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const struct model_rollout *rollout = rules->index->rollouts_by_id[middle];
        if (rollout->id == rollout_id) return rollout;
        if (rollout->id < rollout_id)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

void rules_count_by(struct rules *rules, const struct rollout_table *table)
{
    rules->index->table = table;
}

void rules_share(struct rules *rules)
{
    rules->index->shared = true;
}

bool rules_shared(const struct rules *rules)
{
    return rules->index->shared;
}

const struct rollout_table *rules_counts(const struct rules *rules)
{
    return rules->index->table;
}
