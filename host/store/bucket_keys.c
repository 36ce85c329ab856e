/* bucket_keys.c - reads the keys of a bucket (bucket_keys.h). Must never take half of a file that is just being written, nor show a
 * key. Tests: test/unit/s3_sign_test.c. */
#include "bucket_keys.h"

#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "molt_reason.h"
#include "parts.h"

#define LINE_LEN  2048
#define LINES_MAX 1000

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool keep(char *out, size_t cap, const char *text)
{
    const int len = snprintf(out, cap, "%s", text != NULL ? text : "");
    return len >= 0 && (size_t)len < cap;
}

/* The text without blanks around it; ends it in place. */
static char *trimmed(char *text)
{
    text += strspn(text, " \t\r\n");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]) != NULL)
        text[--len] = '\0';
    return text;
}

/* Takes over "name = value". False: too long. */
static bool take_line(struct bucket_keys *keys, char *line)
{
    char *equals = strchr(line, '=');
    if (equals == NULL) return true;
    *equals = '\0';
    const char *name = trimmed(line), *value = trimmed(equals + 1);
    if (strcmp(name, "aws_access_key_id") == 0) return keep(keys->access_key, sizeof keys->access_key, value);
    if (strcmp(name, "aws_secret_access_key") == 0)
        return keep(keys->secret_key, sizeof keys->secret_key, value);
    if (strcmp(name, "aws_session_token") == 0)
        return keep(keys->session_token, sizeof keys->session_token, value);
    return true;
}

static bool read_lines(struct bucket_keys *keys, FILE *file)
{
    char line[LINE_LEN], profile[80];
    const char *wanted = variable("AWS_PROFILE");
    bool inside = false, fits = true;
    (void)snprintf(profile, sizeof profile, "[%.70s]", wanted != NULL ? wanted : "default");
    for (int i = 0; i < LINES_MAX && fits && fgets(line, sizeof line, file) != NULL; i++) {
        char *text = trimmed(line);
        fits = strlen(text) < sizeof line - 2;
        if (text[0] == '[')
            inside = strcmp(text, profile) == 0;
        else if (inside && text[0] != '#' && text[0] != ';')
            fits = fits && take_line(keys, text);
    }
    OPENSSL_cleanse(line, sizeof line);
    return fits && ferror(file) == 0 && keys->access_key[0] != '\0' && keys->secret_key[0] != '\0';
}

static bool read_file(struct bucket_keys *keys)
{
    struct bucket_keys now = {.file = keys->file};
    FILE *file = fopen(keys->file, "r");
    const bool good = file != NULL && fstat(fileno(file), &now.read) == 0 && read_lines(&now, file);
    if (file != NULL) (void)fclose(file);
    if (good) *keys = now;
    OPENSSL_cleanse(&now, sizeof now);
    return good;
}

int bucket_keys_load(struct bucket_keys *keys)
{
    const char *access = variable("AWS_ACCESS_KEY_ID"), *secret = variable("AWS_SECRET_ACCESS_KEY");
    *keys = (struct bucket_keys){.file = variable("AWS_SHARED_CREDENTIALS_FILE")};
    if (access == NULL && secret == NULL && keys->file != NULL)
        return read_file(keys) ? 0
                               : store_fail(MOLT_ARG,
                                            "%s has no aws_access_key_id and aws_secret_access_key "
                                            "below the profile's name, or cannot be read",
                                            keys->file);
    keys->file = NULL;
    if (access == NULL || secret == NULL)
        return store_fail(MOLT_ARG, "a bucket needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
                                    "AWS_SHARED_CREDENTIALS_FILE");
    if (!keep(keys->access_key, sizeof keys->access_key, access) ||
        !keep(keys->secret_key, sizeof keys->secret_key, secret) ||
        !keep(keys->session_token, sizeof keys->session_token, variable("AWS_SESSION_TOKEN")))
        return store_fail(MOLT_ARG, "the bucket's keys are too long");
    return 0;
}

void bucket_keys_renew(struct bucket_keys *keys)
{
    struct stat now;
    if (keys->file == NULL || stat(keys->file, &now) != 0) return;
    if (now.st_ino == keys->read.st_ino && now.st_size == keys->read.st_size &&
        now.st_mtim.tv_sec == keys->read.st_mtim.tv_sec && now.st_mtim.tv_nsec == keys->read.st_mtim.tv_nsec)
        return;
    (void)read_file(keys);
}
