/* store_audit_test.c - the audit log keeps what was done in order, and every change behind its back is found: each kind is planted. */
#include "store_fixture.h"

#include <openssl/evp.h>

static void add(struct fixture *f, const char *who, const char *action)
{
    struct store_audit entry = {.status = 200};
    SET_TEXT(entry.who, who);
    SET_TEXT(entry.from, "10.0.0.7");
    SET_TEXT(entry.action, action);
    SET_TEXT(entry.detail, "{\"held\":true}");
    assert_int_equal(store_audit_end(f->store, 0, &entry), 0);
}

static void add_some(struct fixture *f, int count)
{
    char action[40];
    for (int i = 1; i <= count; i++) {
        snprintf(action, sizeof action, "PATCH /devices/%d", i);
        add(f, i % 2 == 0 ? "user anna" : "local", action);
    }
}

static int note_seq(void *ctx, const struct store_audit *entry)
{
    char *text = ctx;
    snprintf(text + strlen(text), 8, "%lld,", (long long)entry->seq);
    return strlen(text) > 9;
}

static void entries_are_kept_in_order(void **state)
{
    struct fixture *f = *state;
    char text[32] = "";
    struct store_audit_verdict verdict;
    assert_int_equal(store_audit_verify(f->store, NULL, &verdict), 0);
    assert_int_equal(verdict.bad_seq, 0);
    assert_int_equal(verdict.head.seq, 0);
    add_some(f, 7);
    reopen(f);
    assert_int_equal(store_each_audit_after(f->store, 2, note_seq, text), 0);
    assert_string_equal(text, "3,4,5,6,7,");
    text[0] = '\0';
    assert_int_equal(store_each_audit_before(f->store, 4, note_seq, text), 0);
    assert_string_equal(text, "3,2,1,");
    assert_int_equal(store_audit_verify(f->store, NULL, &verdict), 0);
    assert_int_equal(verdict.entries, 7);
    assert_int_equal(verdict.bad_seq, 0);
    assert_int_equal(verdict.head.seq, 7);
}

static int take(void *ctx, const struct store_audit *entry)
{
    *(struct store_audit *)ctx = *entry;
    return 0;
}

/* As anybody can compute it from an export. */
static void the_hash_is_what_the_header_says(void **state)
{
    struct fixture *f = *state;
    struct store_audit entry;
    char text[1024];
    uint8_t hash[32];
    add(f, "user anna", "POST /rollouts");
    assert_int_equal(store_each_audit_after(f->store, 0, take, &entry), 0);
    int len = snprintf(
        text, sizeof text,
        "molt-audit-1\n%064d\n1\n%lld\nuser anna\n10.0.0.7\nPOST /rollouts\n\n{\"held\":true}\n200\n\n", 0,
        (long long)entry.at_ms);
    assert_int_equal(EVP_Digest(text, (size_t)len, hash, NULL, EVP_sha256(), NULL), 1);
    assert_memory_equal(hash, entry.hash, sizeof hash);
}

static void texts_are_one_line_of_utf_8(void **state)
{
    struct fixture *f = *state;
    struct store_audit entry = {.status = 400}, kept;
    struct store_audit_verdict verdict;
    SET_TEXT(entry.who, "user x\nuser anna");
    SET_TEXT(entry.action, "PUT /devices/\xff\xfe\x7f");
    memset(entry.detail, 'x', sizeof entry.detail - 2);
    entry.detail[sizeof entry.detail - 3] = '\xC3'; /* half a character at the end */
    assert_int_equal(store_audit_end(f->store, 0, &entry), 0);
    assert_int_equal(store_each_audit_after(f->store, 0, take, &kept), 0);
    assert_string_equal(kept.who, "user x user anna");
    assert_memory_equal(&kept, &entry, sizeof kept);
    assert_int_equal(store_audit_verify(f->store, NULL, &verdict), 0);
    assert_int_equal(verdict.bad_seq, 0);
}

static void every_change_behind_its_back_is_found(void **state)
{
    (void)state;
    static const struct {
        const char *sql;
        int64_t bad_seq;
    } planted[] = {
        {"UPDATE audit SET who = 'user bert' WHERE seq = 3", 3},
        {"UPDATE audit SET source = '' WHERE seq = 3", 3},
        {"UPDATE audit SET at_ms = at_ms + 1 WHERE seq = 1", 1},
        {"UPDATE audit SET action = action || ' ' WHERE seq = 7", 7},
        {"UPDATE audit SET detail = '' WHERE seq = 4", 4},
        {"UPDATE audit SET product = 'lamp' WHERE seq = 4", 4},
        {"UPDATE audit SET status = 403 WHERE seq = 5", 5},
        {"UPDATE audit SET reason = 'forbidden' WHERE seq = 5", 5},
        {"UPDATE audit SET hash = (SELECT hash FROM audit WHERE seq = 1) WHERE seq = 5", 5},
        {"UPDATE audit SET who = (SELECT who FROM audit WHERE seq = 2), action = (SELECT action FROM audit "
         "WHERE seq = 2), hash = (SELECT hash FROM audit WHERE seq = 2) WHERE seq = 6",
         6},
        {"DELETE FROM audit WHERE seq = 1", 1},
        {"DELETE FROM audit WHERE seq = 4", 4},
        {"DELETE FROM audit WHERE seq = 4; UPDATE audit SET seq = seq - 1 WHERE seq > 4", 4},
        {"DELETE FROM audit WHERE seq > 5", 6},
        {"DELETE FROM audit", 1},
        {"DELETE FROM audit_head", 7},
        {"UPDATE audit_head SET seq = 6", 7},
        {"UPDATE audit_head SET hash = (SELECT hash FROM audit WHERE seq = 1)", 7},
        {"INSERT INTO audit SELECT 8, at_ms, who, source, action, product, detail, status, reason, hash FROM "
         "audit "
         "WHERE seq = 7",
         8},
    };
    for (size_t i = 0; i < sizeof planted / sizeof planted[0]; i++) {
        void *made;
        struct store_audit_verdict verdict;
        assert_int_equal(set_up(&made), 0);
        struct fixture *f = made;
        add_some(f, 7);
        store_close(f->store);
        run_sql(f, planted[i].sql);
        assert_int_equal(fixture_open(f, false, NULL, 0), 0);
        assert_int_equal(store_audit_verify(f->store, NULL, &verdict), 0);
        if (verdict.bad_seq != planted[i].bad_seq || verdict.why[0] == '\0')
            fail_msg("%s: entry %lld, not %lld: %s", planted[i].sql, (long long)verdict.bad_seq,
                     (long long)planted[i].bad_seq, verdict.why);
        tear_down(&made);
    }
}

/* Cut together with its own note, or made anew: only what was written down elsewhere tells. */
static void a_head_that_was_written_down_finds_the_rest(void **state)
{
    struct fixture *f = *state;
    struct store_audit_head five, seven;
    struct store_audit_verdict verdict;
    add_some(f, 5);
    assert_int_equal(store_audit_head(f->store, &five), 0);
    add(f, "user anna", "DELETE /devices/6");
    add(f, "user anna", "DELETE /devices/7");
    assert_int_equal(store_audit_head(f->store, &seven), 0);
    assert_int_equal(store_audit_verify(f->store, &five, &verdict), 0);
    assert_int_equal(verdict.bad_seq, 0);
    store_close(f->store);
    run_sql(f, "DELETE FROM audit WHERE seq > 5; UPDATE audit_head SET seq = 5, hash = (SELECT hash FROM "
               "audit WHERE "
               "seq = 5)");
    assert_int_equal(fixture_open(f, false, NULL, 0), 0);
    assert_int_equal(store_audit_verify(f->store, NULL, &verdict), 0);
    assert_int_equal(verdict.bad_seq, 0); /* as said: this one alone cannot know */
    assert_int_equal(store_audit_verify(f->store, &seven, &verdict), 0);
    assert_int_equal(verdict.bad_seq, 6);
    add(f, "user bert", "PATCH /devices/6");
    add(f, "user bert", "PATCH /devices/7");
    assert_int_equal(store_audit_verify(f->store, &five, &verdict), 0);
    assert_int_equal(verdict.bad_seq, 0);
    assert_int_equal(store_audit_verify(f->store, &seven, &verdict), 0);
    assert_int_equal(verdict.bad_seq, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(entries_are_kept_in_order),
        TEST(the_hash_is_what_the_header_says),
        TEST(texts_are_one_line_of_utf_8),
        cmocka_unit_test(every_change_behind_its_back_is_found),
        TEST(a_head_that_was_written_down_finds_the_rest),
    };
    return cmocka_run_group_tests(tests, fixture_begin, fixture_end);
}
