/* ddi_job.c - DDI: the description of a job, its list of artifacts, and the bytes. Must never describe another artifact than
 * it sends: both come from what was announced to the device. Tests: test/e2e/ddi_test.c, test/e2e/swupdate_test.sh. */
#include "ddi.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/facts.h"
#include "util/text.h"

#define FILES_SLOTS 64u
#define PIECE       65536u

/* SHA-1 and suffix of artifacts: clients demand the one and look at the other. */
struct ddi_files {
    pthread_mutex_t lock;
    struct skin_ddi_file slots[FILES_SLOTS];
};

struct ddi_files *ddi_files_new(void)
{
    struct ddi_files *files = calloc(1, sizeof *files);
    if (files != NULL) pthread_mutex_init(&files->lock, NULL);
    return files;
}

void ddi_files_free(struct ddi_files *files)
{
    if (files == NULL) return;
    pthread_mutex_destroy(&files->lock);
    free(files);
}

static bool recall(struct ddi_files *files, const uint8_t sha256[32], struct skin_ddi_file *out)
{
    pthread_mutex_lock(&files->lock);
    const struct skin_ddi_file *slot = &files->slots[sha256[0] % FILES_SLOTS];
    const bool known = slot->known && memcmp(slot->sha256, sha256, sizeof slot->sha256) == 0;
    if (known) *out = *slot;
    pthread_mutex_unlock(&files->lock);
    return known;
}

/* SWUpdate takes names that end in .swu only. */
static const char *suffix_of(const uint8_t *head, size_t len)
{
    const char *suffix = facts_bundle_suffix(head, len);
    return suffix != NULL ? suffix : ".bin";
}

static bool read_file(int fd, struct skin_ddi_file *file)
{
    uint8_t *piece = malloc(PIECE);
    EVP_MD_CTX *sha1 = EVP_MD_CTX_new();
    bool ok = piece != NULL && sha1 != NULL && EVP_DigestInit_ex(sha1, EVP_sha1(), NULL) == 1;
    off_t at = 0;
    for (ssize_t got = 1; ok && got > 0; at += got) {
        got = pread(fd, piece, PIECE, at);
        if (at == 0 && got > 0)
            (void)snprintf(file->suffix, sizeof file->suffix, "%s", suffix_of(piece, (size_t)got));
        ok = got >= 0 && EVP_DigestUpdate(sha1, piece, (size_t)got) == 1;
    }
    ok = ok && EVP_DigestFinal_ex(sha1, file->sha1, NULL) == 1;
    EVP_MD_CTX_free(sha1);
    free(piece);
    return ok;
}

void skin_ddi_read(struct ask *ask)
{
    struct ddi_files *files = ask->skins->ddi_files;
    int fd = store_artifact_here(ask->skins->options.store, ask->ddi.sha256);
    ask->ddi.known = fd >= 0 && read_file(fd, &ask->ddi);
    if (fd >= 0) (void)close(fd);
    if (!ask->ddi.known) return;
    pthread_mutex_lock(&files->lock);
    files->slots[ask->ddi.sha256[0] % FILES_SLOTS] = ask->ddi;
    pthread_mutex_unlock(&files->lock);
}

/* ---- what is announced to the device ---- */

struct fetch {
    struct ask *ask;
    const struct rules *rules;
    int64_t action;
    bool description;
    bool found;
    struct model_artifact artifact;
    uint32_t code;
    char version[MODEL_NAME_LEN], product[MODEL_NAME_LEN];
    enum model_attempt attempt;
    char note[MODEL_DETAIL_LEN];
};

static enum devices_change fetch_visitor(void *ctx, struct model_device *device, bool is_new)
{
    struct fetch *f = ctx;
    struct decision decision;
    (void)is_new;
    enum devices_change change =
        attempt_ddi_fetch(f->rules, device, f->action, f->description, f->ask->now_ms, &decision);
    f->found = decision.verdict == MOLT_VERDICT_OFFER;
    if (!f->found) return change;
    const struct model_product *product = rules_product(f->rules, decision.release->product_id);
    f->artifact = *decision.artifact;
    f->code = decision.release->code;
    f->attempt = device->attempt;
    memcpy(f->note, device->last_detail, sizeof f->note);
    memcpy(f->version, decision.release->version, sizeof f->version);
    if (product != NULL) memcpy(f->product, product->name, sizeof f->product);
    return change;
}

static void fetch(struct fetch *f)
{
    f->rules = rules_acquire(f->ask->skins->options.rules);
    (void)devices_peek(f->ask->skins->options.devices, f->ask->id, fetch_visitor, f);
    rules_release_ref(f->ask->skins->options.rules, f->rules);
}

bool skin_ddi_must_read(struct ask *ask)
{
    const char *below = ddi_below(ask), *rest = "";
    if (ask->ddi.known || (ask->token[0] != '\0' && !ask->verified && !ask->admitted) ||
        http_method(ask->x) == HTTP_M_POST)
        return false;
    const size_t skip = strncmp(below, "/deploymentBase/", 16) == 0    ? 15
                        : strncmp(below, "/softwaremodules/", 17) == 0 ? 16
                                                                       : 0;
    struct fetch f = {.ask = ask, .action = skip > 0 ? ddi_number(below + skip, &rest) : 0};
    const bool list = strcmp(rest, "/artifacts") == 0;
    if (f.action == 0 || (skip == 16 && !list)) return false;
    fetch(&f);
    if (!f.found || recall(ask->skins->ddi_files, f.artifact.sha256, &ask->ddi)) return false;
    if (memcmp(ask->ddi.sha256, f.artifact.sha256, sizeof ask->ddi.sha256) == 0)
        return false; /* unreadable */
    memcpy(ask->ddi.sha256, f.artifact.sha256, sizeof ask->ddi.sha256);
    return true;
}

static json_t *artifact_json(const struct fetch *f)
{
    const struct ask *ask = f->ask;
    char sha1[41], md5[33], sha256[65], name[96], below[160], url[DDI_URL_LEN], md5_url[DDI_URL_LEN + 8];
    molt_hex_encode(ask->ddi.sha1, 20, sha1);
    molt_hex_encode(f->artifact.md5, 16, md5);
    molt_hex_encode(f->artifact.sha256, 32, sha256);
    (void)snprintf(name, sizeof name, "%s-%" PRIu32 "%s", f->product, f->code, ask->ddi.suffix);
    (void)snprintf(below, sizeof below, "/softwaremodules/%" PRId64 "/artifacts/%s", f->action, name);
    ddi_url(ask, below, url);
    (void)snprintf(md5_url, sizeof md5_url, "%s.MD5SUM", url);
    /* one address under both names: SWUpdate takes download-http first, rauc-hawkbit-updater download */
    return json_pack("{s:s, s:{s:s, s:s, s:s}, s:I, s:{s:{s:s}, s:{s:s}, s:{s:s}, s:{s:s}}}", "filename",
                     name, "hashes", "sha1", sha1, "md5", md5, "sha256", sha256, "size",
                     (json_int_t)f->artifact.len, "_links", "download", "href", url, "download-http", "href",
                     url, "md5sum", "href", md5_url, "md5sum-http", "href", md5_url);
}

/* hawkBit's word for how far the job has come. */
static const char *status_word(enum model_attempt attempt)
{
    switch (attempt) {
    case MODEL_ATTEMPT_OFFERED:
        return "RETRIEVED";
    case MODEL_ATTEMPT_DOWNLOADING:
        return "DOWNLOAD";
    case MODEL_ATTEMPT_DOWNLOADED:
        return "DOWNLOADED";
    case MODEL_ATTEMPT_UPDATED:
    case MODEL_ATTEMPT_PRESUMED:
        return "FINISHED";
    case MODEL_ATTEMPT_FAILED:
    case MODEL_ATTEMPT_ROLLED_BACK:
        return "ERROR";
    default:
        return "RUNNING";
    }
}

/* "actionHistory=N": N messages, -1: all. molt keeps the last one; the device's log has the others, for people. NULL: not asked. */
static json_t *history(const struct ask *ask, const struct fetch *f)
{
    static const char name[] = "actionHistory=";
    const struct http_slice query = http_query(ask->x);
    for (size_t at = 0; at < query.len;) {
        const char *item = query.p + at;
        const char *end = memchr(item, '&', query.len - at);
        const size_t len = end != NULL ? (size_t)(end - item) : query.len - at;
        at += len + 1;
        if (len < sizeof name || memcmp(item, name, sizeof name - 1) != 0) continue;
        if (len == sizeof name && item[len - 1] == '0') return NULL;
        json_t *messages = json_array();
        if (f->note[0] != '\0') json_array_append_new(messages, json_string(f->note));
        return json_pack("{s:s, s:o}", "status", status_word(f->attempt), "messages", messages);
    }
    return NULL;
}

void ddi_description(struct ask *ask, int64_t action)
{
    struct fetch f = {.ask = ask, .action = action, .description = true};
    char id[24];
    fetch(&f);
    if (f.found && !ask->ddi.known && store_has_bucket(ask->skins->options.store)) {
        ddi_status(ask, 503); /* it is there, and cannot be had now: clients ask again */
        return;
    }
    if (!f.found || !ask->ddi.known ||
        memcmp(ask->ddi.sha256, f.artifact.sha256, sizeof ask->ddi.sha256) != 0) {
        ddi_status(ask, 404);
        return;
    }
    (void)snprintf(id, sizeof id, "%" PRId64, action);
    ddi_respond(ask, json_pack("{s:s, s:{s:s, s:s, s:[{s:s, s:s, s:s, s:[o]}]}, s:o*}", "id", id,
                               "deployment", "download", "forced", "update", "forced", "chunks", "part", "os",
                               "version", f.version, "name", f.product, "artifacts", artifact_json(&f),
                               "actionHistory", history(ask, &f)));
}

static void send_md5(struct ask *ask, const struct fetch *f, const char *file)
{
    char text[160], md5[33];
    molt_hex_encode(f->artifact.md5, 16, md5);
    (void)snprintf(text, sizeof text, "%s  %.*s", md5, (int)(strlen(file) - strlen(".MD5SUM")), file);
    http_respond_text(ask->x, 200, text);
}

static void send_file(struct ask *ask, const struct fetch *f)
{
    char etag[SKIN_ETAG_LEN], headers[64];
    skin_etag(f->artifact.sha256, etag);
    const struct skin_range range = skin_range_if(ask, etag);
    if (!range.present || range.first < f->artifact.len) {
        skin_send(ask, &f->artifact, &range, false, false);
        return;
    }
    (void)snprintf(headers, sizeof headers, "Content-Range: bytes */%" PRIu32 "\r\n", f->artifact.len);
    struct http_response response = {.status = 416, .headers = headers};
    http_respond(ask->x, &response);
}

void ddi_artifacts(struct ask *ask, int64_t action, const char *rest)
{
    struct fetch f = {.ask = ask, .action = action};
    static const char list[] = "/artifacts", md5[] = ".MD5SUM";
    const char *file = rest + sizeof list;
    if (strncmp(rest, list, sizeof list - 1) != 0) {
        ddi_status(ask, 404);
        return;
    }
    fetch(&f);
    const size_t len = rest[sizeof list - 1] == '/' ? strlen(file) : 0;
    if (!f.found || (len == 0 && !ask->ddi.known) || len > 120)
        ddi_status(ask, 404);
    else if (len == 0)
        ddi_respond(ask, json_pack("[o]", artifact_json(&f)));
    else if (len > strlen(md5) && strcmp(file + len - strlen(md5), md5) == 0)
        send_md5(ask, &f, file);
    else
        send_file(ask, &f);
}
