/* store_kill_test.c - what the store acknowledged is there after kill -9 at any moment; what it did not acknowledge
 * is there whole or not at all. */
#include "temp_dir.h"

#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "host/store/store.h"

enum { ROUNDS = 12, CONTENT_LEN = 20000 };

/* What the child says over the pipe once the store has acknowledged. */
struct ack {
    uint32_t code;
};

static void fill_content(uint8_t *content, uint32_t code)
{
    for (size_t i = 0; i < CONTENT_LEN; i++)
        content[i] = (uint8_t)(code + (i * code >> 8));
}

static int publish_one(struct store *store, uint32_t code)
{
    static uint8_t content[CONTENT_LEN];
    struct model_image image = {.chip = MOLT_CHIP_ESP8266};
    struct model_device device = {0};
    char version[16];
    int64_t id = 0;
    fill_content(content, code);
    snprintf(version, sizeof version, "v%u", code);
    int rc = store_artifact_put(store, content, sizeof content, &image.raw);
    if (rc == 0) rc = store_publish(store, "gate", version, code, "stable", false, &image, &id);
    snprintf(device.id, sizeof device.id, "device%u", code);
    device.attempt_release_id = id;
    device.running_code = code;
    return rc == 0 ? store_save_devices(store, &device, 1) : rc;
}

static void run_child(const char *path, uint32_t first, int pipe_fd)
{
    struct store *store;
    if (store_open(path, true, &store, NULL, 0) != 0) _exit(1);
    for (uint32_t code = first;; code++) {
        struct ack ack = {code};
        if (publish_one(store, code) != 0) _exit(2);
        if (write(pipe_fd, &ack, sizeof ack) != sizeof ack) _exit(3);
    }
}

/* Kills the child some time after its n-th acknowledgement; returns the last code acknowledged. */
static uint32_t kill_at_random(const char *path, uint32_t first, uint32_t wanted, long then_ns)
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) run_child(path, first, ends[1]);
    close(ends[1]);

    struct ack ack = {0};
    uint32_t last = first - 1;
    while (last < first - 1 + wanted) {
        assert_int_equal(read(ends[0], &ack, sizeof ack), sizeof ack);
        last = ack.code;
    }
    struct timespec pause = {0, then_ns};
    nanosleep(&pause, NULL); /* only to hit another moment each round; nothing depends on its length */
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    while (read(ends[0], &ack, sizeof ack) == sizeof ack)
        last = ack.code; /* acknowledged before it died */
    close(ends[0]);
    return last;
}

static void check_release(struct store *store, const struct model_release *release)
{
    static uint8_t want[CONTENT_LEN], got[CONTENT_LEN + 1];
    struct model_device device;
    char id[MODEL_ID_LEN];
    assert_int_equal(release->image_count, 1);
    int fd = store_artifact_open(store, release->images[0].raw.sha256);
    assert_true(fd >= 0);
    fill_content(want, release->code);
    assert_int_equal(read(fd, got, sizeof got), CONTENT_LEN);
    assert_memory_equal(got, want, CONTENT_LEN);
    close(fd);
    snprintf(id, sizeof id, "device%u", release->code);
    if (store_device_get(store, id, &device) == 0) assert_int_equal(device.attempt_release_id, release->id);
}

/* Returns the newest code there. */
static uint32_t check_store(const char *path, uint32_t acknowledged)
{
    struct store *store;
    struct store_rules rules;
    struct model_device device;
    char id[MODEL_ID_LEN], err[256];
    assert_int_equal(store_open(path, false, &store, err, sizeof err), 0);
    assert_int_equal(store_load_rules(store, &rules), 0);
    uint32_t newest = rules.release_count > 0 ? rules.releases[0].code : 0;
    assert_in_range(newest, acknowledged, acknowledged + 1);
    assert_int_equal(rules.release_count, newest); /* none is missing in between */
    assert_int_equal(rules.generation, 1 + newest);
    for (uint32_t i = 0; i < rules.release_count; i++)
        check_release(store, &rules.releases[i]);
    if (acknowledged > 0) {
        snprintf(id, sizeof id, "device%u", acknowledged);
        assert_int_equal(store_device_get(store, id, &device), 0);
    }
    store_free_rules(&rules);
    store_close(store);
    return newest;
}

static void what_was_acknowledged_survives_kill_9_at_any_moment(void **state)
{
    (void)state;
    struct temp_dir dir;
    temp_dir_make(&dir);
    uint32_t newest = 0, random = (uint32_t)time(NULL);
    print_message("seed %u\n", random);
    for (int round = 0; round < ROUNDS; round++) {
        random = random * 1664525u + 1013904223u;
        uint32_t wanted = 1 + (random >> 8) % 12;
        long then_ns = (long)((random >> 16) % 4000) * 1000;
        uint32_t acknowledged = kill_at_random(dir.path, newest + 1, wanted, then_ns);
        assert_true(acknowledged >= newest + wanted);
        newest = check_store(dir.path, acknowledged);
    }
    temp_dir_remove(&dir);
}

/* Killed before anything was acknowledged: while the folder and the tables are made. */
static void a_store_killed_while_it_is_made_opens_again(void **state)
{
    (void)state;
    for (int round = 0; round < 10; round++) {
        struct temp_dir dir;
        temp_dir_make(&dir);
        uint32_t acknowledged = kill_at_random(dir.path, 1, 0, round * 500000L);
        struct store *store;
        char err[256];
        assert_int_equal(store_open(dir.path, true, &store, err, sizeof err), 0);
        store_close(store);
        check_store(dir.path, acknowledged);
        temp_dir_remove(&dir);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_acknowledged_survives_kill_9_at_any_moment),
        cmocka_unit_test(a_store_killed_while_it_is_made_opens_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
