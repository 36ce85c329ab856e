/* load.h - reads the file that a command was given, or says why not. */
#ifndef MOLT_CLI_LOAD_H
#define MOLT_CLI_LOAD_H

#include <stdbool.h>

#include "host/facts.h"

/* The whole file (malloc'ed, the caller frees), at most FACTS_FILE_MAX bytes. False after printing why not. */
bool load_file(const char *path, uint8_t **data, size_t *len);

#endif
