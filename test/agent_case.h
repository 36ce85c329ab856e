/* agent_case.h - what the tests of the agent share: the device under test and how it ends, with the images of chip_images.h.
 * Included once a program; the group's set-up is build_all(), its end free_all(), a test's end close_rig(). */
#ifndef MOLT_TEST_AGENT_CASE_H
#define MOLT_TEST_AGENT_CASE_H

#include "cmocka_all.h"

#include "agent_rig.h"
#include "chip_images.h"

static struct agent_rig rig;

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
