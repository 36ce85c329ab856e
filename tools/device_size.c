/* device_size.c - the smallest ESP8266 firmware that updates itself over HTTP: what device_size.py links and measures.
 * Must never be flashed: Wi-Fi, flash driver, SHA-256 and C library are names that the linker gives an address. */
#include "http/http.h"
#include "slots/esp8266_eboot.h"
#include "update/update.h"

#define FLASH_LEN  0x400000u
#define FS_START   0x200000u
#define GZIP_MAGIC 0x1Fu /* first byte of a gzip file */

int tcp_connect(const struct molt_url *url);
int tcp_send(const void *data, size_t len);
int tcp_receive(void *data, size_t len); /* bytes, 0 at the end, negative on failure */
void restart(void);
int spi_read(void *ctx, uint32_t off, void *dst, uint32_t len);
int spi_write(void *ctx, uint32_t off, const void *src, uint32_t len);
int spi_erase(void *ctx, uint32_t off, uint32_t len);
bool spi_is_blank(void *ctx, uint32_t off, uint32_t len);
int rtc_write(void *ctx, const uint8_t *data, uint32_t len);
void sha256_init(void *state);
void sha256_update(void *state, const void *data, size_t len);
void sha256_finish(void *state, uint8_t digest[MOLT_SHA256_LEN]);
void firmware(void);

static const struct molt_flash flash = {
    .size = FLASH_LEN,
    .write_unit = 4,
    .erase_sizes = {MOLT_SECTOR, 0x10000u},
    .read = spi_read,
    .write = spi_write,
    .erase = spi_erase,
    .is_blank = spi_is_blank,
};
static const struct molt_hash_ops sha256 = {sha256_init, sha256_update, sha256_finish};

static struct molt_update update;
static struct molt_inflate inflate;
static uint8_t window[4096];
static struct molt_response response;
static struct molt_esp8266_eboot eboot;
static char url_text[MOLT_HTTP_URL_MAX + 1] = "http://10.0.0.2:8266/bin", location[MOLT_HTTP_URL_MAX + 1];
static uint8_t packet[536];

/* Asks for the file, from where the engine wants it. */
static int ask(uint32_t from)
{
    struct molt_url url;
    size_t len;
    const struct molt_request request = {.url = &url, .range_from = from, .if_range = response.etag};
    int rc = molt_url_parse(&url, url_text);
    if (rc == 0) rc = molt_request_write(&request, (char *)packet, sizeof packet, &len);
    if (rc == 0) rc = tcp_connect(&url);
    if (rc == 0) rc = tcp_send(packet, len);
    molt_response_begin(&response, &(struct molt_response_expect){.range_from = from}, location,
                        sizeof location);
    return rc;
}

/* The head is here: on to another place, or the file comes. */
static int head_came(void)
{
    if (response.status >= 300) {
        int rc = molt_url_redirect(url_text, sizeof url_text, location);
        return rc < 0 ? rc : ask(0);
    }
    return 0;
}

static int begin(uint8_t first)
{
    const struct molt_job job = {.slots = &eboot.slots,
                                 .hash = &sha256,
                                 .expect = {.chip = MOLT_CHIP_ESP8266, .flash_size = FLASH_LEN},
                                 .file_len = response.length,
                                 .encoding = first == GZIP_MAGIC ? MOLT_GZIP : MOLT_RAW,
                                 .unpacker = &molt_ungzip,
                                 .inflate = &inflate,
                                 .window = window,
                                 .window_len = sizeof window,
                                 .etag = response.etag};
    return molt_begin(&update, &job);
}

static int body_came(const uint8_t *body, uint32_t len)
{
    int rc = update.received == 0 ? begin(body[0]) : 0;
    while (rc >= 0 && len > 0 && (rc = molt_step(&update)) > 0) {
        uint32_t taken = 0;
        if (rc == MOLT_NEED_DATA) rc = molt_feed(&update, body, len, &taken);
        body += taken;
        len -= taken;
    }
    return rc;
}

static int receive(void)
{
    const uint8_t *body;
    size_t body_len;
    int rc = 0, n = 1;
    while (rc >= 0 && (n = tcp_receive(packet, sizeof packet)) > 0) {
        const uint8_t *in = packet;
        size_t left = (size_t)n;
        while ((rc = molt_response_feed(&response, &in, &left, &body, &body_len)) > 0 &&
               rc != MOLT_HTTP_DONE) {
            rc = rc == MOLT_HTTP_HEAD ? head_came() : body_came(body, (uint32_t)body_len);
            if (rc < 0) return rc;
        }
    }
    return rc < 0 ? rc : molt_response_end(&response);
}

void firmware(void)
{
    molt_esp8266_eboot_begin_engine(&eboot, &flash, &(struct molt_rtc){.write = rtc_write}, FS_START, false);
    int rc = ask(0);
    if (rc == 0) rc = receive();
    while (rc >= 0 && rc != MOLT_READY)
        rc = molt_step(&update);
    if (rc == MOLT_READY) restart();
}
