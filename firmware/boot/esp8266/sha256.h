/* sha256.h - SHA-256 for a second stage (second.h). */
#ifndef MOLT_BOOT_SHA256_H
#define MOLT_BOOT_SHA256_H

#include "molt_port.h"

extern const struct molt_hash_ops molt_boot_sha256;

#endif
