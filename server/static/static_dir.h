/* static_dir.h - `--static DIR`: a folder of <ID>.version and <ID>.bin, any names, as people already have it.
 *
 * /fota/X.version is looked for as DIR/fota/X.version, then as DIR/X.version, then as both with X spelled otherwise
 * (static_name.h). Nothing else in the folder is served.
 * A .bin counts only when every byte of it was verified; what was verified is kept as an artifact of the store, and
 * that copy is sent, so a file that is replaced or cut while it is sent changes nothing. The number of a .version
 * counts from the moment that a .bin with other content than that of the number before is there; the pair that
 * counts is remembered in <data>/static.state, so that a restart does not believe a raised number either.
 *
 * Each name becomes a product of its own with one release (product id STATIC_PRODUCT_ID), so that the one decision
 * is made over files too.
 *
 * An encrypted .bin cannot be verified here: it counts when the .suit beside it is of an encrypted application that is as
 * long, or longer (packed before it was encrypted). It is for clients that say that they are libmolt, which verify it;
 * everybody else is refused it. */
#ifndef MOLT_SERVER_STATIC_DIR_H
#define MOLT_SERVER_STATIC_DIR_H

#include <stdbool.h>

#include "../decide/rules.h"
#include "static_file.h"

#define STATIC_PRODUCT_ID       (-1)
#define STATIC_RELEASE_ID(code) (-(int64_t)(code)-1)

struct static_dir;

/* What the folder has for one name. */
struct static_answer {
    uint32_t code;   /* the number that counts; 0: there is no verified .bin */
    int reason;      /* 0, or why the files are not served as they stand: MOLT_VERSION_WITHOUT_IMAGE,
                        MOLT_VERSION_MALFORMED, MOLT_BIN_REFUSED, MOLT_BIN_CHANGING */
    int bin_refusal; /* what is wrong with the .bin, for MOLT_BIN_REFUSED */
    bool sealed;     /* the .bin is encrypted: nobody but libmolt may be offered it */
    struct rules_holder *rules; /* NULL: no verified .bin. Valid until static_dir_close() */
};

enum static_lookup {
    STATIC_NONE,  /* neither a .version nor a .bin: not ours */
    STATIC_KNOWN, /* *out is filled */
    STATIC_STALE, /* something changed: static_dir_refresh() must read it */
};

/* folder must exist. state_path: file that remembers the pairs; made when needed. store: outlives it.
 * 0, or -MOLT_NOT_FOUND, -MOLT_NO_MEMORY, -MOLT_STORE_FAILED (state_path). */
int static_dir_open(struct static_dir **out, const char *folder, const char *state_path, struct store *store);
void static_dir_close(struct static_dir *dir);

/* Looks a name up ("/fota/5CCF7FC602E2": the decoded path without its suffix). Two to four stat
 * calls for files named as they are asked for, at most 36; no reading. Any thread. */
enum static_lookup static_dir_peek(struct static_dir *dir, const char *name, struct static_answer *out);

/* Reads the signed statement <name>.suit that belongs to the verified .bin of answer into out (MOLT_STATEMENT_MAX bytes).
 * Its length, or 0 when there is none, or it is for another file. Blocking; any thread. */
size_t static_dir_manifest(struct static_dir *dir, const char *name, const struct static_answer *answer,
                           uint8_t *out);

/* Reads and verifies what changed, then answers as peek does (never STATIC_STALE). Blocking; any thread. */
enum static_lookup static_dir_refresh(struct static_dir *dir, const char *name, struct static_answer *out);

#endif
