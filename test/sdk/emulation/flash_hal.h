/* flash_hal.h - the flash layout 4M2M, which the host emulation of esp8266/Arduino does not have; for the port alone. */
#include_next <flash_hal.h>
#ifndef SDK_EMULATION_FLASH_HAL_H
#define SDK_EMULATION_FLASH_HAL_H
#undef FS_PHYS_ADDR
#undef FS_PHYS_SIZE
#define FS_PHYS_ADDR ((uint32_t)0x200000)
#define FS_PHYS_SIZE ((uint32_t)0x1FA000)
#endif
