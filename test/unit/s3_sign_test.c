/* s3_sign_test.c - presigned URLs of an S3-compatible store, against the example that AWS publishes ("Authenticating Requests:
 * Using Query Parameters (AWS Signature Version 4)"), and what the environment may say of a bucket. */
#include "cmocka_all.h"

#include <stdlib.h>
#include <unistd.h>

#include "host/store/bucket.h"
#include "molt_reason.h"
#include "temp_dir.h"

#define DAY_2013_05_24 1369353600

static const struct s3_signer example = {.scheme = "https",
                                         .host = "examplebucket.s3.amazonaws.com",
                                         .region = "us-east-1",
                                         .access_key = "AKIAIOSFODNN7EXAMPLE",
                                         .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};

static void the_example_of_aws_comes_out(void **state)
{
    char url[S3_URL_LEN];
    (void)state;
    assert_int_equal(s3_presign(&example, "GET", "/test.txt", DAY_2013_05_24, 86400, url), 0);
    assert_string_equal(url,
                        "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
                        "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
                        "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
                        "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

static void what_is_signed_changes_the_signature(void **state)
{
    char plain[S3_URL_LEN], other[S3_URL_LEN];
    struct s3_signer signer = example;
    (void)state;
    assert_int_equal(s3_presign(&signer, "GET", "/a", DAY_2013_05_24, 60, plain), 0);
    assert_int_equal(s3_presign(&signer, "PUT", "/a", DAY_2013_05_24, 60, other), 0);
    assert_string_not_equal(strstr(plain, "Signature="), strstr(other, "Signature="));
    signer.session_token = "a+b/c=";
    assert_int_equal(s3_presign(&signer, "GET", "/a", DAY_2013_05_24, 60, other), 0);
    assert_non_null(strstr(other, "&X-Amz-Security-Token=a%2Bb%2Fc%3D&X-Amz-SignedHeaders=host&"));
    assert_string_not_equal(strstr(plain, "X-Amz-Signature="), strstr(other, "X-Amz-Signature="));
}

static void what_is_too_long_is_refused(void **state)
{
    char url[S3_URL_LEN], text[3000];
    struct s3_signer signer = example;
    (void)state;
    memset(text, '/', sizeof text);
    text[sizeof text - 1] = '\0';
    signer.session_token = text;
    assert_int_equal(s3_presign(&signer, "GET", "/a", DAY_2013_05_24, 60, url), -MOLT_ARG);
    signer = example;
    signer.access_key = text;
    assert_int_equal(s3_presign(&signer, "GET", "/a", DAY_2013_05_24, 60, url), -MOLT_ARG);
    signer = example;
    signer.secret_key = text;
    assert_int_equal(s3_presign(&signer, "GET", "/a", DAY_2013_05_24, 60, url), -MOLT_INTERNAL);
}

/* ---- what a bucket may be called ---- */

static void set_environment(void)
{
    setenv("AWS_ACCESS_KEY_ID", "key", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "secret", 1);
    setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000/", 1);
    unsetenv("AWS_ENDPOINT_URL_S3");
    unsetenv("AWS_REGION");
    unsetenv("AWS_DEFAULT_REGION");
    unsetenv("AWS_SESSION_TOKEN");
}

static int try_open(const char *url)
{
    struct bucket *bucket;
    int rc = bucket_open(url, &bucket);
    bucket_close(bucket);
    return rc;
}

static void a_bucket_is_what_its_url_and_the_environment_say(void **state)
{
    struct bucket *bucket;
    const uint8_t sha256[32] = {0xab};
    char url[S3_URL_LEN];
    (void)state;
    set_environment();
    assert_int_equal(bucket_open("s3://files/molt/", &bucket), 0);
    assert_int_equal(bucket_link(bucket, sha256, DAY_2013_05_24, 60, url), 0);
    assert_memory_equal(url, "http://127.0.0.1:9000/files/molt/ab00", 37);
    assert_null(strstr(url, "secret"));
    bucket_close(bucket);
    unsetenv("AWS_ENDPOINT_URL");
    setenv("AWS_REGION", "eu-central-1", 1);
    assert_int_equal(bucket_open("s3://files", &bucket), 0);
    assert_int_equal(bucket_link(bucket, sha256, DAY_2013_05_24, 60, url), 0);
    assert_memory_equal(url, "https://s3.eu-central-1.amazonaws.com/files/ab00", 48);
    bucket_close(bucket);
}

static void what_is_no_bucket_is_refused(void **state)
{
    static const char *const urls[] = {"",         "s3://",    "s3:///a",       "http://a/b", "s3://a//b",
                                       "s3://a?b", "s3://a b", "s3://a/%2e%2e", "s3://a\nb"};
    static const char *const endpoints[] = {"ftp://a",    "127.0.0.1",  "http://",
                                            "http://a/b", "http://u@a", "http://a?b"};
    (void)state;
    set_environment();
    for (size_t i = 0; i < sizeof urls / sizeof urls[0]; i++)
        if (try_open(urls[i]) != -MOLT_ARG) fail_msg("'%s' was taken", urls[i]);
    for (size_t i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
        setenv("AWS_ENDPOINT_URL", endpoints[i], 1);
        if (try_open("s3://a") != -MOLT_ARG) fail_msg("'%s' was taken", endpoints[i]);
    }
    set_environment();
    unsetenv("AWS_SECRET_ACCESS_KEY");
    assert_int_equal(try_open("s3://a"), -MOLT_ARG);
}

/* ---- keys out of a file ---- */

static void write_keys(const struct temp_dir *dir, const char *text)
{
    char path[128], fresh[128];
    snprintf(path, sizeof path, "%s/credentials", dir->path);
    snprintf(fresh, sizeof fresh, "%s/fresh", dir->path);
    FILE *file = fopen(fresh, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(rename(fresh, path), 0);
}

static void signed_with(struct bucket *bucket, const char *key, const char *token)
{
    static const uint8_t sha256[32];
    char url[S3_URL_LEN];
    assert_int_equal(bucket_link(bucket, sha256, DAY_2013_05_24, 60, url), 0);
    if (strstr(url, key) == NULL) fail_msg("%s is not in %s", key, url);
    assert_true((strstr(url, "X-Amz-Security-Token=") != NULL) == (token != NULL));
    if (token != NULL) assert_non_null(strstr(url, token));
}

static void keys_that_are_renewed_in_their_file_are_taken(void **state)
{
    struct temp_dir dir;
    struct bucket *bucket;
    char path[128];
    (void)state;
    temp_dir_make(&dir);
    snprintf(path, sizeof path, "%s/credentials", dir.path);
    assert_int_equal(unsetenv("AWS_ACCESS_KEY_ID") | unsetenv("AWS_SECRET_ACCESS_KEY"), 0);
    assert_int_equal(unsetenv("AWS_SESSION_TOKEN") | unsetenv("AWS_PROFILE"), 0);
    assert_int_equal(setenv("AWS_SHARED_CREDENTIALS_FILE", path, 1), 0);
    assert_int_equal(bucket_open("s3://b", &bucket), -MOLT_ARG); /* there is no file */
    write_keys(&dir, "[other]\naws_access_key_id=OTHER\naws_secret_access_key=x\n\n# the one\n[default]\r\n"
                     " aws_access_key_id = FIRST \r\naws_secret_access_key = s\r\n");
    assert_int_equal(bucket_open("s3://b", &bucket), 0);
    signed_with(bucket, "Credential=FIRST%2F", NULL);
    write_keys(
        &dir,
        "[default]\naws_access_key_id = SECOND\naws_secret_access_key = t\naws_session_token = TOKEN2\n");
    signed_with(bucket, "Credential=SECOND%2F", "TOKEN2");
    write_keys(&dir, "[default]\naws_access_key_id = THIRD\n"); /* half of it */
    signed_with(bucket, "Credential=SECOND%2F", "TOKEN2");
    assert_int_equal(unlink(path), 0);
    signed_with(bucket, "Credential=SECOND%2F", "TOKEN2");
    write_keys(&dir, "[default]\naws_access_key_id = THIRD\naws_secret_access_key = u\n");
    signed_with(bucket, "Credential=THIRD%2F", NULL);
    bucket_close(bucket);
    assert_int_equal(setenv("AWS_PROFILE", "other", 1), 0);
    write_keys(&dir, "[default]\naws_access_key_id=A\naws_secret_access_key=u\n"
                     "[other]\naws_access_key_id=OTHER\naws_secret_access_key=x\n");
    assert_int_equal(bucket_open("s3://b", &bucket), 0);
    signed_with(bucket, "Credential=OTHER%2F", NULL);
    bucket_close(bucket);
    assert_int_equal(unsetenv("AWS_SHARED_CREDENTIALS_FILE") | unsetenv("AWS_PROFILE"), 0);
    temp_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_example_of_aws_comes_out),
        cmocka_unit_test(what_is_signed_changes_the_signature),
        cmocka_unit_test(what_is_too_long_is_refused),
        cmocka_unit_test(a_bucket_is_what_its_url_and_the_environment_say),
        cmocka_unit_test(what_is_no_bucket_is_refused),
        cmocka_unit_test(keys_that_are_renewed_in_their_file_are_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
