/* problem.c - refusals as application/problem+json (RFC 9457): reason, sentence, particulars, and what to do. Must always have a remedy.
 * Tests: test/unit/api_match_test.c. */
#include "call.h"

#include <stdlib.h>
#include <string.h>

#include "molt_reason.h"

#define PROBLEM_TYPE "urn:molt:reason:" /* the id follows; doc/troubleshooting.md explains them */

static const struct {
    int reason;
    const char *remedy;
} table[] = {
    {MOLT_UNAUTHORIZED, "Send 'Authorization: Bearer TOKEN'; `molt token create` makes one."},
    {MOLT_FORBIDDEN, "Ask somebody with that role, or an admin for the role."},
    {MOLT_WRONG_PASSWORD, "Try again; an admin can set a new one: `molt user passwd NAME`."},
    {MOLT_SECOND_FACTOR, "Send the six digits as 'code', too."},
    {MOLT_TOO_MANY_TRIES, "Wait a minute, then try once more."},
    {MOLT_RATE_LIMITED, "Wait as long as Retry-After says; --no-limit names addresses without one."},
    {MOLT_NOT_FOUND, "List what there is: the path without its last part."},
    {MOLT_REQUEST_INVALID,
     "Correct what the detail names; GET /api/v1/openapi.json describes every request."},
    {MOLT_CHANGED, "Read it again, look at what changed, and send the new ETag in If-Match."},
    {MOLT_MATCH_NEEDED, "Read it, and send its ETag in If-Match, so that nothing is overwritten unseen."},
    {MOLT_STATE, "Read it again: its state is another one by now."},
    {MOLT_NAME_INVALID, "Choose a name of letters, digits, '.', '-' and '_'."},
    {MOLT_VERSION_NEEDED, "Send the version, for example ?version=1.2.0."},
    {MOLT_CODE_NEEDED, "Send a code greater than the last one published, for example ?code=3."},
    {MOLT_CODE_RANGE, "Leave out the code, or send one that the version allows."},
    {MOLT_OLDER_CODE, "Publish with a greater version or code; GET /api/v1/releases shows what is there."},
    {MOLT_ALREADY_PUBLISHED, "Nothing: it is there. A new build needs a greater version, compiled in."},
    {MOLT_ADOPT_TAKEN, "Publish without adopt, and assign devices: PATCH /api/v1/devices/{id}."},
    {MOLT_CHIP_NEEDED, "Send the chip, for example ?chip=esp8266."},
    {MOLT_VARIANT_INVALID, "Send a flash layout (4M2M), a flash size (4M) or a chip revision (rev3)."},
    {MOLT_IMAGE_FILESYSTEM, "Send ?component=fs&chip=CHIP."},
    {MOLT_FILE_TOO_LARGE, "Export the application alone, not an image of the whole flash."},
    {MOLT_MANIFEST_MISSING, "Sign it: `molt sign FILE --key KEY --product NAME`."},
    {MOLT_MANIFEST_SIGNATURE, "Sign with a key that GET /api/v1/products/{id}/keys lists."},
    {MOLT_MANIFEST_OLDER, "Sign it with a greater --sequence."},
    {MOLT_SECOND_PERSON, "Let somebody else approve it."},
    {MOLT_WEAK_PASSWORD, "Choose a longer one."},
    {MOLT_UNACKNOWLEDGED, "Look whether all servers go by it: `molt node list`, or GET /api/v1/nodes. Then "
                          "try again, if need be."},
    {MOLT_STORE_FAILED, "Look at the server's log: is the disk full, or the database away? Then try again."},
    {MOLT_NO_MEMORY, "Try again later, or give the server more memory."},
    {MOLT_INTERNAL, "Report it with the server's log."},
};

static const char *by_who(enum molt_who who)
{
    switch (who) {
    case MOLT_WHO_NOBODY:
        return "Nothing is to be done.";
    case MOLT_WHO_RETRY:
        return "Try again in a minute.";
    case MOLT_WHO_MAKER:
        return "Build the firmware again; `molt inspect FILE` says more.";
    case MOLT_WHO_OPERATOR:
        return "Correct what the detail names, then try again.";
    case MOLT_WHO_NETWORK:
        return "Look at the network between; `molt doctor URL` says more.";
    case MOLT_WHO_HARDWARE:
        return "Look at the device; `molt doctor` reads its boot log.";
    case MOLT_WHO_CALLER:
        break;
    }
    return "Correct the request; GET /api/v1/openapi.json describes it.";
}

const char *api_remedy(int reason)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (table[i].reason == reason) return table[i].remedy;
    }
    return by_who(molt_reason_who(reason));
}

/* A text that may have been cut within a character. */
static json_t *cut_text(const char *text)
{
    size_t len = strlen(text);
    json_t *json = json_stringn(text, len);
    for (int i = 0; i < 3 && json == NULL && len > 0; i++)
        json = json_stringn(text, --len);
    return json != NULL ? json : json_string("");
}

char *api_problem(int status, int reason, const char *detail)
{
    char type[80] = PROBLEM_TYPE;
    strncat(type, molt_reason_id(reason), sizeof type - strlen(type) - 1);
    json_t *json = json_pack("{s:s, s:s, s:i, s:o, s:s, s:s}", "type", type, "title",
                             molt_reason_sentence(reason), "status", status, "detail", cut_text(detail),
                             "reason", molt_reason_id(reason), "remedy", api_remedy(reason));
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text != NULL
               ? text
               : strdup("{\"type\":\"" PROBLEM_TYPE
                        "out-of-memory\",\"title\":\"There is not enough memory for "
                        "the "
                        "operation.\",\"status\":500,\"detail\":\"\",\"reason\":\"out-of-memory\",\"remedy\":"
                        "\"Try again later, or give the server more memory.\"}");
}
