/* model.c - the names of what the model counts: the same in JSON, filters and tables.
 * Must know every value of its enums. Tests: test/unit/filter_test.c, test/unit/api_test.c. */
#include "model.h"

#include <stddef.h>

const char *model_client_name(enum model_client client)
{
    static const char *const names[] = {"unknown",       "version-file", "esphttpupdate", "httpupdate",
                                        "esp-https-ota", "molt",         "ddi",           "rauc"};
    return (size_t)client < sizeof names / sizeof names[0] ? names[client] : "unknown";
}

const char *model_attempt_name(enum model_attempt attempt)
{
    static const char *const names[] = {"none",    "offered",  "downloading", "downloaded", "trial",
                                        "updated", "presumed", "failed",      "rolled-back"};
    return (size_t)attempt < sizeof names / sizeof names[0] ? names[attempt] : "none";
}
