/* packs_test.c - packs over HTTP from a real server on loopback: instance manipulation (RFC 3229) and addresses of packs.
 * One test a rule. */
#include "cmocka_all.h"

#include <dirent.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "host/pack/pack.h"
#include "serve_case.h"

#define SIZE 120000u

struct images {
    struct serve_case c;
    uint8_t *data[3]; /* versions 1 and 2 of "lamp", version 1 of "door" */
    size_t len[3];
    char file[3][65], identity[3][65]; /* SHA-256 of the file, and the appended one */
};

static void hex_of(const uint8_t *bytes, char out[65])
{
    for (int i = 0; i < 32; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static int setup(void **state)
{
    static const char *const products[] = {"lamp", "lamp", "door"};
    struct images *im = calloc(1, sizeof *im);
    assert_non_null(im);
    serve_case_make(&im->c);
    serve_case_start(&im->c);
    for (uint32_t i = 0; i < 3; i++) {
        uint8_t digest[32];
        im->data[i] = publish_image_of(&im->c, products[i], MOLT_CHIP_ESP32, i == 1 ? 2 : 1, SIZE + 64 * i,
                                       &im->len[i]);
        assert_int_equal(EVP_Digest(im->data[i], im->len[i], digest, NULL, EVP_sha256(), NULL), 1);
        hex_of(digest, im->file[i]);
        hex_of(im->data[i] + im->len[i] - 32, im->identity[i]);
    }
    *state = im;
    return 0;
}

static int teardown(void **state)
{
    struct images *im = *state;
    serve_case_remove(&im->c);
    for (int i = 0; i < 3; i++)
        free(im->data[i]);
    free(im);
    return 0;
}

static void get(const struct images *im, const char *path, const char *headers, struct reply *r)
{
    char request[700];
    snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", path, headers);
    raw_ask(im->c.port, request, r);
}

/* Asks again until the answer has the status: the pack is made meanwhile, by a thread that gets what others leave. The test's own
 * time limit ends it. */
static void get_until(const struct images *im, const char *path, const char *headers, int status,
                      struct reply *r)
{
    for (;;) {
        get(im, path, headers, r);
        if (r->status == status) return;
        reply_free(r);
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
}

static void expect_unpacks(const struct images *im, const struct reply *r, int base, int image)
{
    uint8_t *out = NULL;
    size_t len = 0;
    const uint8_t *from = base >= 0 ? im->data[base] : NULL;
    assert_true(r->body_len < im->len[image]);
    assert_int_equal(pack_decode(r->body, r->body_len, from, base >= 0 ? im->len[base] : 0, &out, &len), 0);
    assert_int_equal(len, im->len[image]);
    assert_memory_equal(out, im->data[image], len);
    free(out);
}

static void manipulation(const char *wants, const char *base, char out[200])
{
    if (base != NULL)
        snprintf(out, 200, "A-IM: %s\r\nIf-None-Match: \"%s\"\r\n", wants, base);
    else
        snprintf(out, 200, "A-IM: %s\r\n", wants);
}

static void who_has_a_base_gets_the_difference(void **state)
{
    struct images *im = *state;
    struct reply r;
    char path[100], headers[200], want[70];
    snprintf(path, sizeof path, "/molt/v1/artifact/%s", im->file[1]);
    manipulation("vcdiff, molt-pack", im->file[0], headers);
    get(im, path, headers, &r);
    assert_int_equal(r.status, 200); /* it is not made yet: the image itself */
    assert_int_equal(r.body_len, im->len[1]);
    reply_free(&r);
    get_until(im, path, headers, 226, &r);
    assert_string_equal(reply_header(&r, "IM"), "molt-pack");
    snprintf(want, sizeof want, "\"%s\"", im->file[0]);
    assert_string_equal(reply_header(&r, "Delta-Base"), want);
    assert_non_null(strstr(reply_header(&r, "Cache-Control"), "no-store, im"));
    snprintf(want, sizeof want, "\"%s\"", im->file[1]);
    assert_string_equal(reply_header(&r, "ETag"), want);
    assert_string_equal(reply_header(&r, "x-MD5"), "");
    expect_unpacks(im, &r, 0, 1);
    reply_free(&r);

    manipulation("molt-pack", im->identity[0], headers); /* what a device knows of itself */
    get(im, path, headers, &r);
    assert_int_equal(r.status, 226);
    expect_unpacks(im, &r, 0, 1);
    reply_free(&r);
    snprintf(headers, sizeof headers, "A-IM: molt-pack\r\nIf-None-Match: \"x\", \"%s\" , \"%s\"\r\n",
             im->file[2], im->file[0]); /* of several bases the one that goes with it */
    get(im, path, headers, &r);
    assert_int_equal(r.status, 226);
    snprintf(want, sizeof want, "\"%s\"", im->file[0]);
    assert_string_equal(reply_header(&r, "Delta-Base"), want);
    expect_unpacks(im, &r, 0, 1);
    reply_free(&r);
    manipulation("molt-pack", NULL, headers);
    get_until(im, path, headers, 226, &r);
    assert_string_equal(reply_header(&r, "Delta-Base"), "");
    expect_unpacks(im, &r, -1, 1);
    reply_free(&r);
}

static void who_does_not_ask_for_it_gets_the_image(void **state)
{
    struct images *im = *state;
    struct reply r;
    char path[100], headers[200];
    snprintf(path, sizeof path, "/molt/v1/artifact/%s", im->file[1]);
    manipulation("molt-pack", im->file[0], headers);
    get_until(im, path, headers, 226, &r);
    reply_free(&r);
    static const char *const others[] = {"vcdiff", "molt-pack;q=0", "molt-packs", "molt-pack ;q=0.0", ",",
                                         ";"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        manipulation(others[i], im->file[0], headers);
        get(im, path, headers, &r);
        assert_int_equal(r.status, 200);
        assert_int_equal(r.body_len, im->len[1]);
        reply_free(&r);
    }
    manipulation("molt-pack;q=0.5", im->file[0], headers);
    get(im, path, headers, &r);
    assert_int_equal(r.status, 226);
    reply_free(&r);
    get(im, path, "", &r);
    assert_int_equal(r.status, 200);
    reply_free(&r);
    manipulation("molt-pack", im->file[0], headers); /* a piece of the image itself */
    strcat(headers, "Range: bytes=100-199\r\n");
    get(im, path, headers, &r);
    assert_int_equal(r.status, 206);
    assert_memory_equal(r.body, im->data[1] + 100, 100);
    reply_free(&r);
}

static void a_pack_has_an_address_and_ranges(void **state)
{
    struct images *im = *state;
    struct reply r, piece;
    char path[200], headers[200];
    snprintf(path, sizeof path, "/molt/v1/pack/%s/%s", im->identity[1], im->identity[0]);
    get(im, path, "", &r);
    assert_int_equal(r.status, 503);
    assert_string_equal(reply_header(&r, "Retry-After"), "10");
    assert_string_equal(reply_header(&r, "Cache-Control"), "no-store");
    reply_free(&r);
    get_until(im, path, "", 200, &r);
    expect_unpacks(im, &r, 0, 1);
    snprintf(headers, sizeof headers, "Range: bytes=40-\r\nIf-Range: %s\r\n", reply_header(&r, "ETag"));
    get(im, path, headers, &piece);
    assert_int_equal(piece.status, 206);
    assert_int_equal(piece.body_len, r.body_len - 40);
    assert_memory_equal(piece.body, r.body + 40, piece.body_len);
    reply_free(&piece);
    get(im, path, "Range: bytes=40-\r\nIf-Range: \"another\"\r\n", &piece);
    assert_int_equal(piece.status, 200);
    reply_free(&piece);
    get(im, path, "Range: bytes=100000-\r\n", &piece);
    assert_int_equal(piece.status, 416);
    reply_free(&piece);
    reply_free(&r);
    snprintf(path, sizeof path, "/molt/v1/pack/%s", im->identity[1]);
    get_until(im, path, "", 200, &r);
    expect_unpacks(im, &r, -1, 1);
    reply_free(&r);
}

static void no_pack_is_made_of_what_does_not_go_together(void **state)
{
    struct images *im = *state;
    struct reply r;
    char path[300], headers[200];
    const char *const pairs[][2] = {{im->identity[1], im->identity[2]}, /* another product's */
                                    {im->identity[1], im->identity[1]},
                                    {im->identity[1], im->file[0]}, /* no identity */
                                    {im->identity[1], "00"},
                                    {"..", im->identity[0]}};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        snprintf(path, sizeof path, "/molt/v1/pack/%s/%s", pairs[i][0], pairs[i][1]);
        get(im, path, "", &r);
        assert_int_equal(r.status, 404);
        if (pairs[i][0][0] != '.') assert_string_equal(reply_header(&r, "Cache-Control"), "no-store");
        reply_free(&r);
    }
    snprintf(path, sizeof path, "/molt/v1/artifact/%s", im->file[1]);
    manipulation("molt-pack", im->file[2], headers); /* counts as no base: a pack of the whole image */
    get_until(im, path, headers, 226, &r);
    assert_string_equal(reply_header(&r, "Delta-Base"), "");
    reply_free(&r);
}

/* Threads of this process, which is the server, that run at the lowest priority. */
static int lowest_threads(void)
{
    int found = 0;
    DIR *dir = opendir("/proc/self/task");
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        found += getpriority(PRIO_PROCESS, (id_t)atoi(entry->d_name)) == 19;
    }
    closedir(dir);
    return found;
}

/* Two packs of the next release are asked for, made one after the other; how often the device's questions were answered before
 * the first was there. */
static int answered_while_made(struct images *im, uint32_t code)
{
    struct reply r;
    char path[2][200], is[65];
    int answered = 0, status;
    size_t len;
    uint8_t *large = publish_image_of(&im->c, "lamp", MOLT_CHIP_ESP32, code, 400000 + 64 * code, &len);
    hex_of(large + len - 32, is);
    free(large);
    snprintf(path[0], sizeof path[0], "/molt/v1/pack/%s", is);
    snprintf(path[1], sizeof path[1], "/molt/v1/pack/%s/%s", is, im->identity[0]);
    for (int i = 0; i < 2; i++) {
        get(im, path[i], "", &r);
        assert_int_equal(r.status, 503);
        reply_free(&r);
    }
    do {
        get(im, "/p/lamp/fota/240AC4000009.version", "", &r);
        assert_int_equal(r.status, 200);
        reply_free(&r);
        get(im, path[0], "", &r);
        status = r.status;
        answered += status == 503;
        reply_free(&r);
        /* when all have it, nothing is told */
        assert_true(lowest_threads() == 1 || getpriority(PRIO_PROCESS, 0) == 19);
    } while (status == 503);
    assert_int_equal(status, 200);
    get_until(im, path[1], "", 200, &r);
    reply_free(&r);
    return answered;
}

/* Whoever asks is answered before the pack is there, many times over; but once this program was held up for as long as it took. */
static void devices_are_answered_while_packs_are_made(void **state)
{
    struct images *im = *state;
    size_t len;
    free(publish_image_of(&im->c, "lamp", MOLT_CHIP_ESP32, 3, 400000, &len));
    int most = 0;
    for (uint32_t code = 4; code < 10 && most < 5; code++) {
        int answered = answered_while_made(im, code);
        if (answered > most) most = answered;
    }
    assert_true(most >= 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_has_a_base_gets_the_difference, setup, teardown),
        cmocka_unit_test_setup_teardown(who_does_not_ask_for_it_gets_the_image, setup, teardown),
        cmocka_unit_test_setup_teardown(a_pack_has_an_address_and_ranges, setup, teardown),
        cmocka_unit_test_setup_teardown(devices_are_answered_while_packs_are_made, setup, teardown),
        cmocka_unit_test_setup_teardown(no_pack_is_made_of_what_does_not_go_together, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
