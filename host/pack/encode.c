/* encode.c - makes a pack: relates output and base, codes the frames, then writes the header that binds it all.
 * Must give the same bytes for the same job. Tests: test/property/pack_property_test.c. */
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "host/facts.h"
#include "host/pack/pack.h"
#include "host/pack/pack_parts.h"
#include "util/bytes.h"
#include "util/crc.h"

#define FRAME_LOG2_WHOLE    17u
#define FRAME_LOG2_DELTA    18u
#define FRAME_LOG2_IN_PLACE 15u /* of MOLT_PACK_REACH bytes */
#define ALWAYS_TRIED        (128u << 10)

void pack_identity(const uint8_t *data, size_t len, uint8_t digest[MOLT_SHA256_LEN], bool *masked)
{
    struct facts facts;
    facts_read(data, len, &facts, NULL, NULL);
    *masked = facts.is_image && facts.refusal == 0 && !facts.gzip && facts.image.chip == MOLT_CHIP_ESP8266;
    if (facts.is_image && facts.refusal == 0 && !facts.gzip && facts.image.chip != MOLT_CHIP_UNKNOWN)
        memcpy(digest, facts.image.digest, MOLT_SHA256_LEN);
    else
        SHA256(data, len, digest);
}

/* ---- the header ---- */

/* Is every step of the map small enough for a number of the pack? */
static bool is_tellable(const struct pack_map *map)
{
    for (uint32_t i = 1; i <= map->end[PACK_MAP_PARTS]; i++) {
        const struct pack_row *row = &map->row[i];
        if (((pack_fold(row->from - row[-1].from) | pack_fold(row->is - row[-1].is)) >> 31) != 0)
            return false;
    }
    return true;
}

static bool put_map(struct pack_encoder *e, struct pack_list *to)
{
    struct pack_coder c = {.bytes = *to};
    struct pack_models *m = &e->models.first;
    const struct pack_map *map = &e->map;
    const uint32_t bases = map->end[PACK_MAP_OUT];
    if (map->end[PACK_MAP_PARTS] == 0) return true;
    pack_all_models_reset(&e->models);
    pack_coder_begin(&c);
    for (uint32_t part = 0; part < PACK_MAP_PARTS; part++)
        pack_put_number(&c, &m->base_len, pack_map_count(map, part));
    for (uint32_t i = 1; i <= map->end[PACK_MAP_PARTS]; i++) {
        const struct pack_row *row = &map->row[i];
        const struct pack_row *like = i > bases && i <= map->end[PACK_MAP_RANGES] ? row - bases : row - 1;
        pack_put_number(&c, &m->base_pos, pack_fold(row->from - like->from));
        pack_put_number(&c, &m->shift, pack_fold(row->is - like->is));
    }
    pack_coder_end(&c);
    *to = c.bytes;
    return !c.failed;
}

static uint32_t head_len(const struct pack_file *base)
{
    return base->len < MOLT_PACK_BASE_HEAD ? base->len : MOLT_PACK_BASE_HEAD;
}

static void put_fixed(const struct pack_encoder *e, const struct pack_job *job, uint32_t frame_log2,
                      uint32_t map_len, uint8_t *h)
{
    bool masked = false;
    memset(h, 0, MOLT_PACK_FIXED_LEN);
    memcpy(h, MOLT_PACK_MAGIC, 4);
    h[5] = e->base != NULL ? (uint8_t)e->map.arch : e->out->arch;
    h[6] = (uint8_t)frame_log2;
    h[7] = (uint8_t)(((e->out->len - 1) >> frame_log2) + 1);
    molt_store32le(h + 8, e->out->len);
    molt_store32le(h + 16, map_len);
    SHA256(e->out->data, e->out->len, h + 24);
    if (e->base == NULL) return;
    pack_identity(job->base, job->base_len, h + 56, &masked);
    h[4] = (uint8_t)(1u | (masked ? 2u : 0u) | (e->body_only ? 4u : 0u) | (e->in_place ? 8u : 0u));
    molt_store32le(h + 12, e->base->len);
    molt_store32le(h + 20, molt_crc32_lsb(0, e->base->data, head_len(e->base)));
}

/* ---- the whole ---- */

static bool relate(struct pack_encoder *e)
{
    const struct pack_file *base = e->base, *out = e->out;
    struct pack_map *map = &e->map;
    if (base->arch == out->arch && base->segments > 0 && out->segments > 0) {
        pack_map_files(map, base, out);
        pack_map_files(&e->turned, out, out);
        if (!is_tellable(map)) memset(map, 0, sizeof *map); /* nothing is predicted */
    }
    if (!pack_align(&e->index, out->data, out->len, &e->copies)) return false;
    if (map->arch == PACK_ARCH_NONE) return true;
    struct pack_index index = {0};
    uint8_t *normal = malloc((size_t)base->len + out->len);
    bool good = normal != NULL && pack_table_learn(map, base, out, &e->copies, e->rows) &&
                pack_normalise(map, base, out, &e->copies, normal, normal + base->len);
    e->copies.count = good ? 0 : e->copies.count;
    good = good && pack_index_make(&index, normal, base->len) &&
           pack_align(&index, normal + base->len, out->len, &e->copies) &&
           pack_table_learn(map, base, out, &e->copies, e->rows);
    pack_index_free(&index);
    free(normal);
    return good;
}

static bool prepare(struct pack_encoder *e)
{
    pack_predictor_on(&e->predictor, &e->map, e->base != NULL ? e->base : e->out);
    e->matches = pack_matches_new(e->out->data, e->out->len);
    if (e->matches == NULL) return false;
    if (e->base == NULL) return true;
    return pack_index_make(&e->index, e->base->data, e->base->len) && relate(e);
}

static bool put_frames(struct pack_encoder *e, const struct pack_job *job, uint32_t frame_log2,
                       struct pack_list *index)
{
    for (uint32_t from = 0; from < e->out->len;) {
        uint32_t left = e->out->len - from, len = left < 1u << frame_log2 ? left : 1u << frame_log2;
        size_t before = e->coder.bytes.count;
        struct molt_pack_frame *frame = pack_list_add(index, sizeof *frame);
        if (frame == NULL || !pack_frame(e, from, from + len)) return false;
        frame->len = (uint32_t)(e->coder.bytes.count - before);
        frame->crc = molt_crc32_lsb(0, e->out->data + from, len);
        from += len;
        if (job->progress != NULL && !job->progress(job->ctx, from, e->out->len)) {
            e->given_up = true;
            return false;
        }
    }
    return true;
}

static uint8_t *assemble(struct pack_encoder *e, const struct pack_job *job, uint32_t frame_log2,
                         const struct pack_list *index, size_t *out_len)
{
    struct pack_list map = {0};
    const struct molt_pack_frame *frame = index->data;
    if (e->base != NULL && !put_map(e, &map)) {
        free(map.data);
        return NULL;
    }
    size_t head = MOLT_PACK_FIXED_LEN + 8 * index->count + map.count;
    uint8_t *pack = malloc(head + 4 + e->coder.bytes.count);
    if (pack != NULL) {
        put_fixed(e, job, frame_log2, (uint32_t)map.count, pack);
        for (size_t i = 0; i < index->count; i++) {
            molt_store32le(pack + MOLT_PACK_FIXED_LEN + 8 * i, frame[i].len);
            molt_store32le(pack + MOLT_PACK_FIXED_LEN + 8 * i + 4, frame[i].crc);
        }
        if (map.count > 0) memcpy(pack + head - map.count, map.data, map.count);
        molt_store32le(pack + head, molt_crc32_lsb(0, pack, head));
        memcpy(pack + head + 4, e->coder.bytes.data, e->coder.bytes.count);
        *out_len = head + 4 + e->coder.bytes.count;
    }
    free(map.data);
    return pack;
}

static void tell(const struct pack_encoder *e, const struct pack_list *index, size_t pack_len,
                 struct pack_report *report)
{
    report->literals = e->tally.literals;
    report->matches = e->tally.matches;
    report->base_copies = e->tally.base_copies;
    report->base_bytes = e->tally.base_bytes;
    report->wrong_units = e->tally.wrong_units;
    report->table_len = pack_map_count(&e->map, PACK_MAP_SHIFTS);
    report->frames = (uint32_t)index->count;
    report->head_len = (uint32_t)(pack_len - e->coder.bytes.count);
}

/* One pack, with or without the base. */
static int encode(const struct pack_job *job, uint8_t **pack, size_t *pack_len, struct pack_report *report)
{
    struct pack_file *files = calloc(2, sizeof *files);
    struct pack_encoder *e = calloc(1, sizeof *e);
    uint8_t *base = NULL;
    struct pack_list index = {0};
    int rc = -MOLT_NO_MEMORY;
    if (files == NULL || e == NULL) goto done;
    e->out = &files[0];
    pack_file_read(&files[0], job->data, job->len);
    if (job->base != NULL) {
        bool masked;
        uint8_t digest[MOLT_SHA256_LEN];
        base = malloc(job->base_len);
        if (base == NULL) goto done;
        memcpy(base, job->base, job->base_len);
        pack_identity(base, job->base_len, digest, &masked);
        if (masked) base[2] = base[3] = 0;
        rc = (job->in_place || job->body_only) && !masked ? -MOLT_ARG : rc; /* no ESP8266 image */
        if (rc == -MOLT_ARG) goto done;
        pack_file_read(&files[1], base, job->base_len);
        e->in_place = job->in_place;
        e->rows = job->small ? MOLT_PACK_ROWS_SMALL : MOLT_PACK_ROWS_ALL;
        e->body_only = masked && (job->body_only || job->in_place);
        if (e->body_only) memset(base, 0, head_len(&files[1]));
        e->base = &files[1];
    }
    uint32_t frame_log2 = job->frame_log2;
    if (e->in_place) frame_log2 = FRAME_LOG2_IN_PLACE;
    if (frame_log2 == 0) frame_log2 = job->base != NULL ? FRAME_LOG2_DELTA : FRAME_LOG2_WHOLE;
    while (frame_log2 < 24 && (job->len - 1) >> frame_log2 >= MOLT_PACK_FRAMES_MAX)
        frame_log2++;
    if (prepare(e) && put_frames(e, job, frame_log2, &index))
        *pack = assemble(e, job, frame_log2, &index, pack_len);
    if (*pack != NULL) rc = 0;
    if (e->given_up) rc = -MOLT_NOT_NOW;
    if (rc == 0) tell(e, &index, *pack_len, report);
done:
    if (e != NULL) {
        pack_matches_free(e->matches);
        pack_index_free(&e->index);
        free(e->copies.data);
        free(e->coder.bytes.data);
    }
    free(index.data);
    free(base);
    free(e);
    free(files);
    return rc;
}

/* A base that has little to do with the file is worse than none: then the pack of the whole file takes the delta's place.
 * Not tried where the delta is smaller than any firmware packs, as it takes as long again. */
static int whole_if_smaller(const struct pack_job *job, uint8_t **out, size_t *out_len,
                            struct pack_report *report)
{
    struct pack_job whole = *job;
    struct pack_report other;
    uint8_t *pack;
    size_t len;
    if (job->len > ALWAYS_TRIED && *out_len < job->len / 5 * 2) return 0;
    whole.base = NULL;
    whole.base_len = 0;
    whole.body_only = false;
    int rc = encode(&whole, &pack, &len, &other);
    if (rc == 0 && len < *out_len) {
        free(*out);
        *out = pack;
        *out_len = len;
        *report = other;
    } else if (rc == 0) {
        free(pack);
    } else {
        free(*out);
        *out = NULL;
    }
    return rc;
}

int pack_encode(const struct pack_job *job, uint8_t **out, size_t *out_len, struct pack_report *report)
{
    struct pack_report unused;
    bool sound = job->len - 1 < MOLT_PACK_OUT_MAX && (job->frame_log2 == 0 || job->frame_log2 - 12 <= 12) &&
                 (job->base == NULL || job->base_len - 1 < MOLT_PACK_OUT_MAX);
    if (job->in_place)
        sound = sound && job->base != NULL && job->len <= MOLT_PACK_REACH * MOLT_PACK_FRAMES_MAX;
    *out = NULL;
    if (!sound) return -MOLT_ARG;
    if (report == NULL) report = &unused;
    int rc = encode(job, out, out_len, report);
    if (rc == 0 && job->base != NULL && !job->small && !job->in_place)
        rc = whole_if_smaller(job, out, out_len, report);
    return rc;
}
