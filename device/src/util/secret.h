/* secret.h - comparing what an attacker would like to guess or to glitch.
 * The answer is a pattern of many bits, so that one flipped bit or one skipped instruction is not a yes. */
#ifndef MOLT_UTIL_SECRET_H
#define MOLT_UTIL_SECRET_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOLT_YES 0x3CA5965Au /* the only yes; everything else is a no */
#define MOLT_NO  0x43525A25u

/* MOLT_YES when len bytes are equal, else MOLT_NO; also MOLT_NO for more than 65535 bytes. Takes the same time whatever
 * the bytes are. */
uint32_t molt_same_bytes(const void *a, const void *b, size_t len);

#ifdef __cplusplus
}
#endif
#endif
