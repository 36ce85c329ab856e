/* load.h - reads the file that a command was given, or says why not; writes the one that it makes. */
#ifndef MOLT_CLI_LOAD_H
#define MOLT_CLI_LOAD_H

#include <stdbool.h>

#include "host/facts.h"

/* The whole file (malloc'ed, the caller frees), at most FACTS_FILE_MAX bytes. False after printing why not. */
bool load_file(const char *path, uint8_t **data, size_t *len);

/* Writes len bytes, durably, beside path and then under it: what stands there before stays whole until then. A pipe or a device is
 * written to and stays one. False with errno set, nothing printed; a file at path is then as it was. */
bool save_file(const char *path, const void *data, size_t len);

#endif
