/* device_id_test.c - every spelling of an id that devices really use gives one id, and nothing else passes. */
#include "cmocka_all.h"

#include <stdio.h>

#include "server/skins/device_id.h"

struct spelling {
    const char *text, *id;
    bool is_mac;
};

static void check(const struct spelling *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char id[MODEL_ID_LEN];
        bool is_mac = false;
        bool ok = device_id_parse(rows[i].text, strlen(rows[i].text), id, &is_mac);
        if (ok != (rows[i].id != NULL) || (ok && strcmp(id, rows[i].id) != 0) ||
            (ok && is_mac != rows[i].is_mac))
            fail_msg("\"%s\" gave %s (\"%s\", mac %d)", rows[i].text, ok ? "an id" : "none", id, is_mac);
    }
}
#define CHECK(rows) check(rows, sizeof(rows) / sizeof((rows)[0]))

static void a_mac_is_one_id_in_every_spelling(void **state)
{
    (void)state;
    static const struct spelling rows[] = {
        {"5CCF7FC602E2", "5ccf7fc602e2", true},      {"5ccf7fc602e2", "5ccf7fc602e2", true},
        {"5C:CF:7F:C6:02:E2", "5ccf7fc602e2", true}, {"5c-cf-7f-c6-02-e2", "5ccf7fc602e2", true},
        {"201710250100", "201710250100", true},
    };
    CHECK(rows);
}

static void a_fixed_text_may_be_glued_to_the_mac(void **state)
{
    (void)state;
    static const struct spelling rows[] = {
        {"0x999995ccf7fc602e2", "5ccf7fc602e2", true},
        {"5CCF7FC602E2-v2", "5ccf7fc602e2", true},
        {"lamp_5C:CF:7F:C6:02:E2", "5ccf7fc602e2", true},
        {"5c-cf-7f-c6-02-e2.kitchen", "5ccf7fc602e2", true},
        {"kitchen-201710250100", "kitchen-201710250100", false}, /* a date, not a MAC */
        {"x0102030405fg", "x0102030405fg", false},
        {"door-01aabbccddee", "door-01aabbccddee", false}, /* a group address is no station */
    };
    CHECK(rows);
}

static void a_reversed_efuse_mac_is_turned_round(void **state)
{
    (void)state;
    static const struct spelling rows[] = {
        {"010000C40A24", "240ac4000001", true}, /* multicast as written */
        {"040000C40A24", "240ac4000004", true}, /* only the reversed side is Espressif's */
        {"40000C40A24", "240ac4000004", true},  /* printed without its leading zero */
        {"240AC4000001", "240ac4000001", true}, {"ESP-010000C40A24", "240ac4000001", true},
        {"123456789ab", "123456789ab", false},
    };
    CHECK(rows);
}

static void a_name_is_letters_digits_dots_dashes_and_underscores(void **state)
{
    (void)state;
    static const struct spelling rows[] = {
        {"SEMv5", "semv5", false},
        {"garage.door-2_b", "garage.door-2_b", false},
        {"658188", "658188", false},
        {"", NULL, false},
        {".hidden", NULL, false},
        {"-x", NULL, false},
        {"a b", NULL, false},
        {"a/b", NULL, false},
        {"a\nb", NULL, false},
        {"caf\xc3\xa9", NULL, false},
        {"a=b", NULL, false},
        {"abcdefghijklmnopqrstuvwxyz012345", "abcdefghijklmnopqrstuvwxyz012345", false},
        {"abcdefghijklmnopqrstuvwxyz0123456", NULL, false},
    };
    CHECK(rows);
}

static void the_header_carries_six_octets_forwards(void **state)
{
    (void)state;
    static const struct spelling rows[] = {
        {"5C:CF:7F:0A:0B:0C", "5ccf7f0a0b0c", true},
        {"5ccf7f0a0b0c", "5ccf7f0a0b0c", true},
        {"24-0A-C4-00-00-01", "240ac4000001", true},
        {"01:00:00:C4:0A:24", NULL, false},
        {"00:00:00:00:00:00", NULL, false},
        {"5C:CF:7F:0A:0B", NULL, false},
        {"5C:CF:7F:0A:0B:0C:", NULL, false},
        {"5C:CF-7F:0A:0B:0C", NULL, false},
        {"", NULL, false},
        {"5C:CF:7F:0A:0B:0G", NULL, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char id[MODEL_ID_LEN];
        bool ok = device_id_from_mac(rows[i].text, strlen(rows[i].text), id);
        assert_int_equal(ok, rows[i].id != NULL);
        if (ok) assert_string_equal(id, rows[i].id);
    }
}

static void what_libmolt_says_is_not_turned_round(void **state)
{
    (void)state;
    char id[MODEL_ID_LEN];
    assert_true(device_id_said("040000c40a24", 12, id));
    assert_string_equal(id, "040000c40a24");
    assert_true(device_id_said("24:0A:C4:00:00:04", 17, id));
    assert_string_equal(id, "240ac4000004");
    assert_true(device_id_said("Kitchen", 7, id));
    assert_string_equal(id, "kitchen");
    assert_false(device_id_said("a b", 3, id));
}

static void a_path_is_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *path, *id, *token, *product, *rest;
        enum device_path_kind kind;
    } rows[] = {
        {"/fota/5CCF7FC602E2.version", "5ccf7fc602e2", "", "", "/fota/5CCF7FC602E2.version",
         DEVICE_PATH_VERSION},
        {"/5CCF7FC602E2.bin", "5ccf7fc602e2", "", "", "/5CCF7FC602E2.bin", DEVICE_PATH_BIN},
        {"/a/b/5C:CF:7F:C6:02:E2.BIN", "5ccf7fc602e2", "", "", "/a/b/5C:CF:7F:C6:02:E2.BIN", DEVICE_PATH_BIN},
        {"/fota/5CCF7FC602E2.suit", "5ccf7fc602e2", "", "", "/fota/5CCF7FC602E2.suit", DEVICE_PATH_SUIT},
        {"/k/molt_abc/fota/SEMv5.bin", "semv5", "molt_abc", "", "/fota/SEMv5.bin", DEVICE_PATH_BIN},
        {"/p/lamp/SEMv5.version", "semv5", "", "lamp", "/SEMv5.version", DEVICE_PATH_VERSION},
        {"/k/t/p/lamp/x/SEMv5.bin", "semv5", "t", "lamp", "/x/SEMv5.bin", DEVICE_PATH_BIN},
        {"/update", "", "", "", "/update", DEVICE_PATH_OTHER},
        {"/k/t/update", "", "t", "", "/update", DEVICE_PATH_OTHER},
        {"/.bin", "", "", "", "/.bin", DEVICE_PATH_BIN},
        {"/fota/", "", "", "", "/fota/", DEVICE_PATH_OTHER},
        {"/.hidden.version", "", "", "", "/.hidden.version", DEVICE_PATH_VERSION},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct device_path path;
        assert_true(device_path_parse(rows[i].path, &path));
        assert_string_equal(path.id, rows[i].id);
        assert_string_equal(path.token, rows[i].token);
        assert_string_equal(path.product, rows[i].product);
        assert_string_equal(path.rest, rows[i].rest);
        assert_int_equal(path.kind, rows[i].kind);
    }
}

static void a_malformed_prefix_serves_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {"/k/",     "/k//x.bin", "/k/token", "/p//x.bin",  "/p/a b/x.bin",
                                      "/k/t/p/", "x.bin",     "",         "/p/../x.bin"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct device_path path;
        assert_false(device_path_parse(bad[i], &path));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mac_is_one_id_in_every_spelling),
        cmocka_unit_test(a_fixed_text_may_be_glued_to_the_mac),
        cmocka_unit_test(a_reversed_efuse_mac_is_turned_round),
        cmocka_unit_test(a_name_is_letters_digits_dots_dashes_and_underscores),
        cmocka_unit_test(the_header_carries_six_octets_forwards),
        cmocka_unit_test(what_libmolt_says_is_not_turned_round),
        cmocka_unit_test(a_path_is_taken_apart),
        cmocka_unit_test(a_malformed_prefix_serves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
