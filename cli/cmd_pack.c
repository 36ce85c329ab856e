/* cmd_pack.c - `molt pack` makes a pack of a file, whole or against an older one, or explains one; `molt unpack` takes
 * it apart with the device's decoder. Must never leave half a file. Tests: test/e2e/pack_test.sh. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "host/pack/pack.h"
#include "load.h"
#include "output.h"
#include "text.h"
#include "util/text.h"

#define FRAME_KIB_MAX (MOLT_PACK_OUT_MAX >> 10)

static const struct args_option pack_options[] = {
    {"base", "OLD", "make a delta for devices that run this file", 0},
    {"out", "FILE", "where to write the pack, also -o (default: NEW.mpk)", 0},
    {"detools", NULL, "make a patch for ESP-IDF's esp_delta_ota instead; needs --base", 0},
    {"small", NULL, "a delta for a decoder built with MOLT_PACK_ROWS=120, which needs 3.8 KB", 0},
    {"molt-boot", NULL, "a delta for ESP8266 devices with molt-boot, which is not in FILE's first sector", 0},
    {"in-place", NULL, "for an ESP8266 without room for two images: it writes the delta over OLD", 0},
    {"frame", "KIB", "output that a device redoes at most after a power cut, KiB, a power of two from 4", 0},
    {"explain", NULL, "FILE is a pack: say what is in it", 0},
    {"json", NULL, "print JSON", 0},
    {0},
};

static const struct args_option unpack_options[] = {
    {"base", "OLD", "the file that the delta was made for", 0},
    {"out", "FILE", "where to write the file, also -o (required)", 0},
    {"json", NULL, "print JSON", 0},
    {0},
};

static int refuse(const char *path, int reason)
{
    output_error("%s: %s: %s", path, molt_reason_id(reason), molt_reason_sentence(reason));
    return EXIT_PROBLEM;
}

static bool save(const char *path, const uint8_t *data, size_t len)
{
    if (save_file(path, data, len)) return true;
    output_error("%s: %s", path, strerror(errno));
    return false;
}

/* ---- pack ---- */

static bool step(void *ctx, uint64_t done, uint64_t total)
{
    (void)total;
    output_progress_step(ctx, done);
    return true;
}

static void print_made(struct args *args, const char *out, const struct pack_job *job, bool delta, size_t len,
                       const struct pack_report *report)
{
    char text[120], size[64];
    double percent = 100.0 * (double)len / (double)job->len;
    if (args_has(args, "json")) {
        json_t *json =
            json_pack("{s:s, s:I, s:I, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "pack", out, "size",
                      (json_int_t)len, "unpacked", (json_int_t)job->len, "delta", delta, "head",
                      (json_int_t)report->head_len, "frames", (json_int_t)report->frames, "literals",
                      (json_int_t)report->literals, "matches", (json_int_t)report->matches, "base_copies",
                      (json_int_t)report->base_copies, "base_bytes", (json_int_t)report->base_bytes, "mended",
                      (json_int_t)report->wrong_units, "table", (json_int_t)report->table_len);
        output_json(json);
        json_decref(json);
        return;
    }
    printf("packed %s\n", out);
    snprintf(text, sizeof text, "%s, %.1f %% of the file", output_size(size, sizeof size, len), percent);
    output_field("  size", text);
    output_field("  kind", delta               ? "delta"
                           : job->base != NULL ? "whole file, which is smaller than a delta"
                                               : "whole file");
}

/* What does not go together. EXIT_GOOD: nothing. */
static int check_options(const struct args *args, uint64_t frame)
{
    const bool based = args_value(args, "base") != NULL, in_place = args_has(args, "in-place");
    if (args_has(args, "detools") &&
        (!based || frame != 0 || in_place || args_has(args, "molt-boot") || args_has(args, "small")))
        return command_usage_error(&command_pack, "--detools needs --base, and goes with no other option");
    if (!based && (args_has(args, "molt-boot") || args_has(args, "small")))
        return command_usage_error(&command_pack, "--molt-boot and --small are of deltas: --base is missing");
    if (in_place && (!based || frame != 0))
        return command_usage_error(&command_pack, "--in-place needs --base, and has frames of its own");
    if ((frame & (frame - 1)) != 0) return command_usage_error(&command_pack, "--frame is no power of two");
    return EXIT_GOOD;
}

static int make(struct args *args, const char *path, struct pack_job *job)
{
    char out[ARGS_VALUE_LEN + 8];
    struct output_progress progress;
    struct pack_report report;
    uint8_t *pack;
    size_t len;
    if (args_value(args, "out") != NULL)
        snprintf(out, sizeof out, "%s", args_value(args, "out"));
    else
        snprintf(out, sizeof out, "%s.mpk", path);
    output_progress_begin(&progress, "packing", job->len, args_has(args, "json"));
    job->progress = step;
    job->ctx = &progress;
    int rc;
    if (args_has(args, "detools")) {
        report = (struct pack_report){0};
        rc = pack_detools(job, &pack, &len);
    } else {
        rc = pack_encode(job, &pack, &len, &report);
    }
    output_progress_end(&progress);
    if (rc == -MOLT_ARG && (job->in_place || job->body_only))
        output_hint("--in-place and --molt-boot are for images of the ESP8266");
    if (rc < 0) return refuse(path, -rc);
    bool good = save(out, pack, len);
    bool delta = args_has(args, "detools") || (pack[4] & MOLT_PACK_DELTA) != 0;
    if (good) print_made(args, out, job, delta, len, &report);
    free(pack);
    return good ? EXIT_GOOD : EXIT_PROBLEM;
}

/* ---- explain ---- */

/* Rows of a part of the map that say something. */
static uint32_t rows(const struct molt_pack *head, uint32_t part)
{
    uint32_t count = 0;
    for (uint32_t i = head->map.end[part] + 1; i <= head->map.end[part + 1]; i++)
        count += head->map.row[i].is != 0;
    return count;
}

static void explain_json(const struct molt_pack *head, size_t len)
{
    char digest[2 * MOLT_SHA256_LEN + 1];
    molt_hex_encode(head->digest, MOLT_SHA256_LEN, digest);
    json_t *frames = json_array();
    for (uint32_t i = 0; i < head->frames; i++)
        json_array_append_new(frames, json_integer(head->frame[i].len));
    json_t *json = json_pack(
        "{s:I, s:I, s:b, s:b, s:b, s:s, s:i, s:i, s:i, s:i, s:I, s:o}", "size", (json_int_t)len, "unpacked",
        (json_int_t)head->out_len, "delta", head->base_len != 0, "molt_boot",
        (head->flags & MOLT_PACK_BODY_ONLY) != 0, "in_place", (head->flags & MOLT_PACK_IN_PLACE) != 0,
        "sha256", digest, "frame_log2", head->frame_log2, "rows", (int)head->map.end[PACK_MAP_PARTS], "table",
        (int)rows(head, PACK_MAP_SHIFTS), "segments", (int)rows(head, PACK_MAP_OUT), "head",
        (json_int_t)head->head_len, "frames", frames);
    if (head->base_len != 0) {
        molt_hex_encode(head->base_digest, MOLT_SHA256_LEN, digest);
        json_object_set_new(json, "base", json_string(digest));
        json_object_set_new(json, "base_size", json_integer(head->base_len));
    }
    output_json(json);
    json_decref(json);
}

static void explain_words(const char *path, const struct molt_pack *head, size_t len)
{
    static const char *const machines[] = {"none known", "Xtensa lx106", "Xtensa", "RISC-V"};
    char text[160], size[64], digest[2 * MOLT_SHA256_LEN + 1];
    printf("%s\n", text_printable(text, sizeof text, path));
    output_field("  is", (head->flags & MOLT_PACK_IN_PLACE) != 0
                             ? "a molt pack: a delta to be written over its base"
                         : (head->flags & MOLT_PACK_BODY_ONLY) != 0 ? "a molt pack: a delta for molt-boot"
                         : head->base_len != 0                      ? "a molt pack: a delta"
                                                                    : "a molt pack of a whole file");
    output_field("  size", output_size(size, sizeof size, len));
    output_field("  unpacked", output_size(size, sizeof size, head->out_len));
    molt_hex_encode(head->digest, MOLT_SHA256_LEN, digest);
    output_field("  sha256", digest);
    if (head->base_len != 0) {
        molt_hex_encode(head->base_digest, MOLT_SHA256_LEN, digest);
        output_field("  base", digest);
        output_field("  base size", output_size(size, sizeof size, head->base_len));
        output_field("  code", machines[head->map.arch]);
        snprintf(text, sizeof text, "%u segments, %u shifts of addresses", rows(head, PACK_MAP_OUT),
                 rows(head, PACK_MAP_SHIFTS));
        output_field("  map", text);
    }
    output_field("  header", output_size(size, sizeof size, head->head_len));
    uint32_t at = head->head_len;
    for (uint32_t i = 0; i < head->frames; i++) {
        snprintf(text, sizeof text, "%u: bytes from %u on, %u of the pack from %u on", i,
                 i << head->frame_log2, head->frame[i].len, at);
        output_field("  frame", text);
        at += head->frame[i].len;
    }
}

static int explain(struct args *args, const char *path, const uint8_t *data, size_t len)
{
    struct molt_pack *head = malloc(sizeof *head);
    int rc = head == NULL ? -MOLT_NO_MEMORY : pack_head(data, len, head);
    if (rc == 0) {
        uint64_t total = head->head_len;
        for (uint32_t i = 0; i < head->frames; i++)
            total += head->frame[i].len;
        if (total != len) rc = -MOLT_BAD_PACK; /* cut, or longer than it says */
    }
    if (rc == 0 && args_has(args, "json"))
        explain_json(head, len);
    else if (rc == 0)
        explain_words(path, head, len);
    free(head);
    return rc == 0 ? EXIT_GOOD : refuse(path, -rc);
}

static int run_pack(struct args *args)
{
    struct pack_job job = {0};
    uint8_t *data = NULL, *base = NULL;
    uint64_t frame = 0;
    int status;
    if (args_number(args, "frame", 4, FRAME_KIB_MAX, &frame) < 0)
        return command_usage_error(&command_pack, "%s", args->error);
    status = check_options(args, frame);
    if (status != EXIT_GOOD) return status;
    for (job.frame_log2 = 0; frame != 0 && frame << 10 > 1u << job.frame_log2;)
        job.frame_log2++;
    if (!load_file(args->operands[0], &data, &job.len)) return EXIT_PROBLEM;
    job.data = data;
    job.in_place = args_has(args, "in-place");
    job.small = args_has(args, "small");
    job.body_only = args_has(args, "molt-boot");
    status = EXIT_PROBLEM;
    if (args_has(args, "explain")) {
        status = explain(args, args->operands[0], data, job.len);
    } else if (args_value(args, "base") == NULL ||
               load_file(args_value(args, "base"), &base, &job.base_len)) {
        job.base = base;
        status = make(args, args->operands[0], &job);
    }
    free(base);
    free(data);
    return status;
}

/* ---- unpack ---- */

static int unpack(struct args *args, const char *path, const uint8_t *data, size_t len)
{
    const char *out = args_value(args, "out");
    uint8_t *base = NULL, *file = NULL;
    size_t base_len = 0, file_len = 0;
    if (args_value(args, "base") != NULL && !load_file(args_value(args, "base"), &base, &base_len))
        return EXIT_PROBLEM;
    int rc = pack_decode(data, len, base, base_len, &file, &file_len);
    free(base);
    if (rc == -MOLT_PACK_BASE && base == NULL)
        output_hint("it is a delta: give the older file with --base OLD");
    if (rc < 0) return refuse(path, -rc);
    bool good = save(out, file, file_len);
    if (good && args_has(args, "json")) {
        json_t *json = json_pack("{s:s, s:I}", "file", out, "size", (json_int_t)file_len);
        output_json(json);
        json_decref(json);
    } else if (good) {
        char size[64];
        printf("unpacked %s\n", out);
        output_field("  size", output_size(size, sizeof size, file_len));
    }
    free(file);
    return good ? EXIT_GOOD : EXIT_PROBLEM;
}

static int run_unpack(struct args *args)
{
    uint8_t *data;
    size_t len;
    if (args_value(args, "out") == NULL) return command_usage_error(&command_unpack, "--out FILE is missing");
    if (!load_file(args->operands[0], &data, &len)) return EXIT_PROBLEM;
    int status = unpack(args, args->operands[0], data, len);
    free(data);
    return status;
}

const struct command command_pack = {
    .name = "pack",
    .operands = "FILE",
    .summary = "compress a firmware for devices with molt, whole or as a delta",
    .more =
        "A pack needs no window in RAM: the device's flash is the window. With --base it holds only what "
        "changed\n"
        "between OLD and FILE; a device takes it only when it runs OLD. The same files give the same pack.",
    .examples = "  molt pack door.bin -o door.mpk\n"
                "  molt pack door-1.3.bin --base door-1.2.bin -o door.delta\n"
                "  molt pack --explain door.delta",
    .options = pack_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_pack,
};

const struct command command_unpack = {
    .name = "unpack",
    .operands = "PACK",
    .summary = "take a pack apart again, as a device does",
    .more = "Nothing is written unless the whole file came out right.",
    .examples = "  molt unpack door.mpk -o door.bin\n"
                "  molt unpack door.delta --base door-1.2.bin -o door-1.3.bin",
    .options = unpack_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_unpack,
};
