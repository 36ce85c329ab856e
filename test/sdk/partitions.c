/* partitions.c - prints the partition table that Arduino's ESP32 core uses by default. Must print it as
 * gen_esp32part.py does (sim/layout.h). Used by test/sdk/sketches_test.sh. */
#include <stdio.h>

#include "sim/layout.h"

int main(void)
{
    static uint8_t table[MOLT_PARTITION_TABLE_LEN];
    const struct sim_layout *layout = sim_layout_find("esp32-4M");
    sim_partition_table(layout->partitions, layout->partition_count, table);
    return fwrite(table, 1, sizeof table, stdout) == sizeof table ? 0 : 1;
}
