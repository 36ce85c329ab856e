/* layout_test.c - the flash layouts are Arduino's, and partition tables are the bytes that Espressif's
 * tool makes. */
#include "cmocka_all.h"

#include "sim/layout.h"

static void every_esp8266_layout_lies_in_its_flash(void **state)
{
    (void)state;
    size_t n = 0;
    for (const struct sim_layout *l; (l = sim_layout_at(n)) != NULL; n++) {
        assert_ptr_equal(sim_layout_find(l->name), l);
        assert_true(l->fs_start <= l->fs_end && l->fs_end < l->flash_size);
        assert_int_equal(l->fs_start % 4096, 0);
        assert_int_equal(l->fs_end % 4096, 0);
        if (!l->is_esp32) assert_true(l->flash_size - l->fs_end >= 20 * 1024);
    }
    assert_int_equal(n, 10);
    assert_null(sim_layout_find("4M9M"));
}

static void the_file_system_begins_where_the_linker_scripts_say(void **state)
{
    (void)state;
    assert_int_equal(sim_layout_find("512K")->fs_start, 0x7B000);
    assert_int_equal(sim_layout_find("1M64")->fs_start, 0xEB000);
    assert_int_equal(sim_layout_find("4M1M")->fs_start, 0x300000);
    assert_int_equal(sim_layout_find("4M2M")->fs_start, 0x200000);
    assert_int_equal(sim_layout_find("4M3M")->fs_end, 0x3FA000);
}

static void the_arduino_table_has_the_md5_of_espressifs_tool(void **state)
{
    (void)state;
    static const uint8_t md5[16] = {0x97, 0x2d, 0xae, 0x2f, 0xf8, 0x72, 0xa0, 0x14,
                                    0x2d, 0x60, 0xba, 0xd1, 0x24, 0xc0, 0x66, 0x6b};
    const struct sim_layout *layout = sim_layout_find("esp32-4M");
    uint8_t table[MOLT_PARTITION_TABLE_LEN];
    sim_partition_table(layout->partitions, layout->partition_count, table);
    assert_memory_equal(table + 6 * 32, "\xEB\xEB\xFF\xFF", 4);
    assert_memory_equal(table + 6 * 32 + 16, md5, sizeof md5);
    for (size_t i = 7 * 32; i < sizeof table; i++)
        assert_int_equal(table[i], 0xFF);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_esp8266_layout_lies_in_its_flash),
        cmocka_unit_test(the_file_system_begins_where_the_linker_scripts_say),
        cmocka_unit_test(the_arduino_table_has_the_md5_of_espressifs_tool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
