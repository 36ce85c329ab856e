/* signing.h - what keygen, key show, sign and verify share: refusals, passphrases, files. Private to these commands. */
#ifndef MOLT_CLI_SIGNING_H
#define MOLT_CLI_SIGNING_H

#include <stdbool.h>

#include "args.h"
#include "host/facts.h"
#include "host/sign/sign.h"

#define SIGNING_PASSPHRASE_MAX 1024

/* Says why not, to stderr for people and with --json as the error object to stdout too. Returns EXIT_PROBLEM. */
int signing_refuse(const struct args *args, int reason, const char *detail);

/* Asks on the terminal without showing what is typed. False: there is none. */
bool signing_ask(const char *question, char out[SIGNING_PASSPHRASE_MAX]);
/* The first line of a file. False after printing that it has none. */
bool signing_first_line(const char *path, const char *what, char out[SIGNING_PASSPHRASE_MAX]);
/* The passphrase of a key: --passphrase-file, $MOLT_PASSPHRASE, or asked for on the terminal (twice when confirm).
 * False after saying why there is none. */
bool signing_passphrase(const struct args *args, bool confirm, char out[SIGNING_PASSPHRASE_MAX]);

/* Puts a file in its place at once: readers see the old one or the new one, whole. False after saying why not. */
bool signing_write(const struct args *args, const char *path, const void *data, size_t len);

/* The image in a file: read, inflated when it is gzip, verified. fs: a file system, which only has to be one or anything
 * but a firmware. *data: malloc'ed, the caller frees. False after saying what is wrong with it. */
bool signing_image(const struct args *args, const char *path, bool fs, struct facts *facts, uint8_t **data,
                   size_t *len);

/* The key of --key, opened with its passphrase or used by --signer; the caller sign_key_free()s. NULL after saying why not. */
struct sign_key *signing_key(const struct args *args);

/* An envelope, and what stands behind it, of at most MOLT_STATEMENT_MAX bytes. False after saying why not. */
bool signing_envelope(const struct args *args, const char *path, uint8_t out[MOLT_STATEMENT_MAX],
                      size_t *len);

#endif
