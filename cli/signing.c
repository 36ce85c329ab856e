/* signing.c - passphrases, files and refusals of the commands that sign (signing.h).
 * Must never show a passphrase, nor leave half a file under a final name. Tests: test/e2e/sign_test.sh. */
#include "signing.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>

#include "advice.h"
#include "command.h"
#include "load.h"
#include "molt_reason.h"
#include "output.h"

int signing_refuse(const struct args *args, int reason, const char *detail)
{
    if (args_has(args, "json")) {
        json_t *json = json_pack("{s:s, s:s, s:s}", "reason", molt_reason_id(reason), "title",
                                 molt_reason_sentence(reason), "detail", detail);
        output_json(json);
        json_decref(json);
    }
    /* of a file the detail says it all: the sentences speak of the store and of the API's things */
    const bool of_file = (reason == MOLT_STORE_FAILED || reason == MOLT_NOT_FOUND) && detail[0] != '\0';
    output_error("%s: %s", molt_reason_id(reason), of_file ? detail : molt_reason_sentence(reason));
    if (of_file)
        output_hint("give the path of a file that you may %s", reason == MOLT_NOT_FOUND ? "read" : "write");
    else if (detail[0] != '\0')
        output_hint("%s", detail);
    return EXIT_PROBLEM;
}

/* ---- passphrases ---- */

/* One line from a stream, without its end. */
static bool read_line(FILE *stream, char out[SIGNING_PASSPHRASE_MAX])
{
    if (fgets(out, SIGNING_PASSPHRASE_MAX, stream) == NULL) return false;
    size_t len = strcspn(out, "\r\n");
    if (out[len] == '\0' && len == SIGNING_PASSPHRASE_MAX - 1) return false;
    out[len] = '\0';
    return len > 0;
}

bool signing_ask(const char *question, char out[SIGNING_PASSPHRASE_MAX])
{
    struct termios shown, hidden;
    FILE *terminal = fopen("/dev/tty", "r+e");
    if (terminal == NULL) return false;
    bool ok = tcgetattr(fileno(terminal), &shown) == 0;
    if (ok) {
        hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)ECHO;
        fprintf(terminal, "%s: ", question);
        fflush(terminal);
        tcsetattr(fileno(terminal), TCSAFLUSH, &hidden);
        ok = read_line(terminal, out);
        tcsetattr(fileno(terminal), TCSAFLUSH, &shown);
        fputc('\n', terminal);
    }
    fclose(terminal);
    return ok;
}

bool signing_first_line(const char *path, const char *what, char out[SIGNING_PASSPHRASE_MAX])
{
    FILE *file = fopen(path, "re");
    bool ok = file != NULL && read_line(file, out);
    if (file != NULL) fclose(file);
    if (!ok) output_error("%s: holds no %s: one line, not empty", path, what);
    return ok;
}

bool signing_passphrase(const struct args *args, bool confirm, char out[SIGNING_PASSPHRASE_MAX])
{
    const char *path = args_value(args, "passphrase-file"), *variable = getenv("MOLT_PASSPHRASE");
    if (path != NULL) return signing_first_line(path, "passphrase", out);
    if (variable != NULL && variable[0] != '\0' && strlen(variable) < SIGNING_PASSPHRASE_MAX) {
        memcpy(out, variable, strlen(variable) + 1);
        return true;
    }
    char again[SIGNING_PASSPHRASE_MAX];
    if (!signing_ask(confirm ? "new passphrase" : "passphrase", out)) {
        output_error("the key needs a passphrase, and there is no terminal to ask on");
        output_hint("give --passphrase-file FILE, or set MOLT_PASSPHRASE%s",
                    confirm ? "; or --no-passphrase" : "");
        return false;
    }
    if (confirm && (!signing_ask("the same again", again) || strcmp(again, out) != 0)) {
        output_error("these were two different passphrases; nothing was written");
        return false;
    }
    return true;
}

/* ---- files ---- */

bool signing_write(const struct args *args, const char *path, const void *data, size_t len)
{
    char detail[ARGS_VALUE_LEN + 64];
    if (save_file(path, data, len)) return true;
    snprintf(detail, sizeof detail, "%s: %s", path, strerror(errno));
    signing_refuse(args, MOLT_STORE_FAILED, detail);
    return false;
}

bool signing_image(const struct args *args, const char *path, bool fs, struct facts *facts, uint8_t **data,
                   size_t *len)
{
    uint8_t *file, *inflated = NULL;
    size_t file_len, inflated_len = 0;
    char detail[ARGS_VALUE_LEN + MODEL_DETAIL_LEN + 8];
    *data = NULL;
    if (!load_file(path, &file, &file_len)) return false;
    facts_read(file, file_len, facts, &inflated, &inflated_len);
    int reason = facts->is_image ? 0 : facts->refusal;
    bool is_app = facts->inner_kind == MOLT_FILE_ESP8266_ARDUINO || facts->inner_kind == MOLT_FILE_ESP32_APP;
    bool is_fs = facts->inner_kind == MOLT_FILE_LITTLEFS || facts->inner_kind == MOLT_FILE_SPIFFS ||
                 facts->inner_kind == MOLT_FILE_FAT;
    if (fs) reason = is_app ? MOLT_REQUEST_INVALID : facts->refusal == MOLT_BAD_GZIP ? MOLT_BAD_GZIP : 0;
    if (!fs && reason == 0 && is_fs) reason = MOLT_IMAGE_FILESYSTEM;
    if (reason != 0) {
        snprintf(detail, sizeof detail, "%s%s%s", path, facts->detail[0] != '\0' ? ": " : "", facts->detail);
        signing_refuse(args, reason, detail);
        free(file);
        free(inflated);
        return false;
    }
    *data = facts->gzip ? inflated : file;
    *len = facts->gzip ? inflated_len : file_len;
    free(facts->gzip ? file : inflated);
    return true;
}

bool signing_envelope(const struct args *args, const char *path, uint8_t out[MOLT_STATEMENT_MAX], size_t *len)
{
    uint8_t *data;
    if (!load_file(path, &data, len)) return false;
    bool ok = *len <= MOLT_STATEMENT_MAX;
    if (ok) memcpy(out, data, *len);
    free(data);
    if (!ok) {
        signing_refuse(args, MOLT_MANIFEST_MALFORMED, "it is longer than a manifest may be");
        advice_print(MOLT_MANIFEST_MALFORMED);
    }
    return ok;
}

struct sign_key *signing_key(const struct args *args)
{
    char err[SIGN_ERROR_LEN] = "", passphrase[SIGNING_PASSPHRASE_MAX] = "";
    struct sign_key *key = NULL;
    const char *path = args_value(args, "key"), *signer = args_value(args, "signer");
    int rc;
    if (signer != NULL) {
        rc = sign_key_external(&key, signer, path, err);
    } else {
        bool locked = sign_key_is_encrypted(path);
        if (locked && !signing_passphrase(args, false, passphrase)) return NULL;
        rc = sign_key_open(&key, path, locked ? passphrase : NULL, err);
        memset(passphrase, 0, sizeof passphrase);
    }
    if (rc < 0) signing_refuse(args, -rc, err);
    return rc < 0 ? NULL : key;
}
