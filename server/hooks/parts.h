/* parts.h - private to server/hooks. */
#ifndef MOLT_SERVER_HOOKS_PARTS_H
#define MOLT_SERVER_HOOKS_PARTS_H

#include "hooks.h"

/* The secret's bytes. Returns how many, 0: it is no "whsec_BASE64" of 16 to 64 bytes. */
#define HOOK_KEY_MAX 64
size_t hook_key(const char *secret, unsigned char out[HOOK_KEY_MAX + 8]);
/* "v1,BASE64" of what is signed. */
#define HOOK_SIGNATURE_LEN 64
void hook_sign(const unsigned char *key, size_t key_len, const char *id, int64_t timestamp, const char *body,
               char out[HOOK_SIGNATURE_LEN]);
/* Is the address public, or in one of the networks? */
bool hook_may_reach(const char *address, const struct net *allow, size_t count);

/* Sends once: delivery->status and error say what came, nothing else is changed. True: it was taken (2xx). Takes seconds. */
bool hook_send(const struct store_hook *hook, struct store_delivery *delivery, const struct net *allow,
               size_t allow_count);

#endif
