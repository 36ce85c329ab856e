/* temp_dir.h - a folder of its own for a test, gone after it. */
#ifndef MOLT_TEST_TEMP_DIR_H
#define MOLT_TEST_TEMP_DIR_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cmocka_all.h"

struct temp_dir {
    char path[64];
};

static inline void temp_dir_make(struct temp_dir *dir)
{
    snprintf(dir->path, sizeof dir->path, "/tmp/molt-test-XXXXXX");
    assert_non_null(mkdtemp(dir->path));
}

static inline void temp_dir_remove(struct temp_dir *dir)
{
    char command[96];
    assert_memory_equal(dir->path, "/tmp/molt-test-", 15);
    snprintf(command, sizeof command, "rm -rf -- '%s'", dir->path);
    assert_int_equal(system(command), 0);
}

#endif
