/* static_state.c - the memory of static_dir.c over restarts. Must never believe a line that is not whole.
 * Tests: test/e2e/static_dir_test.c. */
#include "static_state.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../skins/client.h"
#include "static_file.h"

#define LINE_LEN (16 + 64 + STATIC_STEM_LEN)

struct static_state {
    int fd;
};

static bool parse_line(char *line, char **stem, struct static_pair *pair)
{
    size_t len = strlen(line);
    if (len == 0 || line[len - 1] != '\n') return false;
    line[len - 1] = '\0';
    char *save = NULL, *code = strtok_r(line, " ", &save), *sha = strtok_r(NULL, " ", &save);
    uint64_t number = 0;
    if (code == NULL || sha == NULL || save == NULL) return false;
    if (!client_number((struct http_slice){code, strlen(code)}, INT32_MAX, &number) || number == 0)
        return false;
    if (!client_hex((struct http_slice){sha, strlen(sha)}, pair->sha256, sizeof pair->sha256)) return false;
    pair->code = (uint32_t)number;
    *stem = save;
    return static_stem_ok(save);
}

struct static_state *
static_state_open(const char *path, void (*each)(void *ctx, const char *stem, const struct static_pair *pair),
                  void *ctx)
{
    struct static_state *state = malloc(sizeof *state);
    if (state == NULL) return NULL;
    state->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    FILE *file = state->fd >= 0 ? fopen(path, "re") : NULL;
    if (file == NULL) {
        if (state->fd >= 0) (void)close(state->fd);
        free(state);
        return NULL;
    }
    char line[LINE_LEN], *stem;
    struct static_pair pair;
    bool whole = true;
    while (fgets(line, sizeof line, file) != NULL) {
        whole = strchr(line, '\n') != NULL;
        if (parse_line(line, &stem, &pair)) each(ctx, stem, &pair);
    }
    (void)fclose(file);
    if (!whole) (void)!write(state->fd, "\n", 1); /* so that the next line begins a line */
    return state;
}

void static_state_close(struct static_state *state)
{
    if (state == NULL) return;
    (void)close(state->fd);
    free(state);
}

bool static_state_append(struct static_state *state, const char *stem, const struct static_pair *pair)
{
    char line[LINE_LEN], hex[65];
    for (size_t i = 0; i < sizeof pair->sha256; i++)
        (void)snprintf(hex + 2 * i, 3, "%02x", pair->sha256[i]);
    int n = snprintf(line, sizeof line, "%" PRIu32 " %s %s\n", pair->code, hex, stem);
    if (n < 0 || (size_t)n >= sizeof line) return false;
    return write(state->fd, line, (size_t)n) == n && fdatasync(state->fd) == 0;
}
