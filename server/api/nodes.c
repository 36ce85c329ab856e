/* nodes.c - GET /nodes, DELETE /nodes/{id}: the servers that share the store. Must never forget one that lives.
 * Tests: test/unit/api_nodes_test.c, test/e2e/nodes/promises_test.py. */
#include "call.h"
#include "shapes.h"

#include "host/store/nodes.h"

static int list_row(void *ctx, const struct store_node *node)
{
    const int64_t behind_ms = node->now_ms > node->seen_ms ? node->now_ms - node->seen_ms : 0;
    json_array_append_new(ctx, json_pack("{s:s, s:b, s:b, s:I, s:I, s:I, s:I, s:I, s:s, s:I}", "name",
                                         node->name, "live", node->live, "leads", node->leads, "epoch",
                                         (json_int_t)node->epoch, "started_ms", (json_int_t)node->started_ms,
                                         "seen_ms", (json_int_t)node->seen_ms, "behind_ms",
                                         (json_int_t)behind_ms, "generation", (json_int_t)node->generation,
                                         "version", node->version, "schema", (json_int_t)node->schema));
    return 0;
}

void api_nodes_list(struct api_call *call)
{
    json_t *list = json_array();
    int rc = store_each_node(call->api->store, list_row, list);
    if (rc < 0) {
        json_decref(list);
        api_refuse_store(call, rc, "");
        return;
    }
    api_reply(call, 200, json_pack("{s:o}", "nodes", list));
}

void api_node_delete(struct api_call *call)
{
    int rc = store_node_forget(call->api->store, call->id);
    if (rc < 0)
        api_refuse_store(call, rc, store_error(call->api->store));
    else
        api_reply(call, 200, json_pack("{s:s}", "deleted", call->id));
}
