/* dash.h - the dashboard on the admin plane: the files that dash/ was built into, compressed, and the headers that keep a
 * browser from doing anything but talking to this server. */
#ifndef MOLT_SERVER_DASH_H
#define MOLT_SERVER_DASH_H

#include <stddef.h>

#include "net/http_server.h"

/* One file of the built dashboard; the table is generated (tools/cmake/embed_dash.cmake). */
struct dash_file {
    const char *path; /* "/index.html", "/assets/app-0123456789ab.js" */
    const char *type;
    const char *tag; /* of its content, for an ETag */
    const unsigned char *gzip;
    size_t gzip_len;
    const unsigned char *brotli;
    size_t brotli_len;
};
extern const struct dash_file dash_files[];
extern const size_t dash_file_count;

/* Answers GET and HEAD of "/" and of the dashboard's files; false, and nothing was answered, for every other request. */
bool dash_handle(struct http_exchange *x);

#endif
