/* manifest.c - the skin of <ID>.suit: the signed statement of what <ID>.bin gives, for devices that ask by version file or
 * URL. Must never send one of another image. Tests: test/e2e/publish_signed_test.sh. */
#include "skin.h"

#define SUIT_TYPE "application/suit-envelope+cose"

void skin_manifest(struct ask *ask)
{
    struct skin_result result;
    struct skin_range whole = {.present = false, .first = 0, .last = UINT64_MAX};
    if (skin_busy(ask->skins)) {
        struct http_response busy = {.status = 503, .headers = "Retry-After: 300\r\n"};
        http_respond(ask->x, &busy);
        return;
    }
    skin_visit(ask, SKIN_VERSION, MODEL_APP, NULL, false, &result);
    if (result.verdict != MOLT_VERDICT_OFFER) {
        skin_refuse(ask, result.reason);
    } else if (result.manifest.len == 0 && ask->manifest_len > 0) {
        struct http_response response = {.status = 200,
                                         .content_type = SUIT_TYPE,
                                         .headers = "Cache-Control: no-store\r\n",
                                         .body = ask->manifest,
                                         .body_len = ask->manifest_len};
        http_respond(ask->x, &response);
    } else if (result.manifest.len > 0) {
        skin_send(ask, &result.manifest, &whole, false, false);
    } else {
        skin_not_found(ask, "this image is not signed\n");
    }
}
