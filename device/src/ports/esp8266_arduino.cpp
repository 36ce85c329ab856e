/* esp8266_arduino.cpp - an ESP8266 under Arduino's core: flash, RTC memory, boot stage, keep store, Wi-Fi, BearSSL.
 * Must never write below the staging area, where the running sketch lies, nor above the file system's end.
 * Tests: test/sdk. */
#if defined(ARDUINO_ARCH_ESP8266)

#include <Arduino.h>
#include <ESP8266WiFi.h>
#include <WiFiClientSecure.h>
#include <StackThunk.h>
#include <flash_hal.h>
#include <stdlib.h>
#include <time.h>

extern "C" {
#include <user_interface.h>
}

#include "../slots/esp8266_eboot.h"
#include "../slots/molt_boot.h"
#include "../slots/molt_boot_sector.h"
#include "../util/secret.h"
#include "arduino.h"
#include "arduino_chip.h"
#include "bearssl.h"
#include "bearssl_reason.h"
#include "clock.h"

#define BOUNCE     256u  /* bytes copied at once for callers whose bytes are not aligned */
#define RECORD     1024  /* bytes of a TLS record that a server with max_fragment_length is asked for */
#define RECORD_MAX 16384 /* ... and what others send */
#define TLS_HEAP   (6200 + 6144 + 1024) /* BearSSL's stack, its contexts, the buffer for sending */

static struct {
    struct molt_flash flash;
    struct molt_esp8266_eboot eboot;
    struct molt_boot_slots molt_boot;
    struct molt_keep keep;
    const uint32_t *second; /* the second stage that molt-boot gets, NULL: none */
    uint32_t second_len;
    uint32_t changes, sketch_end, flash_end;
    char md5[33];
} chip;

/* ---- flash: the SDK takes whole words at word addresses, from words ---- */

static int flash_read(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    uint32_t words[BOUNCE / 4];
    uint8_t *out = static_cast<uint8_t *>(dst);
    (void)ctx;
    while (len > 0) {
        uint32_t skip = off & 3u;
        uint32_t n = len < BOUNCE - skip ? len : BOUNCE - skip;
        if (!ESP.flashRead(off - skip, words, (skip + n + 3u) & ~3u)) return -1;
        memcpy(out, reinterpret_cast<const uint8_t *>(words) + skip, n);
        off += n;
        out += n;
        len -= n;
    }
    return 0;
}

static bool is_ours(uint32_t off, uint32_t len)
{
    return off <= chip.flash_end && len <= chip.flash_end - off && off >= chip.sketch_end;
}

static int flash_write(void *ctx, uint32_t off, const void *src, uint32_t len)
{
    uint32_t words[BOUNCE / 4];
    const uint8_t *in = static_cast<const uint8_t *>(src);
    (void)ctx;
    if (!is_ours(off, len)) return -2;
    chip.changes++;
    while (len > 0) {
        uint32_t n = len < BOUNCE ? len : BOUNCE;
        memcpy(words, in, n);
        if (!ESP.flashWrite(off, words, n)) return -1;
        off += n;
        in += n;
        len -= n;
    }
    return 0;
}

static int flash_erase(void *ctx, uint32_t off, uint32_t len)
{
    (void)ctx;
    if (!is_ours(off, len)) return -2;
    chip.changes++;
    return ESP.flashEraseSector(off / MOLT_SECTOR) ? 0 : -1;
}

static bool flash_is_blank(void *ctx, uint32_t off, uint32_t len)
{
    uint8_t piece[64];
    while (len > 0) {
        uint32_t n = len < sizeof piece ? len : static_cast<uint32_t>(sizeof piece);
        if (flash_read(ctx, off, piece, n) != 0) return false;
        for (uint32_t i = 0; i < n; i++) {
            if (piece[i] != 0xFF) return false;
        }
        off += n;
        len -= n;
    }
    return true;
}

/* ---- boot stage ---- */

/* The first 128 bytes of RTC user memory are eboot's. */
static int write_rtc(void *ctx, const uint8_t *data, uint32_t len)
{
    uint32_t words[MOLT_EBOOT_COMMAND_LEN / 4];
    (void)ctx;
    if (len > sizeof words) return -1;
    memcpy(words, data, len);
    return ESP.rtcUserMemoryWrite(0, words, len) ? 0 : -1;
}

/* The chip was started with GPIO0 low (after a serial upload): a restart would end in UART mode. */
static bool is_boot_strap_uart(void)
{
    return ((GPI >> 16) & 0xf) == 1;
}

static enum molt_reset why_reset(void)
{
    switch (ESP.getResetInfoPtr()->reason) {
    case REASON_DEFAULT_RST:
        return MOLT_RESET_POWER;
    case REASON_EXCEPTION_RST:
        return MOLT_RESET_CRASH;
    case REASON_WDT_RST:
    case REASON_SOFT_WDT_RST:
        return MOLT_RESET_WATCHDOG;
    default:
        return MOLT_RESET_OTHER;
    }
}

/* What Arduino's boot stage left in the keep store: molt-boot's own sectors have its place. Zeros: there was none. */
static void inherit_keep(uint32_t keep_off)
{
    static const struct molt_keep_data nothing = {};
    struct molt_keep before;
    while (molt_keep_load_step(&chip.keep) > 0) {
    }
    if (keep_off == FS_PHYS_ADDR || memcmp(&chip.keep.data, &nothing, sizeof nothing) != 0) return;
    molt_keep_begin(&before, &chip.flash, FS_PHYS_ADDR - MOLT_KEEP_LEN);
    while (molt_keep_load_step(&before) > 0) {
    }
    if (memcmp(&before.data, &nothing, sizeof nothing) == 0) return;
    chip.keep.data = before.data;
    while (molt_keep_save_step(&chip.keep) > 0) {
    }
}

/* molt-boot's slots, or, when another boot stage is in sector 0, what Arduino's eboot needs. The keep store lies right
 * below the file system or molt-boot's own. */
static int slots_begin(struct molt_agent_config *config)
{
    static const struct molt_rtc rtc = {nullptr, write_rtc};
    uint32_t keep_off = FS_PHYS_ADDR;
    if (molt_boot_slots_begin(&chip.molt_boot, &chip.flash, &molt_bearssl_sha256) == 0) {
        if (molt_boot_keep_off(&chip.flash, &keep_off) != 0 || keep_off < MOLT_KEEP_LEN) return -MOLT_NO_SLOT;
        chip.molt_boot.reserved = MOLT_KEEP_LEN;
        chip.molt_boot.second = chip.second;
        chip.molt_boot.second_len = chip.second_len;
        config->slots = &chip.molt_boot.slots;
    } else {
        molt_esp8266_eboot_begin(&chip.eboot, &chip.flash, &molt_bearssl_sha256, &rtc, FS_PHYS_ADDR,
                                 is_boot_strap_uart());
        chip.eboot.reserved = MOLT_KEEP_LEN;
        config->slots = &chip.eboot.slots;
    }
    molt_keep_begin(&chip.keep, &chip.flash, keep_off - MOLT_KEEP_LEN);
    inherit_keep(keep_off);
    molt_keep_begin(&chip.keep, &chip.flash, keep_off - MOLT_KEEP_LEN);
    config->keep = &chip.keep;
    return 0;
}

int molt_arduino_chip_begin(struct molt_agent_config *config)
{
    chip.flash.size = ESP.getFlashChipRealSize();
    chip.flash.write_unit = 4;
    chip.flash.erase_sizes[0] = MOLT_SECTOR;
    chip.flash.read = flash_read;
    chip.flash.write = flash_write;
    chip.flash.erase = flash_erase;
    chip.flash.is_blank = flash_is_blank;
    int rc = molt_esp8266_sketch_len(&chip.flash, &config->image_len);
    if (rc < 0) return rc;
    chip.sketch_end = (config->image_len + MOLT_SECTOR - 1) & ~(MOLT_SECTOR - 1);
    chip.flash_end = FS_PHYS_ADDR + FS_PHYS_SIZE;
    if (chip.flash_end > chip.flash.size) return -MOLT_FLASH_SIZE;
    config->hash = &molt_bearssl_sha256;
    config->expect.chip = MOLT_CHIP_ESP8266;
    config->expect.chip_revision = MOLT_REVISION_UNKNOWN;
    config->expect.flash_size = chip.flash.size;
    config->fs_start = FS_PHYS_ADDR;
    config->reset = why_reset();
    WiFi.macAddress(config->mac);
    if (config->source == MOLT_SOURCE_URL) {
        strlcpy(chip.md5, ESP.getSketchMD5().c_str(), sizeof chip.md5);
        config->sketch_md5 = chip.md5;
    }
    return slots_begin(config);
}

/* Only a sketch that calls installBoot() links what follows: flash of which sector 0 alone may be written. */

static int sector0_write(void *ctx, uint32_t off, const void *src, uint32_t len)
{
    (void)ctx;
    if (off >= MOLT_SECTOR || len > MOLT_SECTOR - off) return -2;
    chip.changes++;
    return ESP.flashWrite(off, static_cast<const uint32_t *>(src), len) ? 0
                                                                        : -1; /* of a page in whole words */
}

static int sector0_erase(void *ctx, uint32_t off, uint32_t len)
{
    (void)ctx;
    if (off != 0 || len != MOLT_SECTOR) return -2;
    chip.changes++;
    return ESP.flashEraseSector(0) ? 0 : -1;
}

int MoltClass::installBoot(const uint32_t *sector)
{
    struct molt_flash flash = chip.flash;
    if (config.slots == nullptr) return -MOLT_NO_SLOT;
    if (is_boot_strap_uart()) return -MOLT_BOOT_STRAP;
    flash.write = sector0_write;
    flash.erase = sector0_erase;
    return molt_boot_sector_replace(&flash, sector);
}

bool MoltClass::hasBoot() const
{
    return config.slots != nullptr && config.slots == &chip.molt_boot.slots;
}

void MoltClass::setBootSecond(const uint32_t *second, uint32_t len)
{
    chip.second = second;
    chip.second_len = len;
}

int molt_arduino_chip_take_fs(struct molt_agent_config *config)
{
    static struct molt_fs_slots fs; /* only sketches that come here pay for it */
    if (config->slots == nullptr || FS_PHYS_SIZE == 0) return -MOLT_ARG;
    int rc = molt_fs_slots_begin(&fs, config->slots, FS_PHYS_ADDR, FS_PHYS_SIZE);
    if (rc == 0) config->fs = &fs;
    return rc;
}

uint32_t molt_arduino_chip_changes(void)
{
    return chip.changes;
}

/* ---- network ---- */

Client *molt_arduino_chip_client(void)
{
    static WiFiClient client;
    return &client;
}

bool molt_arduino_chip_has_joined(void)
{
    return WiFi.status() == WL_CONNECTED;
}

/* The TLS client, once there is one, and whether the size of its records is what the server can do: else it is what was left when the
 * server could not be asked. */
static struct {
    const Client *client;
    bool is_known;
} records;

bool molt_arduino_chip_connect(Client *client, const char *host, uint16_t port, uint32_t ms)
{
    client->setTimeout(ms); /* of TCP; BearSSL's client then takes its own 15 s for the handshake */
    if (client->connect(host, port) != 1) return false;
    if (client == records.client) records.is_known = true;
    return true;
}

/* Only a sketch that calls setTrustAnchors() or setKnownKey() links what stands from here on, but for verify. */

static struct {
    const BearSSL::X509List *anchors;
    const BearSSL::PublicKey *key;
    char host[MOLT_HOST_MAX + 1]; /* whom record is of */
    uint16_t port;
    int record;
} tls;

static BearSSL::WiFiClientSecure &secure_client(void)
{
    static BearSSL::WiFiClientSecure client;
    return client;
}

/* The core's parser drops the first byte of an EC key's point (4: two coordinates follow), which it takes for a tag. No signature is
 * good by such a key. Without that byte the length is even: it is put back, in the memory that the core's object frees. */
static int mend_key(const BearSSL::PublicKey *key)
{
    if (key->isRSA()) return 0;
    if (!key->isEC()) return MOLT_TLS_TRUST; /* it was not PEM or DER: the core would trip over it */
    br_ec_public_key *ec = const_cast<br_ec_public_key *>(key->getEC());
    if (ec->qlen % 2 == 1) return 0;
    unsigned char *point = static_cast<unsigned char *>(realloc(ec->q, ec->qlen + 1));
    if (point == nullptr) return MOLT_NO_MEMORY;
    memmove(point + 1, point, ec->qlen);
    point[0] = 4;
    ec->q = point;
    ec->qlen++;
    return 0;
}

static Client *prepare(const char *host, uint16_t port, int *reason)
{
    static BearSSL::Session session;
    BearSSL::WiFiClientSecure &client = secure_client();
    if (tls.key == nullptr && time(nullptr) < static_cast<time_t>(molt_clock_floor())) {
        *reason = MOLT_TLS_TIME;
        return nullptr;
    }
    const int rc = tls.key != nullptr ? mend_key(tls.key) : 0;
    if (rc != 0) {
        *reason = rc;
        return nullptr;
    }
    const bool is_other = tls.port != port || strcmp(tls.host, host) != 0;
    if (is_other) session = BearSSL::Session(); /* another server's is worth nothing */
    if (is_other || !records.is_known) {
        records.is_known = BearSSL::WiFiClientSecure::probeMaxFragmentLength(host, port, RECORD);
        tls.record = records.is_known ? RECORD : RECORD_MAX;
        strlcpy(tls.host, host, sizeof tls.host);
        tls.port = port;
    }
    uint32_t piece = static_cast<uint32_t>(tls.record) + 512u;
    if (ESP.getMaxFreeBlockSize() < piece || ESP.getFreeHeap() < piece + TLS_HEAP) {
        *reason = MOLT_NO_MEMORY;
        return nullptr;
    }
    if (tls.key != nullptr) {
        client.setKnownKey(tls.key);
    } else {
        client.setTrustAnchors(tls.anchors);
    }
    client.setBufferSizes(tls.record, 512);
    client.setSession(&session);
    records.client = &client;
    return &client;
}

/* The core has taken the bits of an alert away from BearSSL's number; -1000 is its own. */
static int why_not(void)
{
    const int error = secure_client().getLastSSLError();
    if (error == BR_ERR_OK) return MOLT_CONNECT; /* it did not come to TLS */
    if (error == -1000) return MOLT_NO_MEMORY;
    return molt_bearssl_reason(error, tls.key != nullptr);
}

void MoltClass::setTrustAnchors(const BearSSL::X509List *anchors)
{
    tls.anchors = anchors;
    prepare_ = prepare;
    why_ = why_not;
}

void MoltClass::setKnownKey(const BearSSL::PublicKey *key)
{
    tls.key = key;
    prepare_ = prepare;
    why_ = why_not;
}

/* ---- a signature needs 4,688 bytes of stack, and a sketch has 4,096: BearSSL's own stack has 6,200 ---- */

extern "C" {
uint32_t molt_verify_on_thunk(const uint8_t *digest, const uint8_t *key, const uint8_t *signature)
{
    return molt_bearssl_es256_i15.verify(digest, key, signature);
}
#if defined(__XTENSA__)
extern uint32_t thunk_molt_verify_on_thunk(const uint8_t *digest, const uint8_t *key,
                                           const uint8_t *signature);
make_stack_thunk(molt_verify_on_thunk)
#else
#define thunk_molt_verify_on_thunk molt_verify_on_thunk
#endif
}

uint32_t molt_arduino_chip_verify(const uint8_t *digest, const uint8_t *key, const uint8_t *signature)
{
    stack_thunk_add_ref();
    uint32_t verdict = thunk_molt_verify_on_thunk(digest, key, signature);
    stack_thunk_del_ref();
    return verdict;
}

#endif
