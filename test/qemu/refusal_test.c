/* refusal_test.c - what a device must not take, from servers that are wrong or lie (middle.py): it stays
 * with its version, and the server's page of the device says why. */
#include "qemu_rig.h"

#define QUICK "interval=1\nconfirm=30\n"

/* From version 1, with middle.py between: it says the reason, reports it at the next check-in, and stays
 * with version 1, also when the server lets it try again. */
static void refuses_with(struct rig *rig, const char *middle, const char *settings, const char *reason)
{
    char line[64], result[64];
    rig_publish(rig, RIG_BOARD, "v1");
    rig_publish(rig, RIG_BOARD, "v2");
    rig_middle(rig, middle);
    struct rig_device *device = rig_flash(rig, RIG_BOARD, "v1", settings);
    rig_power_on(rig, device);
    snprintf(line, sizeof line, "agent: %s", reason);
    rig_hear(rig, device, line);
    snprintf(result, sizeof result, "failed, %s", reason);
    rig_expect_result(rig, device, result);
    rig_not_said(&device->machine, "agent: restart");
    rig_power_off(rig, device);
    rig_power_on(rig, device);
    rig_hear(rig, device, "app: molt-reference 1.0.0");
    rig_power_off(rig, device);
}

static void refuses(struct rig *rig, const char *middle, const char *reason)
{
    refuses_with(rig, middle, QUICK, reason);
}

/* A file of the rig's made from app-NAME.bin of a board by this shell text, $1 to stdout. */
static void make_file(struct rig *rig, enum rig_board board, const char *script)
{
    char path[512], command[700];
    rig_image_path(rig, path, board, "v2");
    snprintf(command, sizeof command, "(%s) >bad.bin", script);
    const char *const args[] = {"sh", "-c", command, "sh", path, NULL}, *said;
    assert_int_equal(rig_run(rig, args, &said), 0);
}

static void an_image_for_another_chip(void **state)
{
    make_file(*state, RIG_BOARD == RIG_RV32 ? RIG_LX106 : RIG_RV32, "cat \"$1\"");
    refuses(*state, "--file bad.bin", "wrong-chip");
}

static void a_truncated_image(void **state)
{
    make_file(*state, RIG_BOARD, "head -c 100000 \"$1\"");
    refuses(*state, "--file bad.bin", "truncated-image");
}

static void a_web_page(void **state)
{
    make_file(*state, RIG_BOARD,
              "for i in 1 2 3 4 5 6 7 8 9; do echo '<html><body>no such file, sorry</body></html>'; done");
    refuses(*state, "--file bad.bin", "text-not-firmware");
}

static void a_byte_that_changed_on_the_way(void **state)
{
    refuses_with(*state, "--corrupt", QUICK "raw=1\n",
                 RIG_BOARD == RIG_RV32 ? "bad-checksum" : "digest-mismatch");
}

static void a_download_without_end(void **state)
{
    refuses(*state, "--endless", "no-content-length");
}

static void an_expired_certificate(void **state)
{
    refuses(*state, "--tls cert.pem key.pem --image-at expired.pem key.pem", "tls-outside-validity");
}

static void a_certificate_for_another_host(void **state)
{
    refuses(*state, "--tls cert.pem key.pem --image-at other.pem key.pem", "tls-wrong-host");
}

static void a_way_down_from_https_to_http(void **state)
{
    refuses(*state, "--tls cert.pem key.pem --image-at http", "redirect-refused");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_image_for_another_chip, rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(a_truncated_image, rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(a_web_page, rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(a_byte_that_changed_on_the_way, rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(a_download_without_end, rig_begin, rig_end),
        cmocka_unit_test_setup_teardown(an_expired_certificate, rig_begin_ec, rig_end),
        cmocka_unit_test_setup_teardown(a_certificate_for_another_host, rig_begin_ec, rig_end),
        cmocka_unit_test_setup_teardown(a_way_down_from_https_to_http, rig_begin_ec, rig_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
