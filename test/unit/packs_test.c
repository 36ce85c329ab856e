/* packs_test.c - packs in the background: made once, kept over restarts, dropped by least recent use, and what is
 * damaged on the disk is never given out. */
#include "cmocka_all.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "host/image_build.h"
#include "host/pack/pack.h"
#include "server/packs/packs.h"
#include "temp_dir.h"
#include "util/bytes.h"

struct bench {
    struct temp_dir dir;
    struct store *store;
    struct packs *packs;
    struct model_artifact file[4];
    uint8_t *data[4];
};

static void open_packs(struct bench *b, uint64_t bytes_max)
{
    assert_int_equal(packs_open(&b->packs, b->dir.path, b->store, bytes_max), 0);
}

/* Four versions of one sketch; the last is noise. */
static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof *b);
    assert_non_null(b);
    temp_dir_make(&b->dir);
    assert_int_equal(store_open(b->dir.path, true, &b->store, NULL, 0), 0);
    for (uint32_t i = 0; i < 4; i++) {
        size_t len = 60000;
        struct image_build_tag tag = {"code", i == 0 ? "1" : i == 1 ? "2" : "3"};
        struct image_build build = {.chip = MOLT_CHIP_ESP8266,
                                    .size = 60000,
                                    .seed = 1,
                                    .version = "x",
                                    .flash_size = 1u << 20,
                                    .flash_mode = 2,
                                    .tags = &tag,
                                    .tag_count = 1};
        if (i < 3) {
            assert_int_equal(image_build(&build, &b->data[i], &len), 0);
        } else {
            uint32_t noise = 1;
            b->data[i] = malloc(len);
            assert_non_null(b->data[i]);
            for (size_t k = 0; k < len; k++)
                b->data[i][k] = (uint8_t)((noise = noise * 1664525u + 1013904223u) >> 24);
        }
        assert_int_equal(store_artifact_put(b->store, b->data[i], len, &b->file[i]), 0);
    }
    open_packs(b, 0);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;
    packs_close(b->packs);
    store_close(b->store);
    for (int i = 0; i < 4; i++)
        free(b->data[i]);
    temp_dir_remove(&b->dir);
    free(b);
    return 0;
}

/* libc's is not called: a maker of the lowest priority gets nothing for minutes on a loaded machine. That it has it: e2e-packs. */
int setpriority(__priority_which_t which, id_t who, int priority)
{
    (void)which;
    (void)who;
    (void)priority;
    return 0;
}

static struct pack_key key_of(const struct bench *b, enum packs_kind kind, int base, int image)
{
    struct pack_key key = {.kind = kind};
    if (kind != PACKS_WHOLE) memcpy(key.base, b->file[base].sha256, 32);
    memcpy(key.image, b->file[image].sha256, 32);
    return key;
}

static enum packs_state state_of(struct bench *b, const struct pack_key *key, struct model_artifact *file)
{
    const struct pack_entry *entry = pack_table_find(packs_read(b->packs), key);
    enum packs_state is = entry != NULL ? entry->state : PACK_ABSENT;
    if (is == PACK_READY && file != NULL) *file = entry->file;
    packs_read_end(b->packs);
    return is;
}

/* Until it is no longer coming. */
static enum packs_state settled(struct bench *b, const struct pack_key *key, struct model_artifact *file)
{
    enum packs_state is;
    while ((is = state_of(b, key, file)) == PACK_COMING)
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    return is;
}

/* Until the maker has looked through the folder and the pack is there, or is not. */
static enum packs_state loaded(struct bench *b, const struct pack_key *key, struct model_artifact *file)
{
    struct pack_key last = key_of(b, PACKS_WHOLE, 0, 3);
    packs_want(b->packs, &last); /* the maker comes to it when all is loaded */
    (void)settled(b, &last, NULL);
    return state_of(b, key, file);
}

static uint8_t *read_pack(struct bench *b, const struct model_artifact *file)
{
    uint8_t *data = malloc(file->len);
    int fd = packs_open_content(b->packs, file->sha256);
    assert_non_null(data);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, data, file->len), file->len);
    close(fd);
    return data;
}

static void expect_unpacks(struct bench *b, const struct model_artifact *file, int base, int image)
{
    uint8_t *pack = read_pack(b, file), *out = NULL;
    size_t len = 0, base_len = base >= 0 ? b->file[base].len : 0;
    const uint8_t *from = base >= 0 ? b->data[base] : NULL;
    assert_int_equal(pack_decode(pack, file->len, from, base_len, &out, &len), 0);
    assert_int_equal(len, b->file[image].len);
    assert_memory_equal(out, b->data[image], len);
    free(out);
    free(pack);
}

static void what_is_wanted_is_made_once(void **state)
{
    struct bench *b = *state;
    const struct pack_key delta = key_of(b, PACKS_DELTA, 0, 1), body = key_of(b, PACKS_BODY, 0, 1),
                          whole = key_of(b, PACKS_WHOLE, 0, 1), useless = key_of(b, PACKS_WHOLE, 0, 3);
    struct model_artifact file, file_body, file_whole;
    assert_int_equal(state_of(b, &delta, NULL), PACK_ABSENT);
    packs_want(b->packs, &delta);
    packs_want(b->packs, &delta);
    packs_want(b->packs, &body);
    packs_want(b->packs, &whole);
    packs_want(b->packs, &useless);
    assert_int_equal(settled(b, &delta, &file), PACK_READY);
    assert_int_equal(settled(b, &body, &file_body), PACK_READY);
    assert_int_equal(settled(b, &whole, &file_whole), PACK_READY);
    assert_int_equal(settled(b, &useless, NULL), PACK_USELESS); /* noise is not smaller packed */
    expect_unpacks(b, &file, 0, 1);
    expect_unpacks(b, &file_body, 0, 1);
    expect_unpacks(b, &file_whole, -1, 1);
    assert_true(file.len < file_body.len && file_body.len < file_whole.len);
}

static void a_delta_for_the_body_says_so(void **state)
{
    struct bench *b = *state;
    const struct pack_key body = key_of(b, PACKS_BODY, 0, 1);
    struct model_artifact file;
    packs_want(b->packs, &body);
    assert_int_equal(settled(b, &body, &file), PACK_READY);
    uint8_t *pack = read_pack(b, &file), *out = NULL;
    struct molt_pack *head = malloc(sizeof *head);
    size_t len = 0;
    assert_int_equal(pack_head(pack, file.len, head), 0);
    assert_true((head->flags & MOLT_PACK_BODY_ONLY) != 0);
    assert_int_equal(pack_decode(pack, file.len, b->data[0], b->file[0].len, &out, &len), 0);
    assert_memory_equal(out, b->data[1], len);
    free(head);
    free(out);
    free(pack);
}

/* A table of pointers, to places each fifty of which moved by another length. */
static void put_pointers(struct bench *b, int image, uint32_t moves)
{
    struct image_build build = {.chip = MOLT_CHIP_ESP8266, .size = 200000, .seed = 1, .flash_size = 1u << 20};
    size_t len = 0;
    free(b->data[image]);
    assert_int_equal(image_build(&build, &b->data[image], &len), 0);
    for (uint32_t i = 0; i < 20000; i++)
        molt_store32le(b->data[image] + 0x4000 + 4 * i,
                       0x40204000u + 4 * i + moves * (i / 50 % 7 * 16 + i / 50));
    assert_int_equal(store_artifact_put(b->store, b->data[image], len, &b->file[image]), 0);
}

static uint32_t rows_of(struct bench *b, enum packs_kind kind, uint8_t *flags)
{
    const struct pack_key key = key_of(b, kind, 0, 1);
    struct model_artifact file;
    struct molt_pack *head = malloc(sizeof *head);
    packs_want(b->packs, &key);
    assert_int_equal(settled(b, &key, &file), PACK_READY);
    expect_unpacks(b, &file, 0, 1);
    uint8_t *pack = read_pack(b, &file);
    assert_int_equal(pack_head(pack, file.len, head), 0);
    uint32_t rows = head->map.end[PACK_MAP_PARTS];
    *flags = head->flags;
    free(pack);
    free(head);
    return rows;
}

static void a_small_decoder_s_delta_has_few_rows(void **state)
{
    struct bench *b = *state;
    uint8_t flags;
    assert_true(rows_of(b, PACKS_SMALL_BODY, &flags) <= MOLT_PACK_ROWS_SMALL);
    assert_int_equal(flags & MOLT_PACK_BODY_ONLY, MOLT_PACK_BODY_ONLY);
    put_pointers(b, 0, 0); /* not sound images any more, but files */
    put_pointers(b, 1, 1);
    assert_true(rows_of(b, PACKS_DELTA, &flags) > MOLT_PACK_ROWS_SMALL);
    assert_true(rows_of(b, PACKS_SMALL, &flags) <= MOLT_PACK_ROWS_SMALL);
    assert_int_equal(flags & MOLT_PACK_BODY_ONLY, 0);
}

static void packs_outlive_a_restart(void **state)
{
    struct bench *b = *state;
    const struct pack_key key = key_of(b, PACKS_DELTA, 0, 1);
    struct model_artifact before, after;
    packs_want(b->packs, &key);
    assert_int_equal(settled(b, &key, &before), PACK_READY);
    packs_close(b->packs);
    open_packs(b, 0);
    assert_int_equal(loaded(b, &key, &after), PACK_READY);
    assert_int_equal(before.len, after.len);
    assert_memory_equal(before.sha256, after.sha256, 32);
    assert_memory_equal(before.md5, after.md5, 16);
}

/* The one file of the folder. */
static void only_file(const struct bench *b, char path[600])
{
    char folder[300];
    uint32_t count = 0;
    snprintf(folder, sizeof folder, "%s/packs", b->dir.path);
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.') continue;
        snprintf(path, 600, "%s/%s", folder, entry->d_name);
        count++;
    }
    closedir(dir);
    assert_int_equal(count, 1);
}

static void what_was_damaged_on_the_disk_is_removed(void **state)
{
    struct bench *b = *state;
    const struct pack_key key = key_of(b, PACKS_DELTA, 0, 1);
    struct stat st;
    char path[600], stray[320];
    packs_want(b->packs, &key);
    assert_int_equal(settled(b, &key, NULL), PACK_READY);
    packs_close(b->packs);
    only_file(b, path);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "x", 1, 60), 1);
    close(fd);
    snprintf(stray, sizeof stray, "%s/packs/new", b->dir.path); /* as a killed server leaves one */
    assert_int_equal(close(open(stray, O_WRONLY | O_CREAT, 0600)), 0);
    open_packs(b, 0);
    assert_int_equal(loaded(b, &key, NULL), PACK_ABSENT);
    assert_int_equal(stat(path, &st), -1);
    assert_int_equal(stat(stray, &st), -1);
}

static void the_least_recently_used_goes_first(void **state)
{
    struct bench *b = *state;
    const struct pack_key first = key_of(b, PACKS_DELTA, 0, 1), second = key_of(b, PACKS_DELTA, 1, 2),
                          third = key_of(b, PACKS_DELTA, 0, 2);
    struct model_artifact file, other, last;
    packs_want(b->packs, &first);
    packs_want(b->packs, &second);
    assert_int_equal(settled(b, &first, &file), PACK_READY);
    assert_int_equal(settled(b, &second, &other), PACK_READY);
    free(read_pack(b, &file)); /* now the second is the older one */
    packs_close(b->packs);
    open_packs(b, file.len + other.len + 40);
    assert_int_equal(loaded(b, &second, NULL), PACK_READY);
    packs_want(b->packs, &third);
    assert_int_equal(settled(b, &third, &last), PACK_READY);
    assert_int_equal(state_of(b, &first, NULL), PACK_READY);
    assert_int_equal(state_of(b, &second, NULL), PACK_ABSENT);
    assert_int_equal(packs_open_content(b->packs, other.sha256), -MOLT_NOT_FOUND);
}

/* What is used one right after the other is told apart on the disk, too. */
static void each_use_is_later_than_the_one_before(void **state)
{
    struct bench *b = *state;
    const struct pack_key keys[] = {key_of(b, PACKS_DELTA, 0, 1), key_of(b, PACKS_DELTA, 1, 2)};
    struct model_artifact files[2];
    int64_t before = 0;
    for (int i = 0; i < 2; i++) {
        packs_want(b->packs, &keys[i]);
        assert_int_equal(settled(b, &keys[i], &files[i]), PACK_READY);
    }
    for (int i = 0; i < 200; i++) {
        struct stat st;
        int fd = packs_open_content(b->packs, files[i % 2].sha256);
        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &st), 0);
        close(fd);
        int64_t used = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
        assert_true(used > before);
        before = used;
    }
}

static void a_missing_base_makes_a_pack_useless_not_a_crash(void **state)
{
    struct bench *b = *state;
    struct pack_key key = key_of(b, PACKS_DELTA, 0, 1);
    key.base[0] ^= 1;
    packs_want(b->packs, &key);
    assert_int_equal(settled(b, &key, NULL), PACK_USELESS);
}

static void stopping_gives_up_what_is_queued(void **state)
{
    struct bench *b = *state;
    for (int i = 0; i < 40; i++) { /* more than the queue takes */
        struct pack_key key = key_of(b, PACKS_DELTA, 0, 1);
        key.base[1] = (uint8_t)i;
        packs_want(b->packs, &key);
    }
    packs_close(b->packs);
    open_packs(b, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_wanted_is_made_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_delta_for_the_body_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(a_small_decoder_s_delta_has_few_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(packs_outlive_a_restart, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_damaged_on_the_disk_is_removed, setup, teardown),
        cmocka_unit_test_setup_teardown(the_least_recently_used_goes_first, setup, teardown),
        cmocka_unit_test_setup_teardown(each_use_is_later_than_the_one_before, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_base_makes_a_pack_useless_not_a_crash, setup, teardown),
        cmocka_unit_test_setup_teardown(stopping_gives_up_what_is_queued, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
