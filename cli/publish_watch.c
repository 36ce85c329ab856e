/* publish_watch.c - a folder's *.bin files as builds leave them, by libuv's events of the file system (inotify on Linux).
 * Must never publish a file that is still being written, nor the same bytes twice. Tests: test/sdk/publish_test.sh. */
#include "publish_watch.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#include "command.h"
#include "output.h"
#include "util/text.h"

#define FILES_MAX 256
#define NAME_MAX_ 256
#define SETTLE_MS 1000 /* a file that does not change for so long is whole */
#define RETRY_MS  3000 /* the server did not answer */

enum state { STATE_CHANGED, STATE_AGAIN, STATE_DONE };

/* One *.bin file. */
struct file {
    char name[NAME_MAX_];
    enum state state;
    struct stat seen; /* as it was when last looked at */
    uint64_t at_ms;   /* when to look again */
};

struct watch {
    uv_loop_t loop;
    uv_fs_event_t events;
    uv_timer_t timer;
    uv_signal_t signals[2];
    struct args *args;
    const char *folder;
    enum watch_end (*publish)(struct args *args);
    size_t count;
    bool is_full; /* said so */
    bool has_failed;
    struct file files[FILES_MAX];
};

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_size == b->st_size && a->st_ino == b->st_ino && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool is_firmware_name(const char *name)
{
    const size_t len = strlen(name);
    return len > 4 && len < NAME_MAX_ && name[0] != '.' && molt_text_is(name + len - 4, 4, ".bin");
}

static bool path_of(const struct watch *watch, const char *name, char out[ARGS_VALUE_LEN + NAME_MAX_ + 2])
{
    const int n = snprintf(out, ARGS_VALUE_LEN + NAME_MAX_ + 2, "%s/%s", watch->folder, name);
    return n > 0 && n < ARGS_VALUE_LEN + NAME_MAX_ + 2;
}

/* The regular file's state; false: there is none. */
static bool look(const struct watch *watch, const char *name, struct stat *out)
{
    char path[ARGS_VALUE_LEN + NAME_MAX_ + 2];
    return path_of(watch, name, path) && stat(path, out) == 0 && S_ISREG(out->st_mode);
}

static void set_timer(struct watch *watch);

/* A file was made, written or renamed: look at it again, once it has stood still. */
static void touch(struct watch *watch, const char *name)
{
    struct stat now;
    size_t i = 0;
    if (!is_firmware_name(name) || !look(watch, name, &now)) return;
    while (i < watch->count && strcmp(watch->files[i].name, name) != 0)
        i++;
    if (i == watch->count) {
        if (i == FILES_MAX) {
            if (!watch->is_full)
                output_error("more than %d files in the folder: %s and others are left out", FILES_MAX, name);
            watch->is_full = true;
            return;
        }
        watch->count++;
        snprintf(watch->files[i].name, NAME_MAX_, "%s", name);
    } else if (watch->files[i].state == STATE_DONE && is_same(&watch->files[i].seen, &now)) {
        return; /* somebody read it */
    }
    watch->files[i].state = STATE_CHANGED;
    watch->files[i].seen = now;
    watch->files[i].at_ms = uv_now(&watch->loop) + SETTLE_MS;
    set_timer(watch);
}

static void scan(struct watch *watch)
{
    DIR *dir = opendir(watch->folder);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL)
        touch(watch, entry->d_name);
    if (dir != NULL) closedir(dir);
}

/* Its time has come: publish it unless it has changed since. */
static void attend(struct watch *watch, struct file *file)
{
    char path[ARGS_VALUE_LEN + NAME_MAX_ + 2];
    struct stat now;
    if (!look(watch, file->name, &now)) { /* gone */
        *file = watch->files[--watch->count];
        return;
    }
    if (!is_same(&file->seen, &now)) {
        file->seen = now;
        file->at_ms = uv_now(&watch->loop) + SETTLE_MS;
        return;
    }
    if (!path_of(watch, file->name, path)) return;
    watch->args->operands[0] = path;
    watch->args->operand_count = 1;
    file->state = watch->publish(watch->args) == WATCH_DONE ? STATE_DONE : STATE_AGAIN;
    fflush(stdout);
    uv_update_time(&watch->loop);
    file->at_ms = uv_now(&watch->loop) + RETRY_MS;
}

static void on_timer(uv_timer_t *timer)
{
    struct watch *watch = timer->data;
    for (size_t i = watch->count; i-- > 0;) { /* backwards: attend() may take the last one's place */
        if (watch->files[i].state != STATE_DONE && watch->files[i].at_ms <= uv_now(&watch->loop))
            attend(watch, &watch->files[i]);
    }
    set_timer(watch);
}

static void set_timer(struct watch *watch)
{
    uint64_t first = UINT64_MAX;
    const uint64_t now = uv_now(&watch->loop);
    for (size_t i = 0; i < watch->count; i++) {
        if (watch->files[i].state != STATE_DONE && watch->files[i].at_ms < first)
            first = watch->files[i].at_ms;
    }
    if (first != UINT64_MAX) uv_timer_start(&watch->timer, on_timer, first > now ? first - now : 0, 0);
}

/* name: NULL when the system does not say, or dropped some. */
static void on_event(uv_fs_event_t *events, const char *name, int what, int status)
{
    struct watch *watch = events->data;
    (void)what;
    struct stat folder;
    if (status < 0 || stat(watch->folder, &folder) != 0) {
        output_error("%s can be watched no longer: %s", watch->folder,
                     status < 0 ? uv_strerror(status) : "it is gone");
        watch->has_failed = true;
        uv_stop(&watch->loop);
    } else if (name != NULL) {
        touch(watch, name);
    } else {
        scan(watch);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    (void)number;
    uv_stop(handle->loop);
}

static void close_it(uv_handle_t *handle, void *arg)
{
    (void)arg;
    uv_close(handle, NULL);
}

static int start(struct watch *watch)
{
    static const int numbers[2] = {SIGINT, SIGTERM};
    int rc = uv_loop_init(&watch->loop);
    if (rc < 0) return rc;
    for (size_t i = 0; i < 2 && rc == 0; i++) {
        uv_signal_init(&watch->loop, &watch->signals[i]);
        rc = uv_signal_start(&watch->signals[i], on_signal, numbers[i]);
    }
    uv_timer_init(&watch->loop, &watch->timer);
    watch->timer.data = watch;
    uv_fs_event_init(&watch->loop, &watch->events);
    watch->events.data = watch;
    if (rc == 0) rc = uv_fs_event_start(&watch->events, on_event, watch->folder, 0);
    return rc;
}

int publish_watch(struct args *args, enum watch_end (*publish)(struct args *args))
{
    struct watch *watch = calloc(1, sizeof *watch);
    if (watch == NULL) abort();
    watch->args = args;
    watch->publish = publish;
    watch->folder = args_value(args, "watch");
    int rc = start(watch);
    if (rc == 0) {
        output_hint("watching %s for *.bin; Ctrl-C ends it", watch->folder);
        scan(watch);
        uv_run(&watch->loop, UV_RUN_DEFAULT);
        rc = watch->has_failed ? UV_EIO : 0;
    } else {
        output_error("%s cannot be watched: %s", watch->folder, uv_strerror(rc));
    }
    uv_walk(&watch->loop, close_it, NULL);
    uv_run(&watch->loop, UV_RUN_DEFAULT);
    uv_loop_close(&watch->loop);
    free(watch);
    return rc == 0 ? EXIT_GOOD : EXIT_PROBLEM;
}
