/* trends.c - the points of plots in fixed arrays, and their file. Must never grow with what devices say, nor trust the file.
 * Tests: test/unit/trends_test.c. */
#include "trends.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rates {
    uint32_t count;
    int64_t times[TRENDS_MINUTES];
    double requests[TRENDS_MINUTES], bytes[TRENDS_MINUTES];
};

struct share {
    char product[MODEL_NAME_LEN], version[MODEL_NAME_LEN];
    bool used;
    uint32_t counts[TRENDS_HOURS];
};

struct progress {
    int64_t rollout_id, times[TRENDS_POINTS];
    uint32_t count, every, skipped;
    uint32_t values[3][TRENDS_POINTS]; /* offered, succeeded, failed */
};

struct trends {
    pthread_mutex_t lock;
    struct rates rates;
    uint32_t hours;
    int64_t times[TRENDS_HOURS];
    struct share shares[TRENDS_VERSIONS];
    struct progress rollouts[TRENDS_ROLLOUTS];
};

static const char *const progress_names[3] = {"offered", "succeeded", "failed"};

struct trends *trends_new(void)
{
    struct trends *trends = calloc(1, sizeof *trends);
    if (trends != NULL) pthread_mutex_init(&trends->lock, NULL);
    return trends;
}

void trends_free(struct trends *trends)
{
    if (trends == NULL) return;
    pthread_mutex_destroy(&trends->lock);
    free(trends);
}

/* ---- notes ---- */

void trends_rates(struct trends *trends, int64_t now_ms, double requests, double bytes)
{
    pthread_mutex_lock(&trends->lock);
    struct rates *rates = &trends->rates;
    if (rates->count == TRENDS_MINUTES) {
        rates->count--;
        memmove(rates->times, rates->times + 1, rates->count * sizeof rates->times[0]);
        memmove(rates->requests, rates->requests + 1, rates->count * sizeof rates->requests[0]);
        memmove(rates->bytes, rates->bytes + 1, rates->count * sizeof rates->bytes[0]);
    }
    rates->times[rates->count] = now_ms;
    rates->requests[rates->count] = requests;
    rates->bytes[rates->count++] = bytes;
    pthread_mutex_unlock(&trends->lock);
}

static int64_t last_time(const struct progress *progress)
{
    return progress->count > 0 ? progress->times[progress->count - 1] : 0;
}

/* The lock is held. */
static struct progress *progress_of(struct trends *trends, int64_t rollout_id)
{
    struct progress *oldest = &trends->rollouts[0];
    for (size_t i = 0; i < TRENDS_ROLLOUTS; i++) {
        struct progress *progress = &trends->rollouts[i];
        if (progress->rollout_id == rollout_id) return progress;
        if (last_time(progress) < last_time(oldest)) oldest = progress;
    }
    memset(oldest, 0, sizeof *oldest);
    oldest->rollout_id = rollout_id;
    oldest->every = 1;
    return oldest;
}

static void halve(struct progress *progress)
{
    for (uint32_t i = 0; i < TRENDS_POINTS / 2; i++) {
        progress->times[i] = progress->times[2 * i];
        for (size_t v = 0; v < 3; v++)
            progress->values[v][i] = progress->values[v][2 * i];
    }
    progress->count = TRENDS_POINTS / 2;
    progress->every *= 2;
}

void trends_rollout(struct trends *trends, int64_t now_ms, int64_t rollout_id, uint32_t offered,
                    uint32_t succeeded, uint32_t failed)
{
    pthread_mutex_lock(&trends->lock);
    struct progress *progress = progress_of(trends, rollout_id);
    if (progress->count == 0 || ++progress->skipped >= progress->every) {
        progress->skipped = 0;
        if (progress->count == TRENDS_POINTS) halve(progress);
        progress->times[progress->count] = now_ms;
        progress->values[0][progress->count] = offered;
        progress->values[1][progress->count] = succeeded;
        progress->values[2][progress->count++] = failed;
    }
    pthread_mutex_unlock(&trends->lock);
}

void trends_versions_begin(struct trends *trends, int64_t now_ms)
{
    pthread_mutex_lock(&trends->lock);
    if (trends->hours == TRENDS_HOURS) {
        trends->hours--;
        memmove(trends->times, trends->times + 1, trends->hours * sizeof trends->times[0]);
        for (size_t i = 0; i < TRENDS_VERSIONS; i++)
            memmove(trends->shares[i].counts, trends->shares[i].counts + 1, trends->hours * sizeof(uint32_t));
    }
    trends->times[trends->hours] = now_ms;
    for (size_t i = 0; i < TRENDS_VERSIONS; i++)
        trends->shares[i].counts[trends->hours] = 0;
}

void trends_version(struct trends *trends, const char *product, const char *version, uint64_t count)
{
    struct share *share = NULL, *rarest = NULL;
    const uint32_t now = trends->hours, before = now > 0 ? now - 1 : 0;
    for (size_t i = 0; i < TRENDS_VERSIONS; i++) {
        struct share *one = &trends->shares[i];
        if (one->used && strcmp(one->product, product) == 0 && strcmp(one->version, version) == 0)
            share = one;
        if (rarest == NULL || (!one->used && rarest->used) ||
            (one->used == rarest->used && one->counts[now] + (uint64_t)one->counts[before] <
                                              rarest->counts[now] + (uint64_t)rarest->counts[before]))
            rarest = one;
    }
    if (share == NULL && rarest != NULL && (!rarest->used || rarest->counts[now] < count)) {
        share = rarest;
        memset(share, 0, sizeof *share);
        (void)snprintf(share->product, sizeof share->product, "%s", product);
        (void)snprintf(share->version, sizeof share->version, "%s", version);
        share->used = true;
    }
    if (share != NULL) share->counts[now] = count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
}

void trends_versions_end(struct trends *trends)
{
    trends->hours++;
    pthread_mutex_unlock(&trends->lock);
}

/* ---- as JSON ---- */

static json_t *times_json(const int64_t *times, uint32_t count)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(list, json_integer(times[i]));
    return list;
}

static json_t *numbers_json(const uint32_t *numbers, uint32_t count)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(list, json_integer(numbers[i]));
    return list;
}

static json_t *reals_json(const double *reals, uint32_t count)
{
    json_t *list = json_array();
    for (uint32_t i = 0; i < count; i++)
        json_array_append_new(list, json_real(reals[i]));
    return list;
}

static json_t *text_json(const char *text)
{
    json_t *json = text[0] != '\0' ? json_string(text) : json_null();
    return json != NULL ? json : json_null();
}

/* The lock is held. */
static json_t *all_json(const struct trends *trends)
{
    json_t *series = json_array();
    for (size_t i = 0; i < TRENDS_VERSIONS; i++) {
        const struct share *share = &trends->shares[i];
        if (share->used)
            json_array_append_new(series, json_pack("{s:o, s:o, s:o}", "product", text_json(share->product),
                                                    "version", text_json(share->version), "counts",
                                                    numbers_json(share->counts, trends->hours)));
    }
    const struct rates *rates = &trends->rates;
    return json_pack("{s:{s:o, s:o, s:o}, s:{s:o, s:o}}", "rates", "times_ms",
                     times_json(rates->times, rates->count), "requests",
                     reals_json(rates->requests, rates->count), "bytes",
                     reals_json(rates->bytes, rates->count), "shares", "times_ms",
                     times_json(trends->times, trends->hours), "series", series);
}

static json_t *progress_json(const struct progress *progress)
{
    json_t *json = json_pack("{s:o}", "times_ms", times_json(progress->times, progress->count));
    for (size_t v = 0; v < 3 && json != NULL; v++)
        json_object_set_new(json, progress_names[v], numbers_json(progress->values[v], progress->count));
    return json;
}

json_t *trends_json(struct trends *trends)
{
    pthread_mutex_lock(&trends->lock);
    json_t *json = all_json(trends);
    pthread_mutex_unlock(&trends->lock);
    return json;
}

json_t *trends_progress_json(struct trends *trends, int64_t rollout_id)
{
    static const struct progress none;
    const struct progress *found = &none;
    pthread_mutex_lock(&trends->lock);
    for (size_t i = 0; i < TRENDS_ROLLOUTS; i++)
        if (rollout_id != 0 && trends->rollouts[i].rollout_id == rollout_id) found = &trends->rollouts[i];
    json_t *json = progress_json(found);
    pthread_mutex_unlock(&trends->lock);
    return json;
}

/* ---- the file ---- */

bool trends_save(struct trends *trends, const char *path)
{
    char next[4200];
    if (snprintf(next, sizeof next, "%s.new", path) >= (int)sizeof next) return false;
    pthread_mutex_lock(&trends->lock);
    json_t *json = all_json(trends), *rollouts = json_array();
    for (size_t i = 0; i < TRENDS_ROLLOUTS; i++) {
        const struct progress *progress = &trends->rollouts[i];
        if (progress->rollout_id == 0) continue;
        json_t *one = progress_json(progress);
        json_object_set_new(one, "rollout", json_integer(progress->rollout_id));
        json_object_set_new(one, "every", json_integer(progress->every));
        json_array_append_new(rollouts, one);
    }
    pthread_mutex_unlock(&trends->lock);
    json_object_set_new(json, "rollouts", rollouts);
    bool good = json != NULL && json_dump_file(json, next, JSON_COMPACT) == 0 && rename(next, path) == 0;
    json_decref(json);
    return good;
}

static uint32_t read_times(const json_t *list, int64_t *times, uint32_t max)
{
    uint32_t count = 0;
    for (size_t i = 0; i < json_array_size(list) && count < max; i++)
        times[count++] = json_integer_value(json_array_get(list, i));
    return count;
}

static uint32_t read_number(const json_t *list, size_t i)
{
    json_int_t number = json_integer_value(json_array_get(list, i));
    return number > 0 && number <= UINT32_MAX ? (uint32_t)number : 0;
}

static double read_real(const json_t *list, size_t i)
{
    double real = json_number_value(json_array_get(list, i));
    return real > 0 && real < 1e15 ? real : 0;
}

static void read_text(const json_t *json, char text[MODEL_NAME_LEN])
{
    const char *value = json_string_value(json);
    (void)snprintf(text, MODEL_NAME_LEN, "%s", value != NULL ? value : "");
}

static void read_shares(struct trends *trends, const json_t *shares)
{
    const json_t *series = json_object_get(shares, "series");
    trends->hours = read_times(json_object_get(shares, "times_ms"), trends->times, TRENDS_HOURS);
    for (size_t i = 0; i < json_array_size(series) && i < TRENDS_VERSIONS; i++) {
        const json_t *one = json_array_get(series, i);
        struct share *share = &trends->shares[i];
        share->used = true;
        read_text(json_object_get(one, "product"), share->product);
        read_text(json_object_get(one, "version"), share->version);
        for (uint32_t h = 0; h < trends->hours; h++)
            share->counts[h] = read_number(json_object_get(one, "counts"), h);
    }
}

static void read_progress(struct progress *progress, const json_t *one)
{
    uint32_t every = (uint32_t)json_integer_value(json_object_get(one, "every"));
    progress->rollout_id = json_integer_value(json_object_get(one, "rollout"));
    progress->every = every > 0 ? every : 1;
    progress->count = read_times(json_object_get(one, "times_ms"), progress->times, TRENDS_POINTS);
    for (size_t v = 0; v < 3; v++)
        for (uint32_t i = 0; i < progress->count; i++)
            progress->values[v][i] = read_number(json_object_get(one, progress_names[v]), i);
}

bool trends_load(struct trends *trends, const char *path)
{
    json_t *json = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    if (json == NULL) return false;
    const json_t *rates = json_object_get(json, "rates"), *rollouts = json_object_get(json, "rollouts");
    pthread_mutex_lock(&trends->lock);
    trends->rates.count = read_times(json_object_get(rates, "times_ms"), trends->rates.times, TRENDS_MINUTES);
    for (uint32_t i = 0; i < trends->rates.count; i++) {
        trends->rates.requests[i] = read_real(json_object_get(rates, "requests"), i);
        trends->rates.bytes[i] = read_real(json_object_get(rates, "bytes"), i);
    }
    read_shares(trends, json_object_get(json, "shares"));
    for (size_t i = 0; i < json_array_size(rollouts) && i < TRENDS_ROLLOUTS; i++)
        read_progress(&trends->rollouts[i], json_array_get(rollouts, i));
    pthread_mutex_unlock(&trends->lock);
    json_decref(json);
    return true;
}
