/* bulk.h - sets many devices at once. Private to server/api. */
#ifndef MOLT_SERVER_API_BULK_H
#define MOLT_SERVER_API_BULK_H

#include "call.h"

struct bulk_setting {
    char id[MODEL_ID_LEN];
    const json_t *body; /* fields as PATCH /devices/{id} takes them; borrowed */
    bool make;          /* a device that is not there is made */
};
/* Sets them, a thousand in a transaction: all of a chunk, or, after a refusal, none of it and of none behind it. False after replying. */
bool bulk_set(struct api_call *call, struct bulk_setting *settings, size_t count);

#endif
