/* examine_file.c - a file by itself: image, gzip, flash dump, partition table, otadata, list of builds; and whether it can
 * go to the device. Must never believe a length in it. Tests: test/e2e/doctor/files_test.sh. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "examine.h"
#include "molt_reason.h"
#include "slots/esp32_otadata.h"
#include "util/bytes.h"

#define OTADATA_LEN 0x2000u

/* ---- ESP32: otadata and partition table ------------------------------------------------------------------- */

static const char *state_name(uint32_t state)
{
    static const char *const names[] = {"NEW", "PENDING_VERIFY", "VALID", "INVALID", "ABORTED"};
    return state < sizeof names / sizeof names[0] ? names[state]
           : state == MOLT_OTADATA_UNDEFINED      ? "UNDEFINED"
                                                  : "unknown";
}

/* Judges both records; slots 0: how many there are is not known. */
static void read_otadata(struct visit *visit, const uint8_t *data, unsigned slots)
{
    struct molt_otadata_entry entry[2];
    unsigned damaged = 0, blank = 0;
    int newest = -1;
    for (int i = 0; i < 2; i++) {
        molt_otadata_decode(data + (size_t)i * MOLT_SECTOR, &entry[i]);
        const bool empty = entry[i].seq == UINT32_MAX;
        blank += empty;
        damaged += !empty && !entry[i].crc_ok;
        visit_note(visit, "otadata[%d]: %s seq %u, %s, crc %s", i, empty ? "blank," : "",
                   empty ? 0 : entry[i].seq, state_name(entry[i].state), entry[i].crc_ok ? "right" : "wrong");
        if (!empty && entry[i].crc_ok && entry[i].seq > 0 && (newest < 0 || entry[i].seq > entry[newest].seq))
            newest = i;
    }
    if (newest >= 0 && slots > 0)
        visit_note(visit, "otadata: record %d is the newest: slot %u", newest,
                   (entry[newest].seq - 1) % slots);
    if (damaged > 0)
        visit_find(visit, MOLT_OTADATA_DAMAGED, true, "file", "the CRC of %u of 2 records is wrong", damaged);
    else if (blank == 2)
        visit_find(visit, MOLT_OTADATA_ERASED, false, "file",
                   "both records are blank: the first slot is started");
    if (newest < 0) return;
    const uint32_t state = entry[newest].state;
    if (state == MOLT_OTADATA_ABORTED || state == MOLT_OTADATA_INVALID)
        visit_find(visit, MOLT_ROLLED_BACK, true, "file", "the newest record, seq %u, is %s",
                   entry[newest].seq, state_name(state));
    else if (state == MOLT_OTADATA_PENDING_VERIFY || state == MOLT_OTADATA_NEW)
        visit_find(visit, MOLT_TRIAL_PENDING, false, "file", "the newest record, seq %u, is %s",
                   entry[newest].seq, state_name(state));
}

static bool read_table(struct visit *visit, const uint8_t *table, uint32_t flash_size,
                       struct molt_partitions *out)
{
    if (molt_partitions_parse(table, flash_size, out) < 0) {
        visit_find(visit, MOLT_BAD_PARTITIONS, true, "file",
                   "a row breaks the format, overlaps another or lies outside the flash");
        return false;
    }
    for (unsigned i = 0; i < out->slot_count; i++)
        visit_note(visit, "partition: slot %u at 0x%x, %u bytes", i, out->slot_off[i], out->slot_len[i]);
    if (out->slot_count < 2 || out->otadata_len == 0) {
        visit_find(visit, MOLT_NO_SLOT, true, "file", "%u OTA slots%s", out->slot_count,
                   out->otadata_len == 0 ? ", no otadata" : "");
        visit_foretell(visit, CLIENT_ESP32, -108, stock_error_text(STOCK_ESP32, -108));
        visit_foretell(visit, CLIENT_FOTA, 10, "Not enough space to begin OTA, partition size mismatch?");
        visit_foretell(visit, CLIENT_IDF, -1, "ESP_FAIL");
        visit_foretell(visit, CLIENT_IDF_PARTIAL, -1, "ESP_FAIL");
    }
    return true;
}

/* ---- flash dumps ------------------------------------------------------------------------------------------ */

static void read_slot(struct visit *visit, const uint8_t *data, size_t len, const char *name)
{
    struct facts facts;
    if (len == 0 || data[0] == 0xFF) {
        visit_note(visit, "%s: blank", name);
        return;
    }
    facts_read(data, len, &facts, NULL, NULL);
    const bool good =
        facts.is_image || facts.refusal == MOLT_IMAGE_TRAILING; /* the rest of the slot follows */
    visit_note(visit, "%s: %s, %s%s%s", name, molt_file_kind_name(facts.kind),
               good ? "every check passed" : molt_reason_id(facts.refusal),
               facts.texts.version[0] != '\0' ? ", version " : "", facts.texts.version);
    if (!good) visit_find(visit, facts.refusal, false, "file", "%s: %s", name, facts.detail);
}

static void read_esp32_dump(struct visit *visit, const uint8_t *data, size_t len)
{
    struct molt_partitions table;
    char name[24];
    if (!read_table(visit, data + MOLT_PARTITION_TABLE_OFFSET, (uint32_t)len, &table)) return;
    if (table.otadata_len == OTADATA_LEN && table.otadata_off + OTADATA_LEN <= len)
        read_otadata(visit, data + table.otadata_off, table.slot_count);
    if (table.factory_len > 0 && table.factory_off + table.factory_len <= len)
        read_slot(visit, data + table.factory_off, table.factory_len, "factory");
    for (unsigned i = 0; i < table.slot_count; i++) {
        snprintf(name, sizeof name, "slot %u", i);
        if (table.slot_off[i] + table.slot_len[i] <= len)
            read_slot(visit, data + table.slot_off[i], table.slot_len[i], name);
    }
}

/* ESP.checkFlashConfig(): what the running sketch's header says against what the chip has; Update.begin() asks it. */
static void judge_flash_config(struct visit *visit, const uint8_t *data, size_t len)
{
    static const uint32_t kib[16] = {512, 256, 1024, 2048, 4096, 2048, 4096, 0, 8192, 16384};
    const uint32_t said = kib[data[3] >> 4] * 1024;
    char text[96];
    if (said <= len) return;
    snprintf(text, sizeof text, "Update error: ERROR[8]: Flash config wrong: real: %zu, SDK: %u", len, said);
    visit_find(visit, MOLT_FLASH_CONFIG, true, "file",
               "header byte 3 is %02x: %u KiB of flash; the dump has %zu KiB", data[3], said / 1024,
               len / 1024);
    visit_foretell(visit, CLIENT_ESP8266, 8, text);
}

/* The image at 0 by its own length word; the dump goes on behind it. */
static void read_esp8266_dump(struct visit *visit, const uint8_t *data, size_t len)
{
    const uint32_t word = molt_load32le(data + 0x1010);
    visit_note(visit, "flash dump of an ESP8266, %zu bytes; the sketch has %u", len, word);
    read_slot(visit, data, word > 0x1018 && word <= len ? word : len, "sketch");
    judge_flash_config(visit, data, len);
}

/* ---- images ----------------------------------------------------------------------------------------------- */

static void hex(char *out, const uint8_t *bytes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* What people ask about an image; `molt inspect` says the rest. */
static void note_image(struct visit *visit, const struct facts *facts, bool esp32)
{
    char text[65];
    if (facts->has_tag)
        visit_note(visit, "version %s (code %u)%s%s", facts->tag_version, facts->tag_code,
                   facts->tag_product[0] != '\0' ? ", product " : "", facts->tag_product);
    else if (facts->texts.version[0] != '\0')
        visit_note(visit, "version %s, project %s", facts->texts.version, facts->texts.project);
    else
        visit_note(visit, "it does not say its version");
    hex(text, facts->md5, sizeof facts->md5);
    visit_note(visit, "x-MD5 to send with it: %s", text);
    hex(text, facts->sha256, sizeof facts->sha256);
    visit_note(visit, "SHA-256 %s", text);
    if (!esp32) visit_note(visit, "built for %u KiB of flash", facts->image.flash_size / 1024);
    visit_note(visit, "the device has room for %u bytes", patient_room(&visit->patient, esp32));
}

static void judge_image(struct visit *visit, const struct facts *facts, const uint8_t *data, size_t len)
{
    const struct patient_facts *said = &visit->patient.facts;
    const enum molt_chip chip = facts->image.chip;
    const bool esp32 = molt_chip_is_esp32_family(chip);
    if (facts->refusal != 0) {
        visit_find(visit, facts->refusal, true, "file", "%s%s%s", molt_file_kind_name(facts->kind),
                   facts->detail[0] != '\0' ? ": " : "", facts->detail);
        return;
    }
    visit_note(visit, "%s for %s, %llu bytes%s, every check passed", molt_file_kind_name(facts->kind),
               molt_chip_name(chip), (unsigned long long)facts->len, facts->gzip ? " packed" : "");
    if (said->chip != MOLT_CHIP_UNKNOWN && chip != said->chip) {
        visit_find(visit, MOLT_WRONG_CHIP, true, "file", "the image is for %s, the device is %s",
                   molt_chip_name(chip), molt_chip_name(said->chip));
        return;
    }
    note_image(visit, facts, esp32);
    if (facts->gzip && esp32)
        visit_find(visit, MOLT_CONTENT_ENCODED, true, "file", "gzip, which an ESP32 does not unpack");
    const uint32_t room = patient_room(&visit->patient, esp32);
    if (facts->len > room) {
        char gzip[96] = "";
        if (!esp32 && !facts->gzip) visit_gzip(data, len, room, gzip);
        visit_find(visit, MOLT_TOO_LARGE, true, "file", "%llu bytes, the device has room for %u%s",
                   (unsigned long long)facts->len, room, gzip);
    } else if (!esp32) {
        visit_overlap(visit, facts, "file");
    }
    if (!esp32 && !facts->gzip && said->layout != NULL &&
        facts->image.flash_size > visit->patient.esp8266_flash_size)
        visit_find(visit, MOLT_FLASH_TOO_SMALL, true, "file",
                   "built for %u KiB of flash, the device has %u KiB", facts->image.flash_size / 1024,
                   visit->patient.esp8266_flash_size / 1024);
}

static bool is_power_of_two(size_t len)
{
    return len >= 512u * 1024 && (len & (len - 1)) == 0;
}

static bool is_otadata(const uint8_t *data, size_t len)
{
    if (len != OTADATA_LEN) return false;
    for (size_t i = MOLT_OTADATA_ENTRY_LEN; i < MOLT_SECTOR; i++) {
        if (data[i] != 0xFF || data[MOLT_SECTOR + i] != 0xFF) return false;
    }
    return true;
}

static bool is_build_list(struct visit *visit, const uint8_t *data, size_t len)
{
    if (len == 0 || (data[0] != '{' && data[0] != '[')) return false;
    json_t *json = json_loadb((const char *)data, len, JSON_REJECT_DUPLICATES, NULL);
    const json_t *entry = json_is_array(json) ? json_array_get(json, 0) : json;
    const bool esphome = json_is_array(json_object_get(entry, "builds"));
    const bool fota = json_object_get(entry, "url") != NULL || json_object_get(entry, "bin") != NULL;
    const bool versioned = json_object_get(entry, "version") != NULL;
    json_decref(json);
    if ((!esphome && !fota) || !versioned)
        visit_find(visit, MOLT_MANIFEST_BAD, true, "file", "JSON without version and url, bin or builds");
    else
        visit_note(visit, "a list of builds for %s", esphome ? "ESPHome" : "esp32FOTA");
    return true;
}

static void sort(struct visit *visit, const uint8_t *data, size_t len)
{
    struct molt_partitions table;
    struct facts facts;
    if (is_otadata(data, len)) {
        read_otadata(visit, data, 0);
    } else if (len >= MOLT_PARTITION_TABLE_LEN && len <= MOLT_SECTOR && data[0] == 0xAA && data[1] == 0x50) {
        (void)read_table(visit, data, 16u << 20, &table);
    } else if (is_build_list(visit, data, len)) {
        return;
    } else if (is_power_of_two(len) && data[MOLT_PARTITION_TABLE_OFFSET] == 0xAA &&
               data[MOLT_PARTITION_TABLE_OFFSET + 1] == 0x50) {
        read_esp32_dump(visit, data, len);
    } else if (is_power_of_two(len) && data[0] == 0xE9 && data[MOLT_ESP8266_APP_OFFSET] == 0xE9) {
        read_esp8266_dump(visit, data, len);
    } else {
        facts_read(data, len, &facts, NULL, NULL);
        judge_image(visit, &facts, data, len);
    }
}

int examine_file(struct visit *visit, const struct examine_options *options, const uint8_t *data, size_t len,
                 char err[200])
{
    visit_begin(visit);
    wire_begin(&visit->wire, options->timeout_ms, options->patient.tls_buffer);
    if (patient_begin(&visit->patient, &options->patient) < 0) {
        snprintf(err, 200, "--layout, --sketch-size and --free-space do not go together");
        return -1;
    }
    sort(visit, data, len);
    return 0;
}
