/* static_publish.h - `molt publish FILE --static DIR`: the files that devices read from any web server. */
#ifndef MOLT_CLI_STATIC_PUBLISH_H
#define MOLT_CLI_STATIC_PUBLISH_H

#include "args.h"

/* Verifies everything, then writes NAME.bin.gz, NAME.bin, NAME.version and, last, NAME.suit, each whole or not at all. An
 * exit status; has said everything. */
int static_publish(struct args *args);

#endif
