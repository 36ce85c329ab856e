/* metrics_test.c - what is counted: each counter by itself, and that metrics have one type and one help each. */
#include "cmocka_all.h"

#include <string.h>

#include "molt_reason.h"
#include "server/watch/counters.h"

static void each_counter_counts_for_itself(void **state)
{
    (void)state;
    for (int i = 0; i < COUNTER_COUNT; i++) {
        uint64_t before[COUNTER_COUNT];
        for (int j = 0; j < COUNTER_COUNT; j++)
            before[j] = counters_read((enum counter)j);
        counters_add((enum counter)i);
        for (int j = 0; j < COUNTER_COUNT; j++)
            assert_int_equal(counters_read((enum counter)j), before[j] + (i == j));
    }
}

static void every_reason_has_a_place(void **state)
{
    (void)state;
    static const int numbers[] = {
#define MOLT_REASON(symbol, number, id, who, sentence) number,
#include "molt_reason.def"
#undef MOLT_REASON
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_true(numbers[i] > 0 && numbers[i] < COUNTERS_REASON_MAX);
        uint64_t before = counters_read_reason(numbers[i]);
        counters_decided(numbers[i]);
        assert_int_equal(counters_read_reason(numbers[i]), before + 1);
    }
    counters_decided(-1); /* a bug elsewhere must not write elsewhere */
    counters_decided(COUNTERS_REASON_MAX);
    assert_int_equal(counters_read_reason(0), 2);
    assert_int_equal(counters_read_reason(COUNTERS_REASON_MAX), 0);
}

static void rows_of_a_metric_stand_together_and_differ_in_labels_alone(void **state)
{
    (void)state;
    for (int i = 0; i < COUNTER_COUNT; i++) {
        const struct counters_row *row = counters_row((enum counter)i);
        size_t len = strlen(row->metric);
        assert_true(len > 6 && strcmp(row->metric + len - 6, "_total") == 0);
        for (int j = i + 1; j < COUNTER_COUNT; j++) {
            const struct counters_row *other = counters_row((enum counter)j);
            if (strcmp(row->metric, other->metric) != 0) continue;
            assert_string_equal(row->help, other->help);
            assert_string_not_equal(row->labels, other->labels);
            assert_string_equal(counters_row((enum counter)(j - 1))->metric, row->metric);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_counter_counts_for_itself),
        cmocka_unit_test(every_reason_has_a_place),
        cmocka_unit_test(rows_of_a_metric_stand_together_and_differ_in_labels_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
