/* trends.h - how things went lately, for plots: requests by the minute, versions by the hour, rollouts by the minute. Bounded
 * memory; kept over restarts in one file of the data folder. Thread-safe. Tests: test/unit/trends_test.c. */
#ifndef MOLT_SERVER_TRENDS_H
#define MOLT_SERVER_TRENDS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/model.h"

#define TRENDS_MINUTES  720 /* half a day of requests */
#define TRENDS_HOURS    720 /* thirty days of versions */
#define TRENDS_VERSIONS 24  /* product and version; the rarest gives way */
#define TRENDS_ROLLOUTS 32  /* the one not noted for the longest gives way */
/* of a rollout; when they are full every other one goes, and they come half as often */
#define TRENDS_POINTS 240

struct trends;

struct trends *trends_new(void); /* NULL: memory is short */
void trends_free(struct trends *trends);
/* From and to a file. False: it is not there, or not ours (then nothing was loaded); it could not be written. */
bool trends_load(struct trends *trends, const char *path);
bool trends_save(struct trends *trends, const char *path);

/* requests, bytes: of the time since the last call, per second. */
void trends_rates(struct trends *trends, int64_t now_ms, double requests, double bytes);
void trends_rollout(struct trends *trends, int64_t now_ms, int64_t rollout_id, uint32_t offered,
                    uint32_t succeeded, uint32_t failed);
/* The counts of all versions now, between begin and end; what is not named has 0 devices. */
void trends_versions_begin(struct trends *trends, int64_t now_ms);
void trends_version(struct trends *trends, const char *product, const char *version, uint64_t count);
void trends_versions_end(struct trends *trends);

/* As the API answers. NULL: memory is short. */
json_t *trends_json(struct trends *trends);
json_t *trends_progress_json(struct trends *trends, int64_t rollout_id);

#endif
