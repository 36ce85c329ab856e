/* nodes_rig.h - two servers on one PostgreSQL, by the store alone: for the tests of several servers. */
#ifndef MOLT_TEST_NODES_RIG_H
#define MOLT_TEST_NODES_RIG_H

#include "postgres.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/store/nodes.h"
#include "molt_reason.h"

static struct postgres cluster;

struct rig {
    struct temp_dir dirs[2], shared;
    char schema[16], url[320];
    struct store *a, *b;
};

static inline int begin(void **state)
{
    (void)state;
    postgres_make(&cluster);
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    postgres_remove(&cluster);
    return 0;
}

static inline struct store_place place_of(const struct rig *rig, int which, const char *node)
{
    return (struct store_place){.data_dir = rig->dirs[which].path,
                                .url = rig->url,
                                .create = true,
                                .artifacts = node != NULL ? rig->shared.path : NULL,
                                .node = node};
}

static inline struct store *open_node(const struct rig *rig, int which, const char *node)
{
    const struct store_place place = place_of(rig, which, node);
    struct store *store;
    char err[256];
    if (store_open_place(&place, &store, err, sizeof err) != 0) fail_msg("%s", err);
    return store;
}

static inline int set_up(void **state)
{
    static int number;
    struct rig *rig = calloc(1, sizeof *rig);
    assert_non_null(rig);
    temp_dir_make(&rig->dirs[0]);
    temp_dir_make(&rig->dirs[1]);
    temp_dir_make(&rig->shared);
    snprintf(rig->schema, sizeof rig->schema, "nodes%d", ++number);
    postgres_url(&cluster, rig->schema, rig->url, sizeof rig->url);
    rig->a = open_node(rig, 0, "a");
    rig->b = open_node(rig, 1, "b");
    *state = rig;
    return 0;
}

static inline int tear_down(void **state)
{
    struct rig *rig = *state;
    store_close(rig->a);
    store_close(rig->b);
    temp_dir_remove(&rig->dirs[0]);
    temp_dir_remove(&rig->dirs[1]);
    temp_dir_remove(&rig->shared);
    free(rig);
    return 0;
}

static inline void sql(const struct rig *rig, const char *text)
{
    postgres_run(&cluster, rig->schema, text);
}

#endif
