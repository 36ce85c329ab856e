/* flash_hal.h - where the file system lies: on the chip the linker script's symbols, here functions. */
#ifndef SDK_FLASH_HAL_H
#define SDK_FLASH_HAL_H

#include <stdint.h>

extern "C" uint32_t sdk_fs_start(void);
extern "C" uint32_t sdk_fs_size(void);
#define FS_PHYS_ADDR sdk_fs_start()
#define FS_PHYS_SIZE sdk_fs_size()

#endif
