/* agent_case.h - what the tests of the agent share: the images of both chips, the device under test, and how it ends.
 * Included once a program; the group's set-up is build_all(), its end free_all(), a test's end close_rig(). */
#ifndef MOLT_TEST_AGENT_CASE_H
#define MOLT_TEST_AGENT_CASE_H

#include "cmocka_all.h"

#include <stdlib.h>

#include "agent_rig.h"

static struct rig_blob old8266, new8266, new8266_gz, old32, new32;
static struct agent_rig rig;

static int build_all(void **state)
{
    (void)state;
    old8266 = rig_image(MOLT_CHIP_ESP8266, 0x6040, 1, 512u << 10);
    new8266 = rig_image(MOLT_CHIP_ESP8266, 0x7130, 2, 512u << 10);
    old32 = rig_image(MOLT_CHIP_ESP32, 0x6040, 1, 4u << 20);
    new32 = rig_image(MOLT_CHIP_ESP32, 0x7130, 2, 4u << 20);
    new8266_gz = rig_gzip(&new8266, 12);
    return 0;
}

static int free_all(void **state)
{
    (void)state;
    struct rig_blob *all[] = {&old8266, &new8266, &new8266_gz, &old32, &new32};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        free(all[i]->data);
    return 0;
}

static void open8266(enum molt_source source, const char *url, uint32_t code)
{
    agent_rig_open(&rig, "512K", MOLT_CHIP_ESP8266, old8266.data, old8266.len);
    agent_rig_start(&rig, source, url, code);
}

static void open32(enum molt_source source, const char *url, uint32_t code)
{
    agent_rig_open(&rig, "esp32-4M", MOLT_CHIP_ESP32, old32.data, old32.len);
    agent_rig_start(&rig, source, url, code);
}

static int close_rig(void **state)
{
    (void)state;
    agent_rig_close(&rig);
    return 0;
}

/* The agent wants a restart; after it exactly these bytes run. */
static void expect_installed(const struct rig_blob *image)
{
    assert_true(agent_rig_run(&rig, rig.now_ms + 60000));
    assert_int_equal(agent_rig_last(&rig), MOLT_OFFERED);
    rig_reset(&rig.chip);
    assert_true(rig_runs(&rig.chip, image->data, image->len));
}

static void expect_report(int reason)
{
    agent_rig_until_reports(&rig, 1);
    if (agent_rig_last(&rig) != reason) {
        fail_msg("%s, not %s", molt_reason_id(agent_rig_last(&rig)), molt_reason_id(reason));
    }
}

#endif
