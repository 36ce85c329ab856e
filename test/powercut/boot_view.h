/* boot_view.h - molt-boot's two keep sectors by what they mean, so that states which can only go the same way count as one:
 * sequence numbers rise for ever, and what a sound record does not say is erased before it is used again. */
#ifndef MOLT_TEST_BOOT_VIEW_H
#define MOLT_TEST_BOOT_VIEW_H

#include <stddef.h>
#include <stdint.h>

#include "slots/boot_record.h"

/* A sector as states.c keeps it: its bytes, then a byte of flags a write unit of 4 bytes. Into out: at most BOOT_VIEW_MAX
 * bytes; returns their number. */
#define BOOT_VIEW_MAX (2u * (sizeof(struct molt_boot_record) + 9u * MOLT_BOOT_SLOTS + 3u) + 2u)
size_t boot_view(const uint8_t *first, const uint8_t *second, uint8_t out[BOOT_VIEW_MAX]);

#endif
