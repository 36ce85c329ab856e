/* doctor_causes_test.c - the doctor's table is sound: every cause once, in words, in the order of its groups. */
#include "cmocka_all.h"

#include <stdbool.h>

#include "cli/doctor/cause.h"
#include "molt_reason.h"
#include "sim/stock_update.h"

static void every_cause_stands_once_and_is_a_reason(void **state)
{
    (void)state;
    for (size_t i = 0; doctor_cause_at(i) != NULL; i++) {
        const struct doctor_cause *cause = doctor_cause_at(i);
        assert_ptr_equal(doctor_cause_of(cause->reason), cause);
        assert_string_not_equal(molt_reason_id(cause->reason), "unknown-reason");
        assert_true(strlen(molt_reason_sentence(cause->reason)) > 10);
    }
    assert_null(doctor_cause_of(MOLT_OFFERED));
}

static void every_cause_has_a_symptom_a_probe_and_a_remedy(void **state)
{
    (void)state;
    static const char *const platforms[] = {"both", "esp8266", "esp32", "idf"};
    for (size_t i = 0; doctor_cause_at(i) != NULL; i++) {
        const struct doctor_cause *cause = doctor_cause_at(i);
        bool known = false;
        for (size_t p = 0; p < sizeof platforms / sizeof platforms[0]; p++)
            known = known || strcmp(cause->platform, platforms[p]) == 0;
        assert_true(known);
        assert_true(strlen(cause->symptom) >= 2);
        assert_true(strlen(cause->probe) > 5);
        assert_true(strlen(cause->remedy) > 5);
    }
}

static void the_rows_of_a_group_stand_together(void **state)
{
    (void)state;
    for (size_t i = 1; doctor_cause_at(i) != NULL; i++)
        assert_true(doctor_cause_at(i)->group >= doctor_cause_at(i - 1)->group);
}

/* What facts_read() can say of a file must have a remedy. */
static void every_reason_of_an_image_is_a_cause(void **state)
{
    (void)state;
    static const int reasons[] = {
        MOLT_IMAGE_EMPTY,    MOLT_IMAGE_TEXT,       MOLT_IMAGE_UNKNOWN,    MOLT_IMAGE_ELF,
        MOLT_IMAGE_HEX,      MOLT_IMAGE_UF2,        MOLT_IMAGE_PARTITIONS, MOLT_IMAGE_MCUBOOT,
        MOLT_IMAGE_MERGED,   MOLT_IMAGE_BOOTLOADER, MOLT_IMAGE_SDK_V2,     MOLT_IMAGE_NO_EBOOT,
        MOLT_IMAGE_RTOS_SDK, MOLT_IMAGE_FILESYSTEM, MOLT_BAD_SEGMENT,      MOLT_BAD_CHECKSUM,
        MOLT_BAD_CRC,        MOLT_BAD_HASH,         MOLT_IMAGE_TRUNCATED,  MOLT_IMAGE_TRAILING,
        MOLT_NO_APP_DESC,    MOLT_BAD_GZIP,         MOLT_IMAGE_SIGNED,
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        assert_non_null(doctor_cause_of(reasons[i]));
}

static bool somebody_can_act(int reason)
{
    const enum molt_who who = molt_reason_who(reason);
    return who == MOLT_WHO_MAKER || who == MOLT_WHO_OPERATOR || who == MOLT_WHO_NETWORK ||
           who == MOLT_WHO_HARDWARE;
}

/* A reason that a device reports or a decision gives is of use only with a remedy: add a row to cli/doctor/causes.def. */
static void every_reason_of_a_device_that_somebody_can_mend_is_a_cause(void **state)
{
    (void)state;
    for (int reason = 20; reason < 400; reason++) {
        if (reason >= 200 && reason < 230) continue; /* publishing: the command says what to do */
        if (reason >= 237 && reason < 300) continue; /* keys and signing, likewise */
        if (!somebody_can_act(reason)) continue;
        if (doctor_cause_of(reason) == NULL) fail_msg("%s has no row in causes.def", molt_reason_id(reason));
    }
}

static bool has_code(int number, enum stock_platform platform)
{
    unsigned count = 0;
    for (size_t i = 0; doctor_code_at(i) != NULL; i++)
        count += doctor_code_at(i)->number == number && doctor_code_at(i)->platform == platform;
    return count == 1;
}

/* -1 to -11, -100 to -109 and 1 to 16 on an ESP8266; -1 to -11, -100 to -108 and 1 to 14 on an ESP32. */
static void every_number_of_the_libraries_has_one_row(void **state)
{
    (void)state;
    for (int platform = STOCK_ESP8266; platform <= STOCK_ESP32; platform++) {
        const bool esp8266 = platform == STOCK_ESP8266;
        for (int n = -109; n <= 16; n++) {
            const bool http = n >= -11 && n <= -1, updater = n <= -100 && (esp8266 || n > -109);
            const bool update = n > 0 && (esp8266 || n <= 14);
            assert_int_equal(has_code(n, (enum stock_platform)platform), http || updater || update);
        }
    }
}

static void every_number_has_a_cause_and_a_reason_why(void **state)
{
    (void)state;
    for (size_t i = 0; doctor_code_at(i) != NULL; i++) {
        const struct doctor_code *code = doctor_code_at(i);
        assert_non_null(doctor_cause_of(code->reason));
        assert_true(strlen(code->when) >= 3);
        assert_true(code->number == -109 ||
                    strcmp(stock_error_text(code->platform, code->number), "unknown error") != 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_cause_stands_once_and_is_a_reason),
        cmocka_unit_test(every_cause_has_a_symptom_a_probe_and_a_remedy),
        cmocka_unit_test(the_rows_of_a_group_stand_together),
        cmocka_unit_test(every_reason_of_an_image_is_a_cause),
        cmocka_unit_test(every_number_of_the_libraries_has_one_row),
        cmocka_unit_test(every_number_has_a_cause_and_a_reason_why),
        cmocka_unit_test(every_reason_of_a_device_that_somebody_can_mend_is_a_cause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
