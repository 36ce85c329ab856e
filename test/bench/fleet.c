/* fleet.c - bench-fleet: fills a store with devices, measures the device table and the decision in this process, and asks
 * a server at a fixed rate (fleet_load.c). test/bench/fleet drives it and says what the figures mean.
 *
 *     bench-fleet make DIR DEVICES [URL]   a store with devices and one product of eight releases; URL: in PostgreSQL
 *     bench-fleet start DIR [URL]          start-up of the device table
 *     bench-fleet table DIR [URL]          start-up, memory, and what a poll costs
 *     bench-fleet results DIR [URL]        results: appended durably, and folded (fleet_results.c)
 *     bench-fleet queries DIR [URL]        what lists and counts cost, in ms of CPU (fleet_queries.c)
 *     bench-fleet products              what a decision costs with 1 to 1,000 products of eight rollouts each
 *     bench-fleet load PORT RATE SECONDS DEVICES */
#include "fleet.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/attempt/attempt.h"
#include "server/devices.h"
#include "server/decide/rules.h"

#define ROLLOUTS 8
#define BATCH    10000
#define VISITS   1000000
#define FIRST_MS 1700000000000
#define CODE     2017102500u

void need(bool truth, const char *what)
{
    if (truth) return;
    fprintf(stderr, "bench-fleet: cannot %s\n", what);
    exit(1);
}

double thread_cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double process_cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

double wall(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double resident_mb(void)
{
    char line[128];
    double kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (strncmp(line, "VmRSS:", 6) == 0) kb = atof(line + 6);
    if (f != NULL) fclose(f);
    return kb / 1024;
}

static uint32_t mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x7FEB352Du;
    x ^= x >> 15;
    x *= 0x846CA68Bu;
    return x ^ x >> 16;
}

void fleet_id(uint32_t number, char id[13])
{
    snprintf(id, 13, "5c%02x%08x", mix(number + 7) & 0xFC,
             mix(number)); /* mix() maps no two numbers to one */
}

/* Of a device that lives: sizes, core and version as ESPhttpUpdate says them, an address of its own, 2 tags, 6 attributes. */
static void fill(struct model_device *device, uint32_t number, int64_t product, uint32_t running)
{
    static const char *const cores[] = {"2.2.2-dev(38a443e)", "3.0.5", "2.2.1(cfd48f3)"};
    uint32_t r = mix(number ^ 0x5EED);
    memset(device, 0, sizeof *device);
    fleet_id(number, device->id);
    device->product_id = product;
    device->chip = MOLT_CHIP_ESP8266;
    device->chip_source = MODEL_CHIP_SAID;
    device->client = MODEL_CLIENT_ESP8266;
    device->flash_size = 4 << 20;
    device->fs_start = 3 << 20;
    device->sketch_size = 405504 + 16 * (r % 5);
    device->free_space = (3 << 20) - 409600;
    device->running_code = running;
    snprintf(device->core, sizeof device->core, "%s", cores[r % 3]);
    snprintf(device->running_version, sizeof device->running_version, "%u", (unsigned)running);
    snprintf(device->address, sizeof device->address, "10.%u.%u.%u", number >> 16 & 255, number >> 8 & 255,
             number & 255);
    device->first_seen_ms = FIRST_MS + number;
    device->last_seen_ms = FIRST_MS + 1000000 + r % 300000;
    device->last_reason = MOLT_UP_TO_DATE;
    device->last_reason_ms = FIRST_MS + 500000 + r % 100000;
    snprintf(device->tags, sizeof device->tags, "batch%u wave%u", r % 50, r / 64 % 8);
    snprintf(device->attributes, sizeof device->attributes,
             "board=d1mini floor=f%u hw=rev%u lang=l%u plan=p%u site=s%u", r / 512 % 20, r / 8 % 4,
             r / 32 % 12, r / 128 % 3, mix(r) % 500);
}

/* ---- make ---- */

struct store *fleet_store(const char *dir, const char *url, bool create)
{
    const struct store_place place = {.data_dir = dir, .url = url, .create = create};
    struct store *store;
    char err[256];
    need(store_open_place(&place, &store, err, sizeof err) == 0, err);
    return store;
}

static void make(const char *dir, uint32_t count, const char *url)
{
    static struct model_device batch[BATCH];
    struct store *store = fleet_store(dir, url, true);
    for (uint32_t i = 0; i < ROLLOUTS; i++) {
        struct model_image image = {.chip = MOLT_CHIP_ESP8266, .max_revision = 0xFFFF};
        char bytes[16], version[16];
        int64_t release;
        int len = snprintf(bytes, sizeof bytes, "image %u", (unsigned)i);
        snprintf(version, sizeof version, "%u", (unsigned)(CODE + i));
        need(store_artifact_put(store, bytes, (size_t)len, &image.raw) == 0, "store an image");
        memset(image.digest, (int)i + 1, sizeof image.digest);
        need(store_publish(store, "bench", version, CODE + i, "stable", false, &image, &release) == 0,
             "publish");
    }
    struct model_product product;
    need(store_product_find(store, "bench", &product) == 0, "find the product");
    for (uint32_t at = 0; at < count;) {
        size_t n = 0;
        for (; n < BATCH && at < count; n++, at++)
            fill(&batch[n], at, product.id, CODE + ROLLOUTS - 1);
        need(store_save_devices(store, batch, n) == 0, "save devices");
    }
    store_close(store);
}

/* ---- rules by hand ---- */

static void *zeroed(size_t count, size_t size)
{
    void *p = calloc(count, size);
    need(p != NULL, "get memory");
    return p;
}

/* products of eight releases, each with a rollout to one device of a hundred (or rollouts 0: none has one): the newest that the
 * device may have is looked for through all of them, which is the worst case. */
static struct rules *rules_of(uint32_t products, uint32_t rollouts)
{
    struct store_rules data = {.generation = 1,
                               .product_count = products,
                               .release_count = products * ROLLOUTS,
                               .rollout_count = products * rollouts};
    data.products = zeroed(products, sizeof *data.products);
    data.releases = zeroed(data.release_count, sizeof *data.releases);
    data.rollouts = zeroed(data.release_count, sizeof *data.rollouts);
    for (uint32_t i = 0; i < data.release_count; i++) {
        struct model_product *product = &data.products[i / ROLLOUTS];
        struct model_release *release = &data.releases[i];
        struct model_rollout *rollout = &data.rollouts[i];
        product->id = i / ROLLOUTS + 1;
        snprintf(product->name, sizeof product->name, "product%u", i / ROLLOUTS);
        *release = (struct model_release){.id = i + 1,
                                          .product_id = product->id,
                                          .code = CODE + ROLLOUTS - i % ROLLOUTS,
                                          .version = "1",
                                          .channel = MODEL_CHANNEL_DEFAULT,
                                          .image_count = 1};
        release->images = zeroed(1, sizeof *release->images);
        *release->images = (struct model_image){.id = i + 1,
                                                .release_id = release->id,
                                                .chip = MOLT_CHIP_ESP8266,
                                                .max_revision = 0xFFFF,
                                                .raw = {.len = 400000}};
        memcpy(release->images->digest, &i, sizeof i);
        memcpy(release->images->raw.sha256, &i, sizeof i);
        *rollout = (struct model_rollout){.id = i + 1,
                                          .product_id = product->id,
                                          .release_id = release->id,
                                          .status = MODEL_ROLLOUT_RUNNING,
                                          .phase_count = 1,
                                          .success_count = 1000000,
                                          .phases = {{.percent = 100, .filter = "site = s7 or tag = wave3"}}};
    }
    struct rules *rules = rules_build(&data);
    need(rules != NULL, "build the rules");
    return rules;
}

/* ---- what a poll costs ---- */

struct poll {
    const struct rules *rules;
    struct attempt_contact contact;
    int64_t now_ms;
    uint64_t sum; /* so that nothing is optimised away */
};

static enum devices_change visit(void *ctx, struct model_device *device, bool is_new)
{
    struct poll *poll = ctx;
    struct decision decision;
    uint32_t code;
    (void)is_new;
    enum devices_change change =
        attempt_poll_version(poll->rules, device, &poll->contact, poll->now_ms, &decision, &code);
    poll->sum += code;
    return change;
}

/* As the server asks for the version file: what another device in the same state was told is told again. */
struct known_poll {
    struct poll *poll;
    struct devices_memo memo;
};

static enum devices_change visit_once(void *ctx, struct model_device *device, bool is_new)
{
    struct known_poll *asked = ctx;
    struct decision decision;
    (void)is_new;
    enum devices_change change = attempt_poll_version(asked->poll->rules, device, &asked->poll->contact,
                                                      asked->poll->now_ms, &decision, &asked->memo.code);
    asked->memo.keep = attempt_is_common(device, &decision);
    asked->memo.announces = asked->memo.code != 0;
    return change;
}

static bool ask(struct devices *devices, struct poll *poll, const char *id, bool known)
{
    if (!known) return devices_visit(devices, id, "10.0.0.1", ++poll->now_ms, visit, poll) == 0;
    struct known_poll asked = {.poll = poll, .memo = {.key = 2, .recent_ms = DECIDE_REMEMBERED_MS}};
    int rc =
        devices_visit_unless_known(devices, id, "10.0.0.1", ++poll->now_ms, &asked.memo, visit_once, &asked);
    poll->sum += asked.memo.code;
    return rc == 0;
}

static int collect(void *ctx, const struct model_device *device)
{
    (void)device;
    (*(uint32_t *)ctx)++;
    return 0;
}

/* Microseconds of CPU a visit, over devices taken in no order: its caches are cold, as they are in a fleet. The first
 * round is the warm-up in which rows settle. */
static double visit_us(struct devices *devices, struct poll *poll, uint32_t count, bool known)
{
    double best = 1e9;
    uint32_t visits = count < VISITS ? VISITS : count;
    char(*ids)[13] = zeroed(visits, sizeof *ids);
    for (uint32_t i = 0; i < visits; i++)
        fleet_id((uint32_t)((uint64_t)i * 2654435761u % count), ids[i]);
    for (int round = 0; round < 4; round++) {
        double before = thread_cpu();
        for (uint32_t i = 0; i < visits; i++)
            need(ask(devices, poll, ids[i], known), "visit");
        double us = 1e6 * (thread_cpu() - before) / visits;
        if (round > 0 && us < best) best = us;
    }
    free(ids);
    return best;
}

static void start(const char *dir, const char *url)
{
    struct store *store = fleet_store(dir, url, false);
    struct devices *devices;
    double began = wall(), busy = process_cpu();
    need(devices_open(&devices, store, NULL) == 0, "load the devices");
    printf("start_s %.3f\nstart_cpu_s %.3f\n", wall() - began, process_cpu() - busy);
    devices_close(devices);
    store_close(store);
}

static void table(const char *dir, const char *url)
{
    struct store *store = fleet_store(dir, url, false);
    struct devices *devices;
    struct devices_stats stats;
    uint32_t rows = 0;
    double bare = wall();
    need(store_load_devices(store, collect, &rows) == 0, "read the rows");
    double read = wall() - bare, before = resident_mb(), started = wall(), busy = process_cpu();
    need(devices_open(&devices, store, NULL) == 0, "load the devices");
    double start = wall() - started, start_cpu = process_cpu() - busy;
    malloc_trim(0);
    devices_stats(devices, &stats);
    printf("devices %u\nread_s %.3f\nstart_s %.3f\nstart_cpu_s %.3f\nresident_mb %.1f\ntable_bytes "
           "%.1f\nprocess_bytes %.1f\n",
           rows, read, start, start_cpu, resident_mb(), (double)stats.bytes / rows,
           (resident_mb() - before) * 1048576 / rows);
    struct poll poll = {.rules = rules_of(1, ROLLOUTS), .now_ms = FIRST_MS + 10000000};
    printf("visit_us %.4f\n", visit_us(devices, &poll, rows, false));
    poll.rules = rules_of(1, 0);
    printf("known_us %.4f\n", visit_us(devices, &poll, rows, true));
    fflush(stdout);
    _exit(0); /* not devices_close(): it would write a million rows, which is nobody's time here */
}

/* ---- what a decision costs ---- */

static void products(void)
{
    enum { FLEET = 1000, DECISIONS = 1000000 };
    struct model_device *fleet = zeroed(FLEET, sizeof *fleet);
    for (uint32_t count = 1; count <= 1000; count *= 10) {
        struct rules *rules = rules_of(count, ROLLOUTS);
        double best = 1e9;
        uint64_t sum = 0;
        for (uint32_t i = 0; i < FLEET; i++)
            fill(&fleet[i], i, 1 + i % count, CODE);
        for (int round = 0; round < 4; round++) {
            double before = thread_cpu();
            for (uint32_t i = 0; i < DECISIONS; i++) {
                struct decide_ask ask = {.bare = true};
                struct decision decision;
                decide(rules, &fleet[i % FLEET], &ask, FIRST_MS + 10000000, &decision);
                sum += (uint64_t)decision.reason;
            }
            double us = 1e6 * (thread_cpu() - before) / DECISIONS;
            if (round > 0 && us < best) best = us;
        }
        need(sum != 0, "decide");
        printf("decide_us_%u %.4f\n", (unsigned)count, best);
        rules_destroy(rules);
    }
    free(fleet);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "make") == 0 && (argc == 4 || argc == 5))
        make(argv[2], (uint32_t)atoi(argv[3]), argv[4]);
    else if (strcmp(what, "start") == 0 && (argc == 3 || argc == 4))
        start(argv[2], argv[3]);
    else if (strcmp(what, "table") == 0 && (argc == 3 || argc == 4))
        table(argv[2], argv[3]);
    else if (strcmp(what, "results") == 0 && (argc == 3 || argc == 4))
        fleet_results(argv[2], argv[3]);
    else if (strcmp(what, "queries") == 0 && (argc == 3 || argc == 4))
        fleet_queries(argv[2], argv[3]);
    else if (strcmp(what, "products") == 0)
        products();
    else if (strcmp(what, "load") == 0 && argc == 6)
        return fleet_load((uint16_t)atoi(argv[2]), atof(argv[3]), atof(argv[4]), (uint32_t)atoi(argv[5]));
    else
        return 2;
    return 0;
}
