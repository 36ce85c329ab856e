/* store_files_test.c - artifacts, tokens, and what a full disk does. */
#include "store_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

/* ---- tokens ---- */

static void tokens_are_valid_for_their_kind_and_device_only(void **state)
{
    struct fixture *f = *state;
    char admin[STORE_TOKEN_LEN], device[STORE_TOKEN_LEN];
    uint32_t count;
    assert_int_equal(store_token_count(f->store, STORE_TOKEN_ADMIN, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(store_token_create(f->store, STORE_TOKEN_ADMIN, "laptop", NULL, admin), 0);
    assert_int_equal(store_token_create(f->store, STORE_TOKEN_DEVICE, NULL, "aa", device), 0);
    reopen(f);
    assert_int_equal(strlen(admin), 45);
    assert_memory_equal(admin, "molt_", 5);
    assert_string_not_equal(admin, device);
    assert_int_equal(token_check(f->store, STORE_TOKEN_ADMIN, admin, NULL), 0);
    assert_int_equal(token_check(f->store, STORE_TOKEN_DEVICE, device, "aa"), 0);
    assert_int_equal(token_check(f->store, STORE_TOKEN_DEVICE, device, "ab"), -MOLT_UNAUTHORIZED);
    assert_int_equal(token_check(f->store, STORE_TOKEN_DEVICE, device, NULL), -MOLT_UNAUTHORIZED);
    assert_int_equal(token_check(f->store, STORE_TOKEN_ADMIN, device, NULL), -MOLT_UNAUTHORIZED);
    assert_int_equal(token_check(f->store, STORE_TOKEN_DEVICE, admin, "aa"), -MOLT_UNAUTHORIZED);
    assert_int_equal(store_token_count(f->store, STORE_TOKEN_ADMIN, &count), 0);
    assert_int_equal(count, 1);
}

static void wrong_and_malformed_tokens_are_refused(void **state)
{
    struct fixture *f = *state;
    char token[STORE_TOKEN_LEN];
    assert_int_equal(store_token_create(f->store, STORE_TOKEN_ADMIN, NULL, NULL, token), 0);
    static const char *const bad[] = {
        "", "molt_", "molt_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "xolt_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "molt_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(token_check(f->store, STORE_TOKEN_ADMIN, bad[i], NULL), -MOLT_UNAUTHORIZED);
    }
    assert_int_equal(token_check(f->store, STORE_TOKEN_ADMIN, NULL, NULL), -MOLT_UNAUTHORIZED);
    token[20] = token[20] == 'a' ? 'b' : 'a';
    assert_int_equal(token_check(f->store, STORE_TOKEN_ADMIN, token, NULL), -MOLT_UNAUTHORIZED);
    assert_int_equal(store_token_create(f->store, STORE_TOKEN_DEVICE, NULL, NULL, token), -MOLT_ARG);
    assert_int_equal(store_token_create(f->store, STORE_TOKEN_ADMIN, NULL, "aa", token), -MOLT_ARG);
}

struct search {
    const char *text;
    int hits;
};

static void search_file(void *ctx, const char *path, bool folder)
{
    struct search *search = ctx;
    static char content[1 << 20];
    if (folder) return;
    int fd = open(path, O_RDONLY);
    ssize_t len = read(fd, content, sizeof content);
    assert_in_range(len, 0, sizeof content - 1);
    close(fd);
    size_t text_len = strlen(search->text);
    for (size_t at = 0; at + text_len <= (size_t)len; at++) {
        if (memcmp(content + at, search->text, text_len) == 0) search->hits++;
    }
}

static void a_token_is_nowhere_on_the_disk(void **state)
{
    struct fixture *f = *state;
    char token[STORE_TOKEN_LEN];
    assert_int_equal(store_token_create(f->store, STORE_TOKEN_ADMIN, "laptop", NULL, token), 0);
    struct search secret = {.text = token + 5}, label = {.text = "laptop"};
    temp_dir_walk(f->dir.path, search_file, &secret);
    temp_dir_walk(f->dir.path, search_file, &label);
    assert_int_equal(secret.hits, 0);
    assert_true(label.hits > 0); /* the search itself works */
}

/* ---- artifacts ---- */

static void artifact_path(const struct fixture *f, const uint8_t sha256[32], char path[160])
{
    int at = snprintf(path, 160, "%s/artifacts/%02x/", f->dir.path, sha256[0]);
    for (size_t i = 0; i < 32; i++)
        at += snprintf(path + at, 160 - (size_t)at, "%02x", sha256[i]);
}

static void an_artifact_is_named_by_its_digest_and_read_back(void **state)
{
    struct fixture *f = *state;
    static const uint8_t abc_sha256[4] = {0xba, 0x78, 0x16, 0xbf}, abc_md5[4] = {0x90, 0x01, 0x50, 0x98};
    struct model_artifact artifact, again;
    assert_int_equal(store_artifact_put(f->store, "abc", 3, &artifact), 0);
    assert_memory_equal(artifact.sha256, abc_sha256, 4);
    assert_memory_equal(artifact.md5, abc_md5, 4);
    assert_int_equal(artifact.len, 3);
    char path[160], content[8];
    struct stat first, second;
    artifact_path(f, artifact.sha256, path);
    assert_int_equal(stat(path, &first), 0);
    assert_int_equal(store_artifact_put(f->store, "abc", 3, &again), 0);
    assert_int_equal(stat(path, &second), 0);
    assert_int_equal(first.st_ino, second.st_ino); /* kept, not written again */

    int fd = store_artifact_open(f->store, artifact.sha256);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, content, sizeof content), 3);
    assert_memory_equal(content, "abc", 3);
    close(fd);
    assert_int_equal(store_artifact_put(f->store, "", 0, &artifact), -MOLT_ARG);
}

struct owners {
    uid_t wanted;
    int files, folders, others;
};

static void look_at_owner(void *ctx, const char *path, bool folder)
{
    struct owners *owners = ctx;
    struct stat st;
    assert_int_equal(lstat(path, &st), 0);
    if (folder)
        owners->folders++;
    else
        owners->files++;
    if (st.st_uid != owners->wanted) owners->others++;
}

/* `molt publish` by root while the service is stopped: the service must be able to read what it left. */
static void what_root_makes_in_the_folder_of_another_is_that_users(void **state)
{
    struct fixture *f = *state;
    struct model_artifact artifact;
    struct store *store;
    struct owners owners = {.wanted = geteuid() == 0 ? 65534 : geteuid()};
    char path[128];
    snprintf(path, sizeof path, "%s/served", f->dir.path);
    assert_int_equal(mkdir(path, 0750), 0);
    assert_int_equal(chown(path, owners.wanted, getegid()), 0);
    assert_int_equal(store_open(path, true, &store, NULL, 0), 0);
    assert_int_equal(store_artifact_put(store, "abc", 3, &artifact), 0);
    temp_dir_walk(path, look_at_owner, &owners); /* while it is open: SQLite's files, too */
    store_close(store);
    assert_int_equal(owners.others, 0);
    assert_true(owners.files >= 5);   /* the artifact, the lock, the database's three */
    assert_true(owners.folders >= 2); /* artifacts/ba */
}

static void a_damaged_artifact_is_mended_by_putting_it_again(void **state)
{
    struct fixture *f = *state;
    static const char *const damage[] = {"abd", "ab", "abcd", ""};
    struct model_artifact artifact;
    char path[160], content[8];
    for (size_t i = 0; i < sizeof damage / sizeof damage[0]; i++) {
        assert_int_equal(store_artifact_put(f->store, "abc", 3, &artifact), 0);
        artifact_path(f, artifact.sha256, path);
        int fd = open(path, O_WRONLY | O_TRUNC);
        assert_int_equal(write(fd, damage[i], strlen(damage[i])), (ssize_t)strlen(damage[i]));
        close(fd);
        assert_int_equal(store_artifact_put(f->store, "abc", 3, &artifact), 0);
        fd = store_artifact_open(f->store, artifact.sha256);
        assert_int_equal(read(fd, content, sizeof content), 3);
        assert_memory_equal(content, "abc", 3);
        close(fd);
    }
}

static void a_missing_artifact_is_not_found_and_a_link_is_not_followed(void **state)
{
    struct fixture *f = *state;
    struct model_artifact artifact;
    char path[160];
    assert_int_equal(store_artifact_put(f->store, "abc", 3, &artifact), 0);
    artifact_path(f, artifact.sha256, path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(store_artifact_open(f->store, artifact.sha256), -MOLT_NOT_FOUND);
    assert_int_equal(symlink("/etc/passwd", path), 0);
    assert_int_equal(store_artifact_open(f->store, artifact.sha256), -MOLT_STORE_FAILED);
}

static void torn_files_are_swept_when_the_store_opens(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct stat st;
    snprintf(path, sizeof path, "%s/artifacts/new-0", f->dir.path);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    close(fd);
    /* whoever reads beside the process that holds the store leaves alone what that may be writing */
    const struct store_place beside = {
        .data_dir = f->dir.path, .url = on_postgres() ? f->url : NULL, .read_only = true};
    struct store *reader;
    assert_int_equal(store_open_place(&beside, &reader, NULL, 0), 0);
    store_close(reader);
    assert_int_equal(stat(path, &st), 0);
    reopen(f);
    assert_int_equal(stat(path, &st), -1);
}

/* ---- a full disk ---- */

/* No file may grow beyond limit bytes: what a full disk looks like from here. */
static void limit_files(rlim_t limit)
{
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &files), 0);
    files.rlim_cur = limit;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &files), 0);
}

static void a_full_disk_refuses_and_leaves_everything_as_it_was(void **state)
{
    struct fixture *f = *state;
    static struct model_device devices[400];
    static uint8_t content[200000];
    struct model_image image = image_of(f->store, "a");
    struct model_artifact artifact;
    struct model_device got;
    char path[128];
    struct stat st;
    for (size_t i = 0; i < 400; i++)
        snprintf(devices[i].id, sizeof devices[i].id, "device%zu", i);
    assert_int_equal(store_save_devices(f->store, devices, 1), 0);
    snprintf(path, sizeof path, "%s/molt.db-wal", f->dir.path);
    assert_int_equal(stat(path, &st), 0);

    signal(SIGXFSZ, SIG_IGN);
    limit_files((rlim_t)st.st_size + 1000);
    assert_int_equal(store_save_devices(f->store, devices, 400), -MOLT_STORE_FAILED);
    assert_int_equal(try_publish(f->store, 1, "1", "stable", &image), -MOLT_STORE_FAILED);
    limit_files(100000);
    assert_int_equal(store_artifact_put(f->store, content, sizeof content, &artifact), -MOLT_STORE_FAILED);
    limit_files(RLIM_INFINITY);

    assert_int_equal(store_artifact_open(f->store, artifact.sha256), -MOLT_NOT_FOUND);
    assert_int_equal(store_device_get(f->store, "device0", &got), 0);
    assert_int_equal(store_device_get(f->store, "device1", &got), -MOLT_NOT_FOUND);
    assert_int_equal(generation(f->store), 1);
    assert_int_equal(store_save_devices(f->store, devices, 400), 0); /* and all is well once there is room */
    assert_int_equal(try_publish(f->store, 1, "1", "stable", &image), 0);
    reopen(f);
    assert_int_equal(store_device_get(f->store, "device399", &got), 0);
    assert_int_equal(generation(f->store), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tokens_are_valid_for_their_kind_and_device_only),
        TEST(wrong_and_malformed_tokens_are_refused),
        TEST(an_artifact_is_named_by_its_digest_and_read_back),
        TEST(a_damaged_artifact_is_mended_by_putting_it_again),
        TEST(a_missing_artifact_is_not_found_and_a_link_is_not_followed),
        TEST(torn_files_are_swept_when_the_store_opens),
    };
    const struct CMUnitTest of_sqlite[] = {
        TEST(a_token_is_nowhere_on_the_disk),
        TEST(what_root_makes_in_the_folder_of_another_is_that_users),
        TEST(a_full_disk_refuses_and_leaves_everything_as_it_was),
    };
    return RUN_TESTS(tests, of_sqlite);
}
