/* totp.h - six digits that change every 30 seconds (RFC 6238 with HMAC-SHA-1, as every authenticator app takes it), and recovery
 * codes for who lost the app. Pure but for totp_new() and recovery_new(). Tests: test/unit/totp_test.c (the RFC's vectors). */
#ifndef MOLT_SERVER_TOTP_H
#define MOLT_SERVER_TOTP_H

#include <stdbool.h>

#include "host/store/access.h"

#define TOTP_STEP_MS      30000
#define TOTP_DIGITS       6u
#define TOTP_SECRET_LEN   33  /* base32 of STORE_TOTP_LEN bytes, NUL */
#define TOTP_URL_LEN      256 /* otpauth://totp/... */
#define RECOVERY_CODE_LEN 20  /* xxxx-xxxx-xxxx-xxxx: 80 bits, NUL */

/* The code of a step, of up to 8 digits. */
uint32_t totp_code(const uint8_t key[STORE_TOTP_LEN], int64_t step, unsigned digits);
/* Is the text the code of now, of the step before or of the one after, and later than last_step? *step: which. */
bool totp_check(const uint8_t key[STORE_TOTP_LEN], const char *text, int64_t now_ms, int64_t last_step,
                int64_t *step);
bool totp_is_on(const uint8_t key[STORE_TOTP_LEN]); /* not all zeros */
bool totp_new(uint8_t key[STORE_TOTP_LEN]);         /* false: no randomness */
void totp_secret(const uint8_t key[STORE_TOTP_LEN], char out[TOTP_SECRET_LEN]);
/* As apps read it from a QR code (Google's key URI format). name: an account's. */
void totp_url(const uint8_t key[STORE_TOTP_LEN], const char *name, char out[TOTP_URL_LEN]);

/* New codes, and their hashes for the account. False: no randomness. */
bool recovery_new(char codes[STORE_RECOVERY_MAX][RECOVERY_CODE_LEN],
                  uint8_t hashes[STORE_RECOVERY_MAX * STORE_RECOVERY_LEN]);
/* Is it one of them (dashes, spaces and capitals do not matter)? Then it is used up. */
bool recovery_use(uint8_t hashes[STORE_RECOVERY_MAX * STORE_RECOVERY_LEN], const char *text);
uint32_t recovery_left(const uint8_t hashes[STORE_RECOVERY_MAX * STORE_RECOVERY_LEN]);

#endif
