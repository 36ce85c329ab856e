/* esp_ota_ops.h - what the port calls of a component that the linux target has not. */
#pragma once
#include <esp_err.h>
#include <esp_partition.h>

const esp_partition_t *esp_ota_get_running_partition(void);
