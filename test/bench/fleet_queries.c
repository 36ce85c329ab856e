/* fleet_queries.c - what the questions of people cost: lists and counts of a fleet, asked as the server asks them, and the CPU of the
 * thread that answers. Must never ask the socket: what the network costs is another figure. */
#include "fleet.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "test/devices_hooks.h"

#define ROUNDS  7
#define PREVIEW "rollout-preview"

static const struct {
    const char *name, *path, *query; /* of a preview, which changes nothing: the body of its POST */
} questions[] = {
    {"list", "devices", "limit=100"},
    {"list_far", "devices", "limit=100&after=5c80"},
    {"list_product", "devices", "product=bench"},
    {"list_reason_none", "devices", "reason=crashed"},
    {"list_tag", "devices", "filter=tag%3Dwave3"},
    {"list_tag_none", "devices", "filter=tag%3Dnone"},
    {"list_tags_attribute", "devices", "filter=tag%3Dbatch7%20and%20tag%3Dwave3%20and%20attr.floor%3Df11"},
    {"list_tags_attribute_far", "devices",
     "filter=tag%3Dbatch7%20and%20tag%3Dwave3%20and%20attr.floor%3Df11&after=5c80"},
    {"list_not_tag_attributes", "devices",
     "filter=not%20tag~wave*%20or%20attr.site%3Ds4%20and%20attr.lang%3Dl3%20and%20attr.plan%3Dp0"},
    {"list_attribute_order", "devices", "filter=attr.site>s4980"},
    {"list_channel_group", "devices", "filter=channel%3Dbeta%20or%20group%3Dhall"},
    {"list_state_version", "devices", "filter=state%3Dfailed%20and%20version~2017*"},
    {"list_seen", "devices", "filter=seen<1h"},
    {"list_known", "devices", "filter=known<1h%20and%20tag%3Dwave3"},
    {"list_id_part", "devices", "q=c4f19"},
    {"list_address_part", "devices", "q=10.11.49.41"},
    {"list_part_none", "devices", "q=zebra"},
    {"list_part_frequent", "devices", "q=0.1"},
    {"list_part_tag", "devices", "q=c4f1&filter=tag%3Dwave3"},
    {"list_id_glob", "devices", "filter=id~*c4f19*"},
    {"list_address_glob", "devices", "filter=address~10.11.49.4?"},
    {"counts", "device-counts", "by=version"},
    {"counts_tag", "device-counts", "by=version&filter=tag%3Dwave3"},
    {"counts_tag_attribute", "device-counts", "by=version&filter=tag%3Dwave3%20and%20attr.site%3Ds4"},
    {"counts_seen", "device-counts", "by=state&filter=seen>30d"},
    {"counts_product", "device-counts", "by=state&filter=product%3Dbench"},
    {"overview", "overview", ""},
    {"status", "status", ""},
    {"groups", "groups", ""},
    {"preview_percent", PREVIEW,
     "{\"release\":1,\"phases\":[{\"percent\":1},{\"percent\":10},{\"percent\":100}]}"},
    {"preview_target", PREVIEW, "{\"release\":1,\"target\":\"tag = wave3 and attr.site = s4\"}"},
    {"preview_canary", PREVIEW,
     "{\"release\":1,\"target\":\"not tag = batch7\",\"phases\":[{\"filter\":\"tag = "
     "wave3\"},{\"percent\":10},{\"percent\":100}]}"},
};

static void count_devices(void *ctx, struct api_device_counts *out)
{
    struct devices_stats stats;
    devices_stats(ctx, &stats);
    *out = (struct api_device_counts){stats.count, stats.unassigned, stats.held, stats.updated, stats.failed};
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double cost_ms(const struct api *api, const char *path, const char *query)
{
    double times[ROUNDS];
    char whole[64];
    snprintf(whole, sizeof whole, "/api/v1/%s", path);
    for (int i = 0; i < ROUNDS; i++) {
        struct api_response response;
        struct api_request request = {
            .method = "GET", .path = whole, .query = query, .trusted = true, .body = ""};
        if (strcmp(path, PREVIEW) == 0) {
            request.method = "POST";
            request.query = "";
            request.body = query;
            request.body_len = strlen(query);
        }
        const double before = thread_cpu();
        api_handle(api, &request, &response);
        times[i] = 1e3 * (thread_cpu() - before);
        need(response.status == 200, query);
        free(response.body);
    }
    qsort(times, ROUNDS, sizeof times[0], compare);
    return times[ROUNDS / 2];
}

void fleet_queries(const char *dir, const char *url)
{
    struct store *store = fleet_store(dir, url, false);
    struct devices *devices;
    need(devices_open(&devices, store, NULL) == 0, "load the devices");
    const struct api api = {.store = store,
                            .hooks = {.ctx = devices,
                                      .census = hooks_census,
                                      .find_ids = hooks_find_ids,
                                      .each_meant = hooks_each_meant,
                                      .device_now = hooks_device_now,
                                      .count_devices = count_devices,
                                      .rollouts = devices_rollouts(devices)}};
    for (size_t i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        printf("%s %.2f\n", questions[i].name, cost_ms(&api, questions[i].path, questions[i].query));
        fflush(stdout);
    }
    devices_close(devices);
    store_close(store);
}
