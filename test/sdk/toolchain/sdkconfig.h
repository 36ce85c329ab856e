/* sdkconfig.h - a configuration of an ESP32-C3 with one core, as `idf.py menuconfig` would write it, as far as the headers that
 * the port includes ask for it. For `./dev sdk`. */
#define CONFIG_IDF_TARGET                               "esp32c3"
#define CONFIG_IDF_TARGET_ESP32C3                       1
#define CONFIG_IDF_TARGET_ARCH_RISCV                    1
#define CONFIG_IDF_FIRMWARE_CHIP_ID                     0x0005
#define CONFIG_PARTITION_TABLE_OFFSET                   0x8000
#define CONFIG_FREERTOS_HZ                              100
#define CONFIG_FREERTOS_NUMBER_OF_CORES                 1
#define CONFIG_FREERTOS_UNICORE                         1
#define CONFIG_FREERTOS_MAX_TASK_NAME_LEN               16
#define CONFIG_FREERTOS_IDLE_TASK_STACKSIZE             1536
#define CONFIG_FREERTOS_ISR_STACKSIZE                   1536
#define CONFIG_FREERTOS_TIMER_TASK_PRIORITY             1
#define CONFIG_FREERTOS_TIMER_QUEUE_LENGTH              10
#define CONFIG_FREERTOS_TIMER_TASK_STACK_DEPTH          2048
#define CONFIG_FREERTOS_TIMER_SERVICE_TASK_NAME         "Tmr Svc"
#define CONFIG_FREERTOS_TASK_NOTIFICATION_ARRAY_ENTRIES 1
#define CONFIG_FREERTOS_QUEUE_REGISTRY_SIZE             0
#define CONFIG_FREERTOS_THREAD_LOCAL_STORAGE_POINTERS   1
#define CONFIG_FREERTOS_TICK_SUPPORT_SYSTIMER           1
#define CONFIG_FREERTOS_OPTIMIZED_SCHEDULER             1
#define CONFIG_FREERTOS_CHECK_STACKOVERFLOW_CANARY      1
#define CONFIG_LOG_DEFAULT_LEVEL                        3
#define CONFIG_LOG_MAXIMUM_LEVEL                        3
#define CONFIG_BOOTLOADER_LOG_LEVEL                     3
#define CONFIG_ESP_TLS_USING_MBEDTLS                    1
#define CONFIG_MBEDTLS_CERTIFICATE_BUNDLE               1
#define CONFIG_MBEDTLS_HAVE_TIME_DATE                   1
#define CONFIG_LWIP_IPV4                                1
#define CONFIG_LWIP_MAX_SOCKETS                         10
#define CONFIG_LWIP_TCP_MSS                             1440
#define CONFIG_MOLT_TASK_STACK                          8192
#define CONFIG_MOLT_WDT_FEED                            1
