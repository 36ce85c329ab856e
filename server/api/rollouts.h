/* rollouts.h - private to server/api: the body of a new rollout, and where the counts of rollouts are. */
#ifndef MOLT_SERVER_API_ROLLOUTS_H
#define MOLT_SERVER_API_ROLLOUTS_H

#include "call.h"

/* The counts for one call. */
struct api_counts {
    const struct rollout_table *table;
    struct rollout_table *owned; /* NULL: the server's */
};
/* False after replying; else api_counts_end() is due. */
bool api_counts_begin(struct api_call *call, struct api_counts *counts);
void api_counts_end(struct api_counts *counts);

/* "never", "pinned", "allowed"; "never" for the default. */
const char *api_downgrade_name(enum model_downgrade rule);
/* One of them in a text field, left alone when it is absent. False after replying 400. */
bool api_body_downgrade(struct api_call *call, const json_t *body, enum model_downgrade *out);

/* Reads the body into a new rollout, its defaults filled in. False after replying 400. */
bool api_rollout_body(struct api_call *call, struct model_rollout *rollout);

#endif
