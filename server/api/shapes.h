/* shapes.h - the JSON of the things of model.h and facts.h: the same in the API and in `molt ... --json`.
 * Each function returns a new reference, or NULL when memory is short. Described in openapi.json. */
#ifndef MOLT_SERVER_API_SHAPES_H
#define MOLT_SERVER_API_SHAPES_H

#include <jansson.h>

#include "host/facts.h"
#include "host/model.h"
#include "host/store/store.h"

/* "" in a text becomes null, and so do bytes that are not UTF-8. */
json_t *shape_text(const char *text);
/* Lower-case hex digits. len: at most 64 bytes. */
json_t *shape_hex(const uint8_t *bytes, size_t len);
/* {"id":"wrong-chip","number":33,"who":"operator","sentence":"..."}, null for 0. */
json_t *shape_reason(int reason);

json_t *shape_image(const struct model_image *image);
/* product: its name, "" when not known. */
json_t *shape_release(const struct model_release *release, const char *product);
/* Where it stands, and how the last one that ended did so. */
json_t *shape_attempt(const struct model_device *device);
json_t *shape_device(const struct model_device *device, const char *product);
json_t *shape_facts(const struct facts *facts);

/* The name of a product by its id, "" when rules has none. */
const char *shape_product_name(const struct store_rules *rules, int64_t product_id);

#endif
