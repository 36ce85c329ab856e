/* sampler.h - one thread that notes, each minute and each hour, what the plots show: trends.h. */
#ifndef MOLT_SERVER_SAMPLER_H
#define MOLT_SERVER_SAMPLER_H

#include "../decide/rules.h"
#include "../devices.h"
#include "../net/http_server.h"
#include "trends.h"

struct sampler;

struct sampler_parts {
    struct trends *trends;
    struct devices *devices;
    struct rules_holder *rules;
    struct http_server *http;
    const char *data_dir;      /* where the file of the trends is */
    void (*hourly)(void *ctx); /* called each hour, and at the start; NULL: nothing */
    void *hourly_ctx;
};

/* Loads the file and begins. 0, or -MOLT_NO_MEMORY. */
int sampler_start(struct sampler **out, const struct sampler_parts *parts);
/* Notes once more, writes the file, ends. NULL is allowed. */
void sampler_stop(struct sampler *sampler);

#endif
