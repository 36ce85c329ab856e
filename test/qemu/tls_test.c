/* tls_test.c - firmware on the real instruction sets updates itself over TLS 1.2 from a real server: ECDSA and RSA
 * certificates; and does not from a server that it cannot trust. */
#include "qemu_rig.h"

#define QUICK "interval=1\nconfirm=30\n"

static void updates_itself(struct rig *rig)
{
    rig_publish(rig, RIG_BOARD, "v1");
    struct rig_device *device = rig_flash(rig, RIG_BOARD, "v1", QUICK);
    rig_power_on(rig, device);
    rig_hear(rig, device, "agent: up-to-date, status 200, tcp 0, tls 0, stack");
    rig_hear(rig, device, "agent: up-to-date, status 200, tcp 0, tls 0 resumed");
    rig_publish(rig, RIG_BOARD, "v2");
    rig_hear(rig, device, "agent: restart");
    rig_hear(rig, device, "app: molt-reference 2.0.0");
    rig_hear(rig, device, "agent: confirmed");
    rig_hear(rig, device, "agent: up-to-date");
    rig_expect_state(rig, device, "updated");
    rig_power_off(rig, device);
}

static void a_new_version_comes_over_https_with_an_ecdsa_certificate(void **state)
{
    updates_itself(*state);
}

static void a_new_version_comes_over_https_with_an_rsa_certificate(void **state)
{
    updates_itself(*state);
}

/* BearSSL's words for what is wrong: BR_ERR_X509_EXPIRED 54, BR_ERR_X509_NOT_TRUSTED 62. */
static void refuses(struct rig *rig, const char *settings, const char *says)
{
    rig_publish(rig, RIG_BOARD, "v1");
    rig_publish(rig, RIG_BOARD, "v2");
    struct rig_device *device = rig_flash(rig, RIG_BOARD, "v1", settings);
    rig_power_on(rig, device);
    rig_hear(rig, device, says);
    rig_power_off(rig, device);
    rig_not_said(&device->machine, "2.0.0");
}

static void a_certificate_that_has_expired_is_refused(void **state)
{
    refuses(*state, QUICK "time=4000000000\n", "agent: tls-failed, status 0, tcp 0, tls 54");
}

static void a_certificate_by_another_authority_is_refused(void **state)
{
    struct rig *rig = *state;
    rig_strange_authority(rig);
    refuses(rig, QUICK, "agent: tls-failed, status 0, tcp 0, tls 62");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_version_comes_over_https_with_an_ecdsa_certificate,
                                        rig_begin_ec, rig_end),
        cmocka_unit_test_setup_teardown(a_new_version_comes_over_https_with_an_rsa_certificate, rig_begin_rsa,
                                        rig_end),
        cmocka_unit_test_setup_teardown(a_certificate_that_has_expired_is_refused, rig_begin_ec, rig_end),
        cmocka_unit_test_setup_teardown(a_certificate_by_another_authority_is_refused, rig_begin_ec, rig_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
