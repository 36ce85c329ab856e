/* devices_search.h - is a part in the id or the address of a device, whatever the case of letters: asked of many rows together, whose texts
 * are written side by side and read through once. */
#ifndef MOLT_SERVER_DEVICES_SEARCH_H
#define MOLT_SERVER_DEVICES_SEARCH_H

#include "device_row.h"

#define SEARCH_ROWS 32u

struct search;

/* NULL: memory is short. */
struct search *search_new(const struct device_pools *pools, const char *part);
void search_free(struct search *search);
/* The row must stay as it is until search_find(). True: it must come next, there is no more room. */
bool search_add(struct search *search, const struct device_row *row);
/* Those of the rows so far in which the part is, in their order; forgets them all. */
uint32_t search_find(struct search *search, const struct device_row *out[SEARCH_ROWS]);

#endif
