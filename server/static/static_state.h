/* static_state.h - which number counted with which .bin, kept over restarts: an append-only text file, one line
 * "CODE SHA256 STEM\n" a change; the last line of a stem counts, a torn line is ignored. */
#ifndef MOLT_SERVER_STATIC_STATE_H
#define MOLT_SERVER_STATIC_STATE_H

#include <stdbool.h>
#include <stdint.h>

struct static_state;

/* The number that counts, and the .bin that was there when it began to count. code 0: none yet. */
struct static_pair {
    uint32_t code;
    uint8_t sha256[32];
};

/* Opens the file (made when needed) and calls each for every line, oldest first. NULL when that fails. */
struct static_state *
static_state_open(const char *path, void (*each)(void *ctx, const char *stem, const struct static_pair *pair),
                  void *ctx);
void static_state_close(struct static_state *state);

/* Appends a line, durable on return. False when it could not be written: the pair is then forgotten at a restart. */
bool static_state_append(struct static_state *state, const char *stem, const struct static_pair *pair);

#endif
