/* temp_dir.h - a folder of its own for a test, gone after it; and a walk over the files below it. */
#ifndef MOLT_TEST_TEMP_DIR_H
#define MOLT_TEST_TEMP_DIR_H

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmocka_all.h"

struct temp_dir {
    char path[64];
};

static inline void temp_dir_make(struct temp_dir *dir)
{
    snprintf(dir->path, sizeof dir->path, "/tmp/molt-test-XXXXXX");
    assert_non_null(mkdtemp(dir->path));
}

/* Calls entry for everything below path, a folder after what is in it. Links are not followed. */
static inline void temp_dir_walk(const char *path, void (*entry)(void *ctx, const char *path, bool folder),
                                 void *ctx)
{
    char below[512];
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *found; (found = readdir(dir)) != NULL;) {
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0) continue;
        int len = snprintf(below, sizeof below, "%s/%s", path, found->d_name);
        assert_true(len > 0 && (size_t)len < sizeof below);
        struct stat st;
        assert_int_equal(lstat(below, &st), 0);
        if (S_ISDIR(st.st_mode)) temp_dir_walk(below, entry, ctx);
        entry(ctx, below, S_ISDIR(st.st_mode));
    }
    closedir(dir);
}

static inline void temp_dir_remove_entry(void *ctx, const char *path, bool folder)
{
    (void)ctx;
    assert_int_equal(folder ? rmdir(path) : unlink(path), 0);
}

static inline void temp_dir_remove(struct temp_dir *dir)
{
    assert_memory_equal(dir->path, "/tmp/molt-test-", 15);
    temp_dir_walk(dir->path, temp_dir_remove_entry, NULL);
    assert_int_equal(rmdir(dir->path), 0);
}

#endif
