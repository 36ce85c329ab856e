/* tls_test.c - firmware on the real instruction sets updates itself over TLS 1.2 from a real server: ECDSA
 * and RSA certificates, an authority or a pinned key, the time from a time server, records of 512 bytes
 * or, where the server does not know how to make them, larger ones; and does not from a server that it
 * cannot trust. What such a device tells a server that it does trust: refusal_test.c. */
#include "qemu_rig.h"

#include <stdlib.h>
#include <time.h>

#define QUICK "interval=1\nconfirm=30\n"

#define STACK_MAX 6144 /* what app.ld keeps for it in an ESP8266's 80 KB */

/* The deepest that the paint tells, in all that the device said. */
static void expect_small_stack(const struct rig_device *device)
{
    static const char before[] = ", stack ";
    unsigned long deepest = 0;
    for (const char *at = device->machine.log; (at = strstr(at, before)) != NULL;) {
        at += sizeof before - 1;
        unsigned long now = strtoul(at, NULL, 10);
        if (now > deepest) deepest = now;
    }
    assert_in_range(deepest, 1000, STACK_MAX);
}

static void updates_itself(struct rig *rig, const char *settings)
{
    rig_publish(rig, RIG_BOARD, "v1");
    struct rig_device *device = rig_flash(rig, RIG_BOARD, "v1", settings);
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
    expect_small_stack(device);
}

static void a_new_version_comes_over_https_with_an_ecdsa_certificate(void **state)
{
    updates_itself(*state, QUICK);
}

static void a_new_version_comes_over_https_with_an_rsa_certificate(void **state)
{
    updates_itself(*state, QUICK);
}

/* With BearSSL's code: BR_ERR_X509_EXPIRED 54, BR_ERR_X509_BAD_SERVER_NAME 56, BR_ERR_X509_NOT_TRUSTED 62. */
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

/* Nothing of the certificate but its key counts: no clock is needed. */
static void a_pinned_key_is_enough(void **state)
{
    struct rig *rig = *state;
    rig_own_certificate(rig);
    updates_itself(rig, QUICK "pin=1\ntime=0\n");
}

static void another_key_than_the_pinned_one_is_refused(void **state)
{
    refuses(*state, QUICK "pin=1\n", "agent: tls-not-trusted"); /* the CA's */
}

static void a_time_server_says_that_the_certificate_is_valid(void **state)
{
    struct rig *rig = *state;
    char settings[128];
    snprintf(settings, sizeof settings, "--ntp %lld", (long long)time(NULL));
    rig_middle(rig, settings);
    snprintf(settings, sizeof settings, QUICK "ntp=10.0.2.2\nntp-port=%u\ntime=0\n", rig->ntp_port);
    rig_ask_the_server(rig);
    updates_itself(rig, settings);
}

static void a_time_server_says_that_the_certificate_has_expired(void **state)
{
    struct rig *rig = *state;
    char settings[128];
    rig_middle(rig, "--ntp 2400000000");
    snprintf(settings, sizeof settings, QUICK "ntp=10.0.2.2\nntp-port=%u\n", rig->ntp_port);
    rig_ask_the_server(rig);
    refuses(rig, settings, "agent: tls-outside-validity");
}

/* It asks for records of 512 bytes. Short answers are no larger anyway; the image comes in one that is too
 * large (BR_ERR_TOO_LARGE 6), and it comes again with the large buffer. */
static void a_server_without_small_records_gets_a_large_buffer(void **state)
{
    struct rig *rig = *state;
    rig_publish(rig, RIG_BOARD, "v1");
    rig_middle(rig, "--without-mfln cert.pem key.pem");
    struct rig_device *device = rig_flash(rig, RIG_BOARD, "v1", QUICK);
    rig_power_on(rig, device);
    rig_hear(rig, device, "agent: up-to-date");
    rig_publish(rig, RIG_BOARD, "v2");
    rig_hear(rig, device, "agent: connection-lost, status 0, tcp 0, tls 6");
    rig_hear(rig, device, "app: molt-reference 2.0.0");
    rig_hear(rig, device, "agent: confirmed");
    rig_power_off(rig, device);
}

static void a_certificate_that_has_expired_is_refused(void **state)
{
    refuses(*state, QUICK "time=4000000000\n", "agent: tls-outside-validity, status 0, tcp 0, tls 54");
}

static void a_certificate_by_another_authority_is_refused(void **state)
{
    struct rig *rig = *state;
    rig_strange_authority(rig);
    refuses(rig, QUICK, "agent: tls-not-trusted, status 0, tcp 0, tls 62");
}

static void a_certificate_for_another_host_is_refused(void **state)
{
    struct rig *rig = *state;
    rig_middle(rig, "--tls other.pem key.pem");
    refuses(rig, QUICK, "agent: tls-wrong-host, status 0, tcp 0, tls 56");
}

#define TEST(name, begin) cmocka_unit_test_setup_teardown(name, begin, rig_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_version_comes_over_https_with_an_ecdsa_certificate, rig_begin_ec),
        TEST(a_new_version_comes_over_https_with_an_rsa_certificate, rig_begin_rsa),
        TEST(a_pinned_key_is_enough, rig_begin_ec),
        TEST(a_pinned_key_is_enough, rig_begin_rsa),
        TEST(another_key_than_the_pinned_one_is_refused, rig_begin_ec),
        TEST(another_key_than_the_pinned_one_is_refused, rig_begin_rsa),
        TEST(a_time_server_says_that_the_certificate_is_valid, rig_begin_ec),
        TEST(a_time_server_says_that_the_certificate_has_expired, rig_begin_ec),
        TEST(a_server_without_small_records_gets_a_large_buffer, rig_begin_ec),
        TEST(a_certificate_that_has_expired_is_refused, rig_begin_ec),
        TEST(a_certificate_by_another_authority_is_refused, rig_begin_ec),
        TEST(a_certificate_for_another_host_is_refused, rig_begin_ec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
