/* sealed_publish.h - `molt publish FILE --encrypted FILE.enc`: what the maker's molt says of a file that only devices can open. */
#ifndef MOLT_CLI_SEALED_PUBLISH_H
#define MOLT_CLI_SEALED_PUBLISH_H

#include "client.h"
#include "host/publish.h"
#include "signing.h"

/* What there is on the maker's machine, and what goes to the server. */
struct sealed_upload {
    struct facts facts;           /* of the plain image */
    struct publish_sealed sealed; /* what is said of it */
    uint8_t *file;                /* the encrypted bytes; malloc'ed */
    size_t len;
};

/* Reads FILE, --packed FILE (else FILE) and --encrypted FILE and compares them with each other and with the manifest. On true
 * the caller frees out->file. False after saying what does not go together. */
bool sealed_read(const struct args *args, const uint8_t *manifest, size_t manifest_len,
                 struct sealed_upload *out);

/* Adds to the query what is said, and the version and code that the plain image has. */
void sealed_query(const struct args *args, const struct sealed_upload *upload, struct client_query *query);

#endif
