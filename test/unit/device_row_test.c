/* device_row_test.c - pools of strings, the index and packed rows: what goes in comes out, what is equal is kept once, and
 * nothing is left behind (also under TSan). */
#include "cmocka_all.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "server/device_row.h"
#include "server/slab.h"

/* ---- pools ---- */

static void equal_strings_are_kept_once(void **state)
{
    (void)state;
    struct intern *pool = intern_new(NULL, NULL);
    struct intern_stats stats;
    bool made;
    size_t len;
    uint32_t first = intern_put(pool, "door", 4, &made);
    assert_true(made);
    assert_int_equal(intern_put(pool, "door", 4, &made), first);
    assert_false(made);
    assert_int_not_equal(intern_put(pool, "doors", 5, NULL), first);
    assert_memory_equal(intern_get(pool, first, &len), "door", 4);
    assert_int_equal(len, 4);
    intern_stats(pool, &stats);
    assert_int_equal(stats.count, 2);
    intern_drop(pool, first);
    intern_stats(pool, &stats);
    assert_int_equal(stats.count, 2); /* one reference is left */
    intern_drop(pool, first);
    intern_stats(pool, &stats);
    assert_int_equal(stats.count, 1);
    intern_free(pool);
}

static void many_strings_are_found_and_their_places_used_again(void **state)
{
    (void)state;
    enum { MANY = 50000 };
    static uint32_t refs[MANY];
    struct intern *pool = intern_new(NULL, NULL);
    struct intern_stats before, after;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++) {
            char text[16];
            int len = snprintf(text, sizeof text, "%d", i);
            refs[i] = intern_put(pool, text, (size_t)len, NULL);
            assert_int_not_equal(refs[i], 0);
        }
        intern_stats(pool, round == 0 ? &before : &after);
        for (int i = 0; i < MANY; i++) {
            char text[16];
            size_t len, want = (size_t)snprintf(text, sizeof text, "%d", i);
            const void *bytes = intern_get(pool, refs[i], &len);
            if (len != want || memcmp(bytes, text, len) != 0) fail_msg("%d", i);
        }
        for (int i = 0; i < MANY; i++)
            intern_drop(pool, refs[i]);
    }
    assert_int_equal(before.count, MANY);
    assert_int_equal(after.bytes, before.bytes);
    intern_stats(pool, &after);
    assert_int_equal(after.count, 0);
    intern_free(pool);
}

static uint64_t count_of(struct intern *pool)
{
    struct intern_stats stats;
    intern_stats(pool, &stats);
    return stats.count;
}

static void count_gone(void *ctx, const void *bytes, size_t len)
{
    (void)bytes;
    *(size_t *)ctx += len;
}

static void what_is_pinned_stays_until_the_last_unpin(void **state)
{
    (void)state;
    size_t gone = 0, len;
    bool made;
    struct intern *pool = intern_new(count_gone, &gone);
    const uint32_t door = intern_put(pool, "door", 4, NULL), gate = intern_put(pool, "gate", 4, NULL);
    assert_true(door < intern_limit(pool) && gate < intern_limit(pool));
    intern_set_note(pool, gate, 1, 7);
    intern_pin(pool);
    intern_pin(pool);
    intern_drop(pool, door);
    intern_drop(pool, gate);
    assert_memory_equal(intern_get(pool, door, &len), "door", 4);
    intern_unpin(pool);
    assert_int_equal(count_of(pool), 2);
    assert_int_equal(intern_put(pool, "gate", 4, &made), gate); /* it is wanted again */
    assert_false(made);
    assert_int_equal(intern_note(pool, gate, 1), 0);
    intern_drop(pool, gate);
    assert_int_equal(intern_put(pool, "gate", 4, NULL), gate);
    assert_int_equal(gone, 0);
    intern_unpin(pool);
    assert_int_equal(gone, 4); /* the door alone */
    assert_int_equal(count_of(pool), 1);
    intern_drop(pool, gate);
    assert_int_equal(gone, 8);
    assert_int_equal(count_of(pool), 0);
    intern_free(pool);
}

static void *put_and_drop(void *arg)
{
    for (unsigned i = 0; i < 20000; i++) {
        char text[16];
        size_t len = (size_t)snprintf(text, sizeof text, "%u", i % 97), got;
        uint32_t ref = intern_put(arg, text, len, NULL);
        const char *bytes = intern_get(arg, ref, &got);
        if (got != len || memcmp(bytes, text, len) != 0) return arg;
        intern_drop(arg, ref);
    }
    return NULL;
}

/* What it sees of a string that may lose its last reference at any moment is that string as long as it is pinned. */
static void *pin_and_read(void *arg)
{
    for (unsigned i = 0; i < 2000; i++) {
        char text[16];
        const size_t len = (size_t)snprintf(text, sizeof text, "%u", i % 97);
        size_t got;
        intern_pin(arg);
        const uint32_t ref = intern_put(arg, text, len, NULL);
        intern_drop(arg, ref);
        const char *bytes = intern_get(arg, ref, &got);
        const bool right = got == len && memcmp(bytes, text, len) == 0;
        intern_unpin(arg);
        if (!right) return arg;
    }
    return NULL;
}

static void threads_share_a_pool(void **state)
{
    (void)state;
    struct intern *pool = intern_new(NULL, NULL);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, i == 0 ? pin_and_read : put_and_drop, pool), 0);
    for (int i = 0; i < 4; i++) {
        void *wrong;
        pthread_join(threads[i], &wrong);
        assert_null(wrong);
    }
    assert_int_equal(count_of(pool), 0);
    intern_free(pool);
}

/* ---- the index ---- */

static bool holds(const struct index *index, uint32_t hash, uint32_t ref)
{
    uint32_t found, at = hash;
    while ((found = index_next(index, hash, &at)) != 0)
        if (found == ref) return true;
    return false;
}

/* Beside an array that says what must be there. Few hashes, so that chains run into each other and around the end. */
static void what_was_added_is_found_until_it_is_removed(void **state)
{
    (void)state;
    enum { REFS = 500, STEPS = 200000 };
    static uint32_t hash_of[REFS + 1];
    static bool there[REFS + 1];
    struct index index;
    uint32_t count = 0;
    uint64_t random = 88172645463325252u;
    assert_true(index_init(&index));
    for (int step = 0; step < STEPS; step++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        uint32_t ref = 1 + (uint32_t)(random >> 8) % REFS;
        if (there[ref]) {
            index_remove(&index, hash_of[ref], ref);
            count--;
        } else {
            hash_of[ref] = (uint32_t)(random >> 40) % 64 * 0x04000001u - 40;
            assert_true(index_add(&index, hash_of[ref], ref));
            count++;
        }
        there[ref] = !there[ref];
        assert_int_equal(index.count, count);
        if (step % 97 != 0) continue;
        for (uint32_t i = 1; i <= REFS; i++)
            assert_int_equal(holds(&index, hash_of[i], i), there[i]);
    }
    index_free(&index);
}

static void pages_of_any_size_hold_zeroed_items(void **state)
{
    (void)state;
    enum { ITEMS = 40000 }; /* the last pages are larger than a huge page */
    struct slab slab;
    slab_init(&slab, 128);
    for (uint32_t i = 1; i <= ITEMS; i++) {
        uint32_t ref = slab_take(&slab);
        uint64_t *item = slab_at(&slab, ref);
        assert_int_equal(ref, i);
        assert_int_equal((uintptr_t)item % 64, 0);
        for (int w = 0; w < 16; w++)
            if (item[w] != 0) fail_msg("%u", i);
        memset(item, 0xFF, 128);
    }
    slab_give(&slab, 7);
    assert_int_equal(slab_take(&slab), 7);
    assert_int_equal(*(uint64_t *)slab_at(&slab, 7), 0);
    slab_free(&slab);
}

static bool taken(const struct slab_part *part, uint32_t ref)
{
    return *((const uint32_t *)slab_at(part->slab, ref) + 1) != 0;
}

/* Two parts: each item is of one of them, and all items of a part are found run by run. */
static void parts_of_a_slab_lie_in_runs_of_their_own(void **state)
{
    (void)state;
    enum { ITEMS = 1000 };
    struct slab slab;
    struct slab_part parts[2] = {{.slab = &slab}, {.slab = &slab}};
    uint32_t last[2] = {0};
    slab_init(&slab, 128);
    for (uint32_t i = 0; i < ITEMS; i++) {
        struct slab_part *part = &parts[i % 3 == 0];
        uint32_t ref = slab_part_take(part);
        if (ref == 0) {
            assert_true(slab_part_grow(part));
            ref = slab_part_take(part);
        }
        assert_true(ref > last[i % 3 == 0]); /* in memory's order */
        last[i % 3 == 0] = ref;
        uint32_t *item = slab_at(&slab, ref);
        for (int w = 0; w < 32; w++)
            assert_int_equal(item[w], 0);
        memset(item + 1, 0xFF, 124);
    }
    assert_int_equal(slab.high, (ITEMS / 3 / SLAB_RUN + 1 + 2 * ITEMS / 3 / SLAB_RUN + 1) * SLAB_RUN);
    slab_part_give(&parts[0], parts[0].runs[0] + 5);
    uint32_t found[2] = {0};
    for (int p = 0; p < 2; p++)
        for (uint32_t run = 0; run < parts[p].count; run++)
            for (uint32_t i = 0; i < SLAB_RUN; i++)
                found[p] += taken(&parts[p], parts[p].runs[run] + i);
    assert_int_equal(found[0] + found[1], ITEMS - 1);
    assert_int_equal(found[1], ITEMS / 3 + 1);
    assert_int_equal(slab_part_take(&parts[0]), parts[0].runs[0] + 5); /* the next one */
    slab_part_free(&parts[0]);
    slab_part_free(&parts[1]);
    slab_free(&slab);
}

/* ---- rows ---- */

static uint64_t kept(const struct device_pools *pools)
{
    struct intern *const all[] = {pools->states, pools->labels, pools->words, pools->texts};
    uint64_t count = 0;
    for (int i = 0; i < 4; i++) {
        struct intern_stats stats;
        intern_stats(all[i], &stats);
        count += stats.count;
    }
    return count;
}

static void round_trip(struct device_pools *pools, const struct model_device *device)
{
    struct device_row row = {0};
    struct model_device read;
    assert_true(device_row_make(pools, &row, device));
    device_row_read(pools, &row, NULL, &read);
    assert_memory_equal(&read, device, sizeof read);
    assert_true(device_row_is(pools, &row, device->id));
    assert_false(device_row_is(pools, &row, "another"));
    device_row_drop(pools, &row);
    assert_int_equal(kept(pools), 0);
}

static void set(char *field, size_t size, const char *text)
{
    memset(field, 0, size);
    memcpy(field, text, strlen(text));
}
#define SET(field, text) set(field, sizeof(field), text)

static void whatever_a_device_is_it_comes_back(void **state)
{
    (void)state;
    static const char *const addresses[] = {"",
                                            "10.0.0.1",
                                            "255.255.255.255",
                                            "0.0.0.0",
                                            "010.0.0.1",
                                            "1.2.3",
                                            "1.2.3.256",
                                            "2001:db8::1",
                                            "2001:DB8::1",
                                            "::ffff:10.0.0.1",
                                            "unix",
                                            "1.2.3.4.5",
                                            "0000:0000:0000:0000:0000:ffff:255.255.255.25"};
    static const char *const ids[] = {"a", "5ccf7fc602e2", "123456789012345", "1234567890123456",
                                      "12345678901234567890123456789012"};
    static const char *const labels[] = {
        "", "a", "a b c", " a", "a ", "  ", "x=1 y=2 z=3", "1 2 3 4 5 6 7 8", "1 2 3 4 5 6 7 8 9"};
    struct device_pools pools;
    assert_true(device_pools_open(&pools));
    struct model_device device;
    for (size_t a = 0; a < sizeof addresses / sizeof addresses[0]; a++)
        for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
            for (size_t l = 0; l < sizeof labels / sizeof labels[0]; l++) {
                memset(&device, 0, sizeof device);
                SET(device.id, ids[i]);
                SET(device.address, addresses[a]);
                SET(device.tags, labels[l]);
                SET(device.attributes, labels[(l * 4 + i) % 9]);
                SET(device.running_version, ids[i]);
                device.last_seen_ms = INT64_MAX;
                device.first_seen_ms = -1;
                device.product_id = (int64_t)i - 1;
                round_trip(&pools, &device);
            }
    device_pools_close(&pools);
}

/* Bytes of the whole struct, one and many at a time: no field is forgotten, nor one that comes later. */
static void every_byte_survives(void **state)
{
    (void)state;
    struct device_pools pools;
    assert_true(device_pools_open(&pools));
    union {
        struct model_device device;
        uint8_t bytes[sizeof(struct model_device)];
    } u;
    for (size_t from = MODEL_ID_LEN; from < sizeof u; from++) {
        for (size_t step = 1; step <= 64; step = step * 3 + 1) {
            memset(&u, 0, sizeof u);
            SET(u.device.id, "5ccf7fc602e2");
            for (size_t at = from; at < sizeof u && at < from + 8 * step; at += step)
                u.bytes[at] = 'x';
            u.device.address[sizeof u.device.address - 1] = '\0';
            u.device.tags[sizeof u.device.tags - 1] = '\0';
            u.device.attributes[sizeof u.device.attributes - 1] = '\0';
            /* texts end at their first NUL */
            SET(u.device.address, strcpy((char[sizeof u.device.address]){0}, u.device.address));
            SET(u.device.tags, strcpy((char[MODEL_TAGS_LEN]){0}, u.device.tags));
            SET(u.device.attributes, strcpy((char[MODEL_ATTRIBUTES_LEN]){0}, u.device.attributes));
            round_trip(&pools, &u.device);
        }
    }
    memset(&u, 'x', sizeof u);
    for (size_t i = 0; i < sizeof u; i += 16) /* zero words and others in turn */
        memset(u.bytes + i, 0, 8);
    SET(u.device.id, "aa");
    SET(u.device.address, "");
    SET(u.device.tags, "");
    SET(u.device.attributes, "");
    round_trip(&pools, &u.device);
    device_pools_close(&pools);
}

static void a_rewritten_row_gives_back_what_it_had(void **state)
{
    (void)state;
    struct device_pools pools;
    struct device_row row = {0};
    struct model_device device = {
        .id = "aa", .address = "unix", .tags = "a b", .attributes = "x=1", .held = true};
    assert_true(device_pools_open(&pools));
    assert_true(device_row_make(&pools, &row, &device));
    assert_int_equal(kept(&pools), 1 + 3 + 1);
    assert_true(device_row_write(&pools, &row, &device)); /* nothing new: no word is counted twice */
    SET(device.tags, "");
    SET(device.attributes, "");
    device.held = false;
    assert_true(device_row_write(&pools, &row, &device));
    device_row_saw(&pools, &row, "10.0.0.7", 9);
    assert_int_equal(kept(&pools), 1);
    device_row_read(&pools, &row, NULL, &device);
    assert_string_equal(device.address, "10.0.0.7");
    assert_int_equal(device.last_seen_ms, 9);
    device_row_drop(&pools, &row);
    assert_int_equal(kept(&pools), 0);
    device_pools_close(&pools);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_strings_are_kept_once),
        cmocka_unit_test(many_strings_are_found_and_their_places_used_again),
        cmocka_unit_test(what_is_pinned_stays_until_the_last_unpin),
        cmocka_unit_test(threads_share_a_pool),
        cmocka_unit_test(parts_of_a_slab_lie_in_runs_of_their_own),
        cmocka_unit_test(what_was_added_is_found_until_it_is_removed),
        cmocka_unit_test(pages_of_any_size_hold_zeroed_items),
        cmocka_unit_test(whatever_a_device_is_it_comes_back),
        cmocka_unit_test(every_byte_survives),
        cmocka_unit_test(a_rewritten_row_gives_back_what_it_had),
    };
    return cmocka_run_group_tests_name("device_row", tests, NULL, NULL);
}
