/* version_file.c - the skin of <ID>.version: a number and a line end, whatever happens (a stock sketch reads anything
 * else as 0). Must never cost more than a look at the device. Tests: test/e2e/skins_test.c. */
#include "skin.h"

void skin_version_file(struct ask *ask)
{
    struct skin_result result;
    if (skin_busy(ask->skins)) {
        result.code = skin_running_code(ask);
    } else {
        skin_visit(ask, SKIN_VERSION, MODEL_APP, NULL, false, &result);
        if (result.reason == MOLT_NOT_ASSIGNED) {
            skin_refuse(ask, result.reason);
            return;
        }
    }
    char text[12];
    size_t at = sizeof text;
    text[--at] = '\n';
    uint32_t code = result.code;
    do {
        text[--at] = (char)('0' + code % 10);
        code /= 10;
    } while (code != 0);
    struct http_response response = {.status = 200,
                                     .content_type = "text/plain",
                                     .headers = "Cache-Control: no-store\r\n",
                                     .body = text + at,
                                     .body_len = sizeof text - at};
    http_respond(ask->x, &response);
}
