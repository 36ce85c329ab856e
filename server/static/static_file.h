/* static_file.h - safe reading below one folder: no way out of it, no devices or pipes, nothing hidden, bounded.
 * Files are read, never mapped: they are truncated by FTP uploads while they are read. */
#ifndef MOLT_SERVER_STATIC_FILE_H
#define MOLT_SERVER_STATIC_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATIC_STEM_LEN 256 /* "fota/5CCF7FC602E2", with the NUL */

/* What tells one state of a file from the next. present: false when there is no such file. */
struct static_key {
    bool present;
    uint64_t dev, ino, size;
    int64_t mtime_s, ctime_s;
    int64_t mtime_ns, ctime_ns;
};

bool static_key_equal(const struct static_key *a, const struct static_key *b);

/* True when the file was changed so short a time before now that a further change may have left the same key. */
bool static_key_is_fresh(const struct static_key *key);

/* True for a path that may name a file in the folder: components of printable characters without '\\' that do not
 * begin with '.', none empty, at most STATIC_STEM_LEN - 1 bytes. No leading '/'. */
bool static_stem_ok(const char *stem);

/* The state of <stem><suffix> below the folder dir_fd; one system call. */
void static_stat(int dir_fd, const char *stem, const char *suffix, struct static_key *out);

/* Opens the regular file <stem><suffix> below the folder (root: its real path). Symbolic links are followed as long
 * as they stay inside. Returns the descriptor, or -MOLT_NOT_FOUND. */
int static_open(int dir_fd, const char *root, const char *stem, const char *suffix);

/* Reads an open file whole, at most max bytes. *key is its state when all was read. 0 and *data (malloc'ed, caller
 * frees), -MOLT_FILE_TOO_LARGE, -MOLT_BIN_CHANGING (its state changed while it was read), -MOLT_NO_MEMORY,
 * -MOLT_STORE_FAILED. */
int static_read(int fd, size_t max, uint8_t **data, size_t *len, struct static_key *key);

/* Reads the text of a .version file as a device means it: white space, an UTF-8 BOM and a 'v' before the digits and
 * anything behind them are forgiven. 0 and *code (1 to 2147483647), or -MOLT_VERSION_MALFORMED. */
int static_parse_version(const uint8_t *text, size_t len, uint32_t *code);

#endif
