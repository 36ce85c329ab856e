/* clock_jump_test.c - the server's clock is set forward by ten years, and back by twenty, while it runs: devices are answered,
 * releases go out, results are acknowledged, limits let go after a minute, tokens and rows are what they were. The program's own
 * clock_gettime() and time() take the place of libc's; only the time of day is moved. */
#include "cmocka_all.h"

#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/checkin.h"
#include "serve_case.h"

#define YEAR_S (365 * 86400)

static atomic_llong offset_s, stopped_ns; /* stopped: the time of day stands still there, 0: it goes on */

int clock_gettime(clockid_t clock, struct timespec *out)
{
    const long rc = syscall(SYS_clock_gettime, clock, out);
    if (clock != CLOCK_REALTIME) return (int)rc;
    const long long at_ns = atomic_load(&stopped_ns);
    if (at_ns != 0) *out = (struct timespec){(time_t)(at_ns / 1000000000), (long)(at_ns % 1000000000)};
    out->tv_sec += (time_t)atomic_load(&offset_s);
    return (int)rc;
}

time_t time(time_t *out)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) *out = now.tv_sec;
    return now.tv_sec;
}

/* ---- what has to go on ---- */

static void poll_says(const struct serve_case *c, uint32_t code)
{
    struct reply r;
    char want[16];
    snprintf(want, sizeof want, "%u\n", code);
    ask_version(c->port, "/5CCF7F0A0B0C.version", &r);
    assert_int_equal(r.status, 200);
    assert_string_equal((const char *)r.body, want);
    reply_free(&r);
}

static void download_gives(const struct serve_case *c, const uint8_t *image, size_t len)
{
    struct reply r;
    const struct esp8266 device = {.mac = "5C:CF:7F:0A:0B:0C"};
    ask_esp8266(c->port, "/5CCF7F0A0B0C.bin", &device, &r);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_len, len);
    assert_memory_equal(r.body, image, len);
    reply_free(&r);
}

/* A device of libmolt reports that it runs code. */
static void report_is_kept(const struct serve_case *c, uint32_t code)
{
    struct molt_checkin said = {.id = "240ac4000001",
                                .chip = MOLT_CHIP_ESP32C3,
                                .product = "gate",
                                .version_code = code,
                                .flash_size = 4u << 20,
                                .can = MOLT_CAN_RAW,
                                .result = MOLT_CONFIRMED};
    uint8_t request[MOLT_CHECKIN_MAX + 256], body[MOLT_CHECKIN_MAX];
    struct reply r;
    char want[16];
    int len = molt_checkin_encode(&said, body, sizeof body);
    int head = snprintf((char *)request, 256,
                        "POST " MOLT_CHECKIN_PATH " HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len);
    memcpy(request + head, body, (size_t)len);
    int fd = raw_connect(c->port);
    raw_send(fd, request, (size_t)(head + len));
    raw_read(fd, false, &r);
    close(fd);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    snprintf(want, sizeof want, "%u", code);
    assert_string_equal(device_text(c, said.id, "running.code"), want);
}

static int newcomer(const struct serve_case *c, int number)
{
    struct reply r;
    char path[64];
    snprintf(path, sizeof path, "/5CCF7F0001%02X.version", number);
    ask_version(c->port, path, &r);
    reply_free(&r);
    snprintf(path, sizeof path, "/api/v1/devices/5ccf7f0001%02x", number);
    int status = api_ask(c, "GET", path, NULL, 0, &r);
    reply_free(&r);
    return status;
}

/* The status that a wrong token gets at the device plane. */
static int guess(const struct serve_case *c, int number)
{
    struct reply r;
    char request[128];
    snprintf(request, sizeof request, "GET /k/molt_%d/5CCF7F0A0B0C.version HTTP/1.1\r\nHost: x\r\n\r\n",
             number);
    raw_ask(c->port, request, &r);
    int status = r.status;
    reply_free(&r);
    return status;
}

static void stop_the_clock(void)
{
    struct timespec now;
    (void)syscall(SYS_clock_gettime, CLOCK_REALTIME, &now);
    atomic_store(&stopped_ns, (long long)now.tv_sec * 1000000000 + now.tv_nsec);
}

/* Newcomers and wrong tokens of this address until no more are taken: a minute after that some are, by whatever clock. It stands
 * still meanwhile, or on a slow machine they would be let go faster than they are used up. */
static void use_up_limits(const struct serve_case *c, int *newcomers, int *guesses)
{
    int made = 0;
    stop_the_clock();
    while (newcomer(c, (*newcomers)++) == 200)
        assert_in_range(++made, 1, 100);
    for (made = 0; guess(c, (*guesses)++) != 429;)
        assert_in_range(++made, 1, 200);
    atomic_store(&stopped_ns, 0);
}

static void jump(const struct serve_case *c, long long to_s, uint32_t code, int *newcomers, int *guesses)
{
    size_t len;
    use_up_limits(c, newcomers, guesses);
    atomic_store(&offset_s, to_s);
    (void)newcomer(c, (*newcomers)++); /* so that the limits have seen the new time */
    (void)guess(c, (*guesses)++);
    poll_says(c, code - 1); /* what it was, as if nothing were */
    uint8_t *image = publish_image_of(c, "lamp", MOLT_CHIP_ESP8266, code, 60000, &len);
    poll_says(c, code);
    download_gives(c, image, len);
    free(image);
    report_is_kept(c, code);
    atomic_store(&offset_s, to_s + 61);
    assert_int_equal(newcomer(c, (*newcomers)++), 200);
    assert_int_not_equal(guess(c, (*guesses)++), 429);
}

static void a_clock_that_jumps_costs_nothing(void **state)
{
    static struct serve_case c;
    int newcomers = 0, guesses = 0;
    struct reply r;
    size_t len;
    (void)state;
    serve_case_make(&c);
    serve_case_start(&c);
    free(publish_image_of(&c, "gate", MOLT_CHIP_ESP32C3, 1, 300000, &len));
    free(publish_image_of(&c, "lamp", MOLT_CHIP_ESP8266, 1, 60000, &len));
    ask_version(c.port, "/5CCF7F0A0B0C.version", &r); /* first contact */
    reply_free(&r);
    assign(&c, "5ccf7f0a0b0c", "lamp");
    poll_says(&c, 1);
    jump(&c, 10LL * YEAR_S, 2, &newcomers, &guesses);
    jump(&c, -20LL * YEAR_S, 3, &newcomers, &guesses);
    jump(&c, 0, 4, &newcomers, &guesses);
    /* and it starts on what it wrote in all those years */
    atomic_store(&offset_s, -5LL * YEAR_S);
    serve_case_stop(&c);
    serve_case_start(&c);
    poll_says(&c, 4);
    assert_string_equal(device_text(&c, "240ac4000001", "running.code"), "4");
    report_is_kept(&c, 5);
    serve_case_stop(&c);
    serve_case_remove(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clock_that_jumps_costs_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
