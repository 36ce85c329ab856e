/* stock_redirect.c - how Arduino's HTTPClient follows redirects where a sketch calls setFollowRedirects(STRICT).
 * Must never follow what the real one does not: 308, another scheme, a relative address. Tests: test/e2e/doctor/. */
#include <stdio.h>
#include <string.h>

#include "stock_update.h"

#define LIMIT      10  /* _redirectLimit */
#define CLOSE_WAIT 100 /* ms: a server that closes does so right behind its answer */

void stock_redirected_request(const struct stock_device *device, const struct stock_place *place,
                              char out[STOCK_REQUEST_MAX])
{
    if (device->chip == MOLT_CHIP_ESP8266)
        snprintf(out, STOCK_REQUEST_MAX,
                 "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: ESP8266-http-Update\r\n%sConnection: close\r\n"
                 "Content-Length: 0\r\n\r\n",
                 place->path, place->header, place->authorization);
    else
        snprintf(
            out, STOCK_REQUEST_MAX,
            "GET %s HTTP/1.0\r\nHost: %s\r\nUser-Agent: ESP32-http-Update\r\nConnection: close\r\n%s\r\n",
            place->path, place->header, place->authorization);
}

/* setURL(): a path on the same server, or an address of the same scheme. text outlives place. */
static bool set_url(struct stock_place *place, const char *text)
{
    struct stock_place other;
    if (text[0] == '/') {
        place->path = text;
        return true;
    }
    if (strncmp(text, place->tls ? "https:" : "http:", place->tls ? 6 : 5) != 0) return false;
    if (!stock_place_of(text, &other)) return false;
    if (other.authorization[0] == '\0')
        memcpy(other.authorization, place->authorization, sizeof other.authorization);
    *place = other;
    return true;
}

/* connect() of the ESP32 takes a connection with unread bytes for an open one, throws them away and sends over it. */
static int ask_again(const struct stock_device *device, struct stock_http *http,
                     const struct stock_place *place, bool same_server, int timeout_ms)
{
    char request[STOCK_REQUEST_MAX];
    stock_redirected_request(device, place, request);
    if (device->chip != MOLT_CHIP_ESP8266 && same_server) {
        uint8_t first;
        const bool unread = stock_http_peek(http, &first, 1, CLOSE_WAIT) == 1;
        const bool closed = stock_http_drain(http, CLOSE_WAIT);
        if (!closed) return stock_http_again(http, request, timeout_ms);
        if (unread) {
            stock_http_close(http);
            return STOCK_HTTP_SEND_HEADER_FAILED;
        }
    }
    stock_http_close(http);
    return stock_http_request(http, place, request, timeout_ms);
}

int stock_follow(const struct stock_device *device, struct stock_http *http, struct stock_place *place,
                 int status, int timeout_ms)
{
    char where[2][STOCK_LOCATION_MAX]; /* the present address and the next */
    for (unsigned hop = 0; hop < LIMIT; hop++) {
        if (status != 301 && status != 302 && status != 303 && status != 307) break;
        if (http->location[0] == '\0') break;
        memcpy(where[hop % 2], http->location, sizeof where[0]);
        const bool same_server = http->location[0] == '/';
        if (!set_url(place, where[hop % 2])) break;
        status = ask_again(device, http, place, same_server, timeout_ms);
    }
    place->path = "/"; /* what it pointed into ends here */
    return status;
}
