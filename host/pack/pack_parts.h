/* pack_parts.h - what the files of the encoder share. The public face is pack.h. */
#ifndef MOLT_HOST_PACK_PARTS_H
#define MOLT_HOST_PACK_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pack/models.h"
#include "pack/predict.h"

#define PACK_SEGMENTS_MAX 8u
#define PACK_RANGES_MAX   4u

struct pack_segment {
    uint32_t off, len, addr; /* file offset, bytes, load address of the first */
};

struct pack_range {
    uint32_t first, end; /* addresses that a pointer may hold */
};

/* A file and where it lies in memory; data belongs to the caller. */
struct pack_file {
    const uint8_t *data;
    uint32_t len;
    uint8_t arch; /* enum pack_arch */
    uint32_t segments;
    struct pack_segment segment[PACK_SEGMENTS_MAX];
    uint32_t ranges;
    struct pack_range range[PACK_RANGES_MAX];
};

/* out[to, to + len) resembles base[from, from + len). */
struct pack_copy {
    uint32_t from, to, len;
};

/* A growing array of bytes or of items; data is malloc'ed. */
struct pack_list {
    void *data;
    size_t count, cap;
};

/* Room for one more item of size bytes; NULL when memory is short. */
void *pack_list_add(struct pack_list *list, size_t size);

/* ---- file.c: what is known of a file's layout ---- */
void pack_file_read(struct pack_file *file, const uint8_t *data, size_t len);

/* ---- index.c: where a string occurs in a file ---- */
struct pack_index {
    const uint8_t *data; /* borrowed */
    uint32_t len;
    int32_t *suffixes; /* sorted */
    uint32_t *first;   /* of 65537: the first suffix that begins with two bytes */
};
/* False when memory is short; free it all the same. */
bool pack_index_make(struct pack_index *index, const uint8_t *data, uint32_t len);
void pack_index_free(struct pack_index *index);
/* The length (up to limit) and place of the longest part that equals text; one shorter than 2 bytes counts as none. */
uint32_t pack_index_longest(const struct pack_index *index, const uint8_t *text, uint32_t limit,
                            uint32_t *from);

/* ---- align.c: which parts of the output come from the base ---- */
/* Copies in rising order of `to`, not overlapping there. False when memory is short. */
bool pack_align(const struct pack_index *base, const uint8_t *out, uint32_t out_len,
                struct pack_list *copies);

/* ---- relate.c: how addresses moved ---- */
/* A predictor that reads the file. map: its layout as base. */
void pack_predictor_on(struct pack_predictor *p, const struct pack_map *map, const struct pack_file *file);
/* The layouts of both files into an empty map, with no shifts. */
void pack_map_files(struct pack_map *map, const struct pack_file *base, const struct pack_file *out);
uint32_t pack_map_count(const struct pack_map *map, uint32_t part); /* rows of a part */
/* The table of shifts that pays, as long as the map has no more than `rows` rows, into map. */
bool pack_table_learn(struct pack_map *map, const struct pack_file *base, const struct pack_file *out,
                      const struct pack_list *copies, uint32_t rows);
/* Writes both files with every address replaced by where its target lies in the output, so that what only moved
 * looks equal. base_to, out_to: room for the whole files. */
bool pack_normalise(const struct pack_map *map, const struct pack_file *base, const struct pack_file *out,
                    const struct pack_list *copies, uint8_t *base_to, uint8_t *out_to);

/* ---- matches.c: earlier occurrences in the output ---- */
struct pack_match {
    uint32_t len, dist; /* dist: 0 is the byte before */
};
struct pack_matches; /* a binary tree over what was seen */
struct pack_matches *pack_matches_new(const uint8_t *data, uint32_t len);
void pack_matches_free(struct pack_matches *m);
/* Adds position pos (each once, rising); the matches there, longest last with rising distances, go into found
 * (at most PACK_MATCHES_MAX), unless it is NULL. limit: bytes that a match may have. Returns their number. */
#define PACK_MATCHES_MAX 280u
uint32_t pack_matches_at(struct pack_matches *m, uint32_t pos, uint32_t limit, struct pack_match *found);

/* ---- the models, as they lie in the decoder ---- */
struct pack_all_models {
    struct pack_models first; /* all that a delta has */
    struct pack_more_models more;
};
static inline void pack_all_models_reset(struct pack_all_models *m)
{
    pack_models_reset((uint16_t *)m, sizeof *m / sizeof(uint16_t));
}
/* The probabilities of a literal at an odd place or another: 256, and 512 more of those after a copy. */
static inline const uint16_t *pack_literal_models(const struct pack_all_models *m, bool odd, uint32_t offset)
{
    if (odd) return m->more.odd + offset;
    return offset == 0 ? m->first.literal : m->more.matched + (offset - 0x100);
}

/* ---- coder.c: the range coder and what symbols cost ---- */
struct pack_coder {
    uint64_t low;
    uint32_t range, pending;
    uint8_t cache;
    bool first;
    struct pack_list bytes;
    bool failed;
};
void pack_coder_begin(struct pack_coder *c); /* bytes: kept, appended to */
void pack_coder_end(struct pack_coder *c);
void pack_put_bit(struct pack_coder *c, uint16_t *prob, uint32_t bit);
void pack_put_direct(struct pack_coder *c, uint32_t value, uint32_t bits);
void pack_put_tree(struct pack_coder *c, uint16_t *probs, uint32_t value, uint32_t bits);
void pack_put_number(struct pack_coder *c, struct pack_number *number, uint32_t value);
uint32_t pack_fold(uint32_t value); /* signed to unsigned, small to small */

/* What coding it would cost, in 1/64 bit; the models stay as they are. */
#define PACK_BIT_PRICE 64u
uint32_t pack_price(uint16_t prob, uint32_t bit);
uint32_t pack_tree_price(const uint16_t *probs, uint32_t value, uint32_t bits);
uint32_t pack_number_price(const struct pack_number *number, uint32_t value);
uint32_t pack_dist_slot(uint32_t dist);

/* ---- frame.c, parse.c: one frame ---- */
enum { PACK_LITERAL, PACK_MATCH, PACK_BASE };
struct pack_token {
    uint8_t kind;
    uint32_t len, from; /* from: distance less 1, or place in the base */
};

/* What the decoder knows between two tokens. */
struct pack_state {
    uint32_t pos, cursor, rep[4];
    uint8_t state;
};

struct pack_encoder {
    const struct pack_file *base, *out; /* base: NULL for a whole image */
    struct pack_map map, turned;        /* turned: the output as a base, without shifts */
    struct pack_list copies;            /* of struct pack_copy */
    struct pack_matches *matches;
    struct pack_index index; /* of the base */
    struct pack_all_models models;
    struct pack_predictor predictor;
    struct pack_coder coder;
    struct pack_state now;
    uint8_t unit_history[2], chunk_history;
    bool body_only; /* nothing of the base's first sector */
    uint32_t rows;  /* of the map at most */
    bool in_place;  /* refer back only as far as inplace.h lets it */
    bool given_up;  /* the job's progress() said so */
    struct pack_tally {
        uint64_t literals, matches, base_copies, base_bytes, wrong_units;
    } tally;
};

/* Has the byte there models of its own? */
bool pack_is_odd(const struct pack_encoder *e, uint32_t pos);

/* Codes one token at e->now and moves on. */
void pack_put_token(struct pack_encoder *e, const struct pack_token *token);
/* Starts a frame at pos: models and state as the decoder begins. */
void pack_frame_begin(struct pack_encoder *e, uint32_t pos);
/* Appends a frame, out[from, to), to e->coder.bytes. False when memory is short. */
bool pack_frame(struct pack_encoder *e, uint32_t from, uint32_t to);
#endif
