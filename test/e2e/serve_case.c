/* serve_case.c - what the server's end-to-end tests share (serve_case.h). Fails the test when anything is not as a
 * plain HTTP peer would see it. */
#include "serve_case.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <signal.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "host/image_build.h"
#include "host/socket_path.h"

#define READ_TIMEOUT_S 120

void serve_case_make(struct serve_case *c)
{
    temp_dir_make(&c->dir);
    snprintf(c->data_dir, sizeof c->data_dir, "%s/data", c->dir.path);
    snprintf(c->static_dir, sizeof c->static_dir, "%s/static", c->dir.path);
    snprintf(c->socket_path, sizeof c->socket_path, "%s/" SOCKET_PATH_NAME, c->data_dir);
    assert_int_equal(mkdir(c->static_dir, 0700), 0);
    (void)signal(SIGPIPE, SIG_IGN);
}

void serve_case_start(struct serve_case *c)
{
    char err[512] = "";
    c->options.data_dir = c->data_dir;
    c->options.listen[0] = "http://127.0.0.1:0";
    c->options.listen_count = 1;
    c->options.admin = "http://127.0.0.1:0";
    c->options.threads = 2;
    if (serve_start(&c->serve, &c->options, err, sizeof err) != 0) fail_msg("server: %s", err);
    c->port = serve_port(c->serve, 0);
    c->admin_port = serve_port(c->serve, SERVE_ADMIN_IDX);
}

void serve_case_stop(struct serve_case *c)
{
    if (c->serve != NULL) serve_stop(c->serve, 2000);
    c->serve = NULL;
}

void serve_case_remove(struct serve_case *c)
{
    serve_case_stop(c);
    temp_dir_remove(&c->dir);
}

/* ---- raw HTTP ---- */

void reply_free(struct reply *reply)
{
    free(reply->body);
    reply->body = NULL;
}

const char *reply_header(const struct reply *reply, const char *name)
{
    static char value[512];
    size_t name_len = strlen(name);
    int found = 0;
    value[0] = '\0';
    for (const char *line = strstr(reply->head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, name_len) != 0 || line[name_len] != ':') continue;
        const char *p = line + name_len + 1;
        while (*p == ' ')
            p++;
        size_t len = strcspn(p, "\r");
        assert_true(len < sizeof value);
        memcpy(value, p, len);
        value[len] = '\0';
        found++;
    }
    assert_true(found <= 1);
    return value;
}

static int prepare(int fd)
{
    struct timeval timeout = {.tv_sec = READ_TIMEOUT_S};
    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout), 0);
    return fd;
}

int raw_connect(uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = prepare(socket(AF_INET, SOCK_STREAM, 0));
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

int raw_connect_unix(const char *path)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    int fd = prepare(socket(AF_UNIX, SOCK_STREAM, 0));
    assert_true(strlen(path) < sizeof to.sun_path);
    memcpy(to.sun_path, path, strlen(path) + 1);
    assert_int_equal(connect(fd, (const struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

void raw_send(int fd, const void *data, size_t len)
{
    const char *p = data;
    while (len > 0) {
        ssize_t n = send(fd, p, len, MSG_NOSIGNAL);
        assert_true(n > 0);
        p += n;
        len -= (size_t)n;
    }
}

static void read_head(int fd, struct reply *reply)
{
    size_t len = 0;
    while (len < 4 || memcmp(reply->head + len - 4, "\r\n\r\n", 4) != 0) {
        assert_true(len + 1 < sizeof reply->head);
        ssize_t n = recv(fd, reply->head + len, 1, 0);
        if (n <= 0)
            fail_msg("connection ended in the head after %zu bytes: %.*s", len, (int)len, reply->head);
        len++;
    }
    reply->head[len] = '\0';
    assert_int_equal(strncmp(reply->head, "HTTP/1.1 ", 9), 0);
    reply->status = (int)strtol(reply->head + 9, NULL, 10);
    const char *length = reply_header(reply, "Content-Length");
    reply->content_length = length[0] != '\0' ? strtol(length, NULL, 10) : -1;
}

void raw_read(int fd, bool no_body, struct reply *reply)
{
    memset(reply, 0, sizeof *reply);
    read_head(fd, reply);
    assert_string_equal(reply_header(reply, "Transfer-Encoding"), "");
    assert_string_equal(reply_header(reply, "Content-Encoding"), "");
    reply->closed = strcasecmp(reply_header(reply, "Connection"), "close") == 0;
    long expect = no_body || reply->status == 304 || reply->content_length < 0 ? 0 : reply->content_length;
    reply->body = malloc((size_t)expect + 2);
    assert_non_null(reply->body);
    while (reply->body_len < (size_t)expect) {
        ssize_t n = recv(fd, reply->body + reply->body_len, (size_t)expect - reply->body_len, 0);
        if (n <= 0) break;
        reply->body_len += (size_t)n;
    }
    /* a closed connection carries not one byte more than was announced */
    if (reply->closed && reply->body_len == (size_t)expect)
        assert_int_equal(recv(fd, reply->body + reply->body_len, 1, 0), 0);
    reply->body[reply->body_len] = '\0';
}

void raw_ask(uint16_t port, const char *request, struct reply *reply)
{
    int fd = raw_connect(port);
    raw_send(fd, request, strlen(request));
    raw_read(fd, strncmp(request, "HEAD ", 5) == 0, reply);
    close(fd);
}

/* ---- over the socket ---- */

int api_ask(const struct serve_case *c, const char *method, const char *path, const void *body, size_t len,
            struct reply *reply)
{
    char head[512];
    int fd = raw_connect_unix(c->socket_path);
    int n = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: molt\r\nContent-Length: %zu\r\n\r\n", method,
                     path, len);
    raw_send(fd, head, (size_t)n);
    if (len > 0) raw_send(fd, body, len);
    raw_read(fd, false, reply);
    close(fd);
    return reply->status;
}

static uint8_t *build(enum molt_chip chip, uint32_t seed, uint32_t size, const struct image_build_tag *tags,
                      size_t tag_count, size_t *len)
{
    struct image_build spec = {.chip = chip,
                               .size = size,
                               .seed = seed,
                               .flash_size = 4u << 20,
                               .flash_mode = 2,
                               .tags = tags,
                               .tag_count = tag_count};
    uint8_t *image = NULL;
    assert_int_equal(image_build(&spec, &image, len), 0);
    return image;
}

uint8_t *build_image_of(enum molt_chip chip, uint32_t code, uint32_t size, size_t *len)
{
    char text[16];
    snprintf(text, sizeof text, "%u", code);
    struct image_build_tag tags[] = {{"version", text}, {"code", text}};
    return build(chip, code, size, tags, 2, len);
}

uint8_t *build_plain_image(enum molt_chip chip, uint32_t seed, uint32_t size, size_t *len)
{
    return build(chip, seed, size, NULL, 0, len);
}

uint8_t *publish_image_of(const struct serve_case *c, const char *product, enum molt_chip chip, uint32_t code,
                          uint32_t size, size_t *len)
{
    char path[256];
    struct reply reply;
    uint8_t *image = build_image_of(chip, code, size, len);
    snprintf(path, sizeof path, "/api/v1/releases?product=%s&version=%u", product, code);
    if (api_ask(c, "POST", path, image, *len, &reply) != 201) fail_msg("publish: %s", (char *)reply.body);
    reply_free(&reply);
    return image;
}

void assign(const struct serve_case *c, const char *id, const char *product)
{
    char path[128], body[128];
    struct reply reply;
    snprintf(path, sizeof path, "/api/v1/devices/%s", id);
    snprintf(body, sizeof body, "{\"product\":\"%s\"}", product);
    if (api_ask(c, "PATCH", path, body, strlen(body), &reply) != 200)
        fail_msg("assign: %s", (char *)reply.body);
    reply_free(&reply);
}

const char *device_text(const struct serve_case *c, const char *id, const char *field)
{
    static char text[256];
    char path[128];
    struct reply reply;
    json_error_t error;
    snprintf(path, sizeof path, "/api/v1/devices/%s", id);
    text[0] = '\0';
    if (api_ask(c, "GET", path, NULL, 0, &reply) == 200) {
        json_t *device = json_loads((const char *)reply.body, 0, &error);
        assert_non_null(device);
        const json_t *value = device;
        char name[64], *save = NULL;
        snprintf(name, sizeof name, "%s", field);
        for (char *part = strtok_r(name, ".", &save); part != NULL; part = strtok_r(NULL, ".", &save))
            value = json_object_get(value, part);
        if (json_is_string(value))
            snprintf(text, sizeof text, "%s", json_string_value(value));
        else if (json_is_integer(value))
            snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
        else if (json_is_boolean(value))
            snprintf(text, sizeof text, "%s", json_is_true(value) ? "true" : "false");
        json_decref(device);
    }
    reply_free(&reply);
    return text;
}

void await_device_text(const struct serve_case *c, const char *id, const char *field, const char *value)
{
    for (int i = 0; i < 12000; i++) {
        if (strcmp(device_text(c, id, field), value) == 0) return;
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    }
    fail_msg("%s of %s is \"%s\", not \"%s\"", field, id, device_text(c, id, field), value);
}

/* ---- the stock clients ---- */

void ask_version(uint16_t port, const char *path, struct reply *reply)
{
    char request[1024];
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: ota.example.test:18080\r\nUser-Agent: ESP8266HTTPClient\r\n"
             "Accept-Encoding: identity;q=1,chunked;q=0.1,*;q=0\r\nConnection: keep-alive\r\nContent-Length: "
             "0\r\n\r\n",
             path);
    raw_ask(port, request, reply);
}

void ask_version_esp32(uint16_t port, const char *path, struct reply *reply)
{
    char request[1024];
    snprintf(request, sizeof request,
             "GET %s HTTP/1.1\r\nHost: 127.0.0.1:18082\r\nUser-Agent: ESP32HTTPClient\r\n"
             "Connection: keep-alive\r\nAccept-Encoding: identity;q=1,chunked;q=0.1,*;q=0\r\n\r\n",
             path);
    raw_ask(port, request, reply);
}

#define OR(value, fallback) ((value) != 0 ? (value) : (fallback))

void ask_esp8266(uint16_t port, const char *path, const struct esp8266 *d, struct reply *reply)
{
    char request[2048];
    int n = snprintf(
        request, sizeof request,
        "%s %s HTTP/1.0\r\nHost: ota.example.test:18080\r\nUser-Agent: ESP8266-http-Update\r\n%s%s%s"
        "Connection: close\r\n%sx-ESP8266-STA-MAC: %s\r\nx-ESP8266-AP-MAC: 5E:CF:7F:0A:0B:0C\r\n"
        "x-ESP8266-free-space: %u\r\nx-ESP8266-sketch-size: %u\r\nx-ESP8266-sketch-md5: %s\r\n"
        "x-ESP8266-chip-size: %u\r\nx-ESP8266-sdk-version: 2.2.2-dev(38a443e)\r\nx-ESP8266-mode: %s\r\n%s%s%s"
        "Content-Length: 0\r\n\r\n",
        d->verb != NULL ? d->verb : "GET", path, d->authorization != NULL ? "Authorization: " : "",
        d->authorization != NULL ? d->authorization : "", d->authorization != NULL ? "\r\n" : "",
        d->old_core ? "" : "x-ESP8266-Chip-ID: 658188\r\n", d->mac != NULL ? d->mac : "5C:CF:7F:0A:0B:0C",
        OR(d->free_space, 1695744), OR(d->sketch_size, 400000),
        d->md5 != NULL ? d->md5 : "ab818079629545111fd8ef7c65a485e9", OR(d->flash_size, 4194304),
        d->mode != NULL ? d->mode : "sketch", d->version != NULL ? "x-ESP8266-version: " : "",
        d->version != NULL ? d->version : "", d->version != NULL ? "\r\n" : "");
    assert_true(n > 0 && (size_t)n < sizeof request);
    raw_ask(port, request, reply);
}

void ask_esp32(uint16_t port, const char *path, const struct esp32 *d, struct reply *reply)
{
    char request[2048];
    int n = snprintf(
        request, sizeof request,
        "GET %s HTTP/1.0\r\nHost: 127.0.0.1:18082\r\nUser-Agent: ESP32-http-Update\r\nConnection: close\r\n"
        "Cache-Control: no-cache\r\nx-ESP32-STA-MAC: %s\r\nx-ESP32-AP-MAC: 24:0A:C4:00:00:02\r\n"
        "x-ESP32-free-space: %u\r\nx-ESP32-sketch-size: 800000\r\n"
        "x-ESP32-sketch-md5: e90602644f5b5f1ab371ddff9152d545\r\nx-ESP32-sketch-sha256: %s\r\n"
        "x-ESP32-chip-size: 4194304\r\nx-ESP32-sdk-version: v4.4.1-472-gc9140caf8c\r\nx-ESP32-mode: "
        "%s\r\n\r\n",
        path, d->mac != NULL ? d->mac : "24:0A:C4:00:00:01", OR(d->slot_size, 1310720),
        d->sha256 != NULL ? d->sha256 : "9CF4F1CA6587966656016196CACB8F054A6846288DD6FE1C4CA914773328D9EE",
        d->mode != NULL ? d->mode : "sketch");
    assert_true(n > 0 && (size_t)n < sizeof request);
    raw_ask(port, request, reply);
}
