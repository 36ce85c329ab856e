/* facts_files.h - files in memory, for the tests of facts. */
#ifndef MOLT_TEST_FACTS_FILES_H
#define MOLT_TEST_FACTS_FILES_H

#include "cmocka_all.h"

#include <stdlib.h>

#include "host/facts.h"
#include "host/image_build.h"

struct file {
    uint8_t *data;
    size_t len;
};

static inline struct file build(enum molt_chip chip, uint32_t size)
{
    static const struct image_build_tag tags[] = {{"version", "2.0.1"},
                                                  {"code", "2000001"},
                                                  {"product", "gate"},
                                                  {"board", "d1_mini"},
                                                  {"confirm", "1"}};
    const struct image_build spec = {.chip = chip,
                                     .size = size,
                                     .seed = 7,
                                     .version = "2.0.1",
                                     .flash_mode = 2,
                                     .tags = tags,
                                     .tag_count = 5};
    struct file file;
    assert_int_equal(image_build(&spec, &file.data, &file.len), 0);
    return file;
}

/* before zero-filled bytes in front of the file, after bytes of 0x5A behind it. */
static inline struct file wrap(struct file file, size_t before, size_t after)
{
    struct file out = {calloc(1, before + file.len + after), before + file.len + after};
    assert_non_null(out.data);
    memcpy(out.data + before, file.data, file.len);
    memset(out.data + before + file.len, 0x5A, after);
    free(file.data);
    return out;
}

static inline struct file gzip_of(struct file file)
{
    struct file out;
    assert_int_equal(facts_gzip(file.data, file.len, 15, &out.data, &out.len), 0);
    free(file.data);
    return out;
}

static inline struct facts read_and_free(struct file file)
{
    struct facts facts;
    facts_read(file.data, file.len, &facts, NULL, NULL);
    free(file.data);
    return facts;
}

static inline struct file text_file(const char *text)
{
    struct file file = {malloc(strlen(text)), strlen(text)};
    assert_non_null(file.data);
    memcpy(file.data, text, file.len);
    return file;
}

#endif
