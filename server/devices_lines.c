/* devices_lines.c - lines that devices wrote, on their way to the store. Must never grow without bound while the store fails,
 * nor hold up what is true. Tests: test/e2e/history_test.sh. */
#include "devices_parts.h"

#include <stdlib.h>
#include <string.h>

#define LINES_BYTES_MAX (1u << 20)
#define LINES_BATCH     256

struct lines_entry {
    struct lines_entry *next;
    int64_t at_ms;
    size_t len;
    char device_id[MODEL_ID_LEN];
    char text[];
};

static void append(struct lines_queue *queue, struct lines_entry *entry)
{
    entry->next = NULL;
    if (queue->last != NULL)
        queue->last->next = entry;
    else
        queue->first = entry;
    queue->last = entry;
    queue->bytes += entry->len;
}

bool devices_add_lines(struct devices *devices, const char *id, const char *lines, int64_t now_ms)
{
    size_t len = strlen(lines);
    struct lines_entry *entry = malloc(sizeof *entry + len + 1);
    if (entry == NULL) return false;
    *entry = (struct lines_entry){.at_ms = now_ms, .len = len};
    memcpy(entry->device_id, id, strnlen(id, MODEL_ID_LEN - 1));
    memcpy(entry->text, lines, len + 1);
    pthread_mutex_lock(&devices->lock);
    bool room = devices->lines.bytes + len <= LINES_BYTES_MAX;
    if (room) append(&devices->lines, entry);
    pthread_mutex_unlock(&devices->lock);
    if (!room) free(entry);
    return room;
}

static struct lines_entry *take(struct lines_entry **list)
{
    struct lines_entry *entry = *list;
    if (entry != NULL) *list = entry->next;
    return entry;
}

/* The first of the list, at most a batch, in one transaction. False: they are not saved. */
static bool write_batch(struct devices *devices, const struct lines_entry *list, size_t *count)
{
    struct store_lines batch[LINES_BATCH];
    for (*count = 0; list != NULL && *count < LINES_BATCH; list = list->next)
        batch[(*count)++] = (struct store_lines){list->device_id, list->text, list->at_ms};
    return store_log_append(devices->store, batch, *count) == 0;
}

void lines_write(struct devices *devices)
{
    pthread_mutex_lock(&devices->lock);
    struct lines_entry *list = devices->lines.first;
    devices->lines = (struct lines_queue){0};
    pthread_mutex_unlock(&devices->lock);
    bool saved = true;
    size_t count;
    while (saved && list != NULL) {
        saved = write_batch(devices, list, &count);
        for (; saved && count > 0; count--)
            free(take(&list));
    }
    pthread_mutex_lock(&devices->lock);
    for (struct lines_entry *entry; (entry = take(&list)) != NULL;)
        append(&devices->lines, entry);
    pthread_mutex_unlock(&devices->lock);
}

void lines_free(struct devices *devices)
{
    for (struct lines_entry *entry; (entry = take(&devices->lines.first)) != NULL;)
        free(entry);
}
