/* ddi_feedback.c - DDI: what devices say: feedback to jobs and cancellations, and attributes. Must never acknowledge a final
 * result before it is durable, nor believe a length or a text. Tests: test/e2e/ddi_test.c. */
#include "ddi.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host/facts.h"
#include "server/log.h"

#define ATTRIBUTES_MAX 100u /* hawkBit's own limits */
#define ATTRIBUTE_LEN  128u

static json_t *body_of(const struct ask *ask)
{
    struct http_slice body = http_body(ask->x);
    json_t *json = body.len > 0 ? json_loadb(body.p, body.len, 0, NULL) : NULL;
    if (json_is_object(json)) return json;
    json_decref(json);
    return NULL;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "";
}

/* False when it is none that hawkBit knows. */
static bool report_of(const json_t *status, enum attempt_ddi_report *report)
{
    static const struct {
        const char *execution;
        enum attempt_ddi_report report;
    } reports[] = {
        {"proceeding", ATTEMPT_DDI_RUNNING},    {"scheduled", ATTEMPT_DDI_RUNNING},
        {"resumed", ATTEMPT_DDI_RUNNING},       {"download", ATTEMPT_DDI_DOWNLOAD},
        {"downloaded", ATTEMPT_DDI_DOWNLOADED}, {"rejected", ATTEMPT_DDI_REJECTED},
        {"canceled", ATTEMPT_DDI_CANCELED},     {"closed", ATTEMPT_DDI_SUCCESS},
    };
    const char *execution = text_of(status, "execution");
    const char *finished = text_of(json_object_get(status, "result"), "finished");
    for (size_t i = 0; i < sizeof reports / sizeof reports[0]; i++) {
        if (strcmp(execution, reports[i].execution) != 0) continue;
        *report = reports[i].report;
        if (*report == ATTEMPT_DDI_SUCCESS && strcmp(finished, "failure") == 0) *report = ATTEMPT_DDI_FAILURE;
        return finished[0] == '\0' || strcmp(finished, "success") == 0 || strcmp(finished, "failure") == 0 ||
               strcmp(finished, "none") == 0;
    }
    return false;
}

/* The last line of the details, which says how it ended: printable ASCII, cut to fit. */
static void take_detail(const json_t *status, char out[MODEL_DETAIL_LEN])
{
    const json_t *details = json_object_get(status, "details");
    const size_t count = json_array_size(details);
    const char *text = json_string_value(json_array_get(details, count > 0 ? count - 1 : 0));
    size_t len = 0;
    for (; text != NULL && text[len] != '\0' && len < MODEL_DETAIL_LEN - 1; len++)
        out[len] = text[len] >= 0x20 && text[len] < 0x7f ? text[len] : '?';
    out[len] = '\0';
}

#define DETAILS_MAX 48 /* what SWUpdate sends at most */

/* All that it says, for the device's log. */
static void keep_details(struct ask *ask, const json_t *status)
{
    const json_t *details = json_object_get(status, "details"), *line;
    char text[4096];
    size_t used = 0, i;
    json_array_foreach(details, i, line)
    {
        const char *said = json_string_value(line);
        if (said == NULL || i == DETAILS_MAX) break;
        int n = snprintf(text + used, sizeof text - used, "%s\n", said);
        if (n < 0 || (size_t)n >= sizeof text - used) break;
        used += (size_t)n;
    }
    if (used > 0) (void)skin_log_keep(ask, text, used);
}

struct feedback {
    struct ask *ask;
    const struct rules *rules;
    int64_t action;
    bool cancel;
    enum attempt_ddi_report report;
    char detail[MODEL_DETAIL_LEN];
    int rc;
};

static enum devices_change feedback_visitor(void *ctx, struct model_device *device, bool is_new)
{
    struct feedback *f = ctx;
    (void)is_new;
    f->rc = f->cancel ? attempt_ddi_canceled(device, f->action, f->report, f->ask->now_ms)
                      : attempt_ddi_feedback(f->rules, device, f->action, f->report, f->detail,
                                             f->ask->verified, f->ask->now_ms);
    return f->rc == 0 ? DEVICES_CHANGED : DEVICES_UNCHANGED;
}

void ddi_feedback(struct ask *ask, int64_t action, bool cancel)
{
    struct feedback f = {.ask = ask, .action = action, .cancel = cancel, .rc = -MOLT_NOT_FOUND};
    json_t *body = body_of(ask);
    const json_t *status = json_object_get(body, "status");
    const bool ok = report_of(status, &f.report);
    if (!ok) {
        json_decref(body);
        ddi_status(ask, 400);
        return;
    }
    take_detail(status, f.detail);
    f.rules = rules_acquire(ask->skins->options.rules);
    const int known = devices_peek(ask->skins->options.devices, ask->id, feedback_visitor, &f);
    rules_release_ref(ask->skins->options.rules, f.rules);
    if (f.rc == 0) keep_details(ask, status);
    json_decref(body);
    const bool is_final = f.report == ATTEMPT_DDI_SUCCESS || f.report == ATTEMPT_DDI_FAILURE ||
                          f.report == ATTEMPT_DDI_CANCELED || cancel;
    if (known < 0 && ask->skins->options.guard != NULL) {
        skin_ask_again(ask); /* another of several servers may know the device */
    } else if (f.rc != 0) {
        ddi_status(ask, f.rc == -MOLT_NOT_FOUND ? 404 : 410);
    } else if (is_final) {
        log_event("event=ddi-feedback id=%s action=%" PRId64 " cancel=%d report=%d verified=%d", ask->id,
                  action, cancel, (int)f.report, ask->verified);
        skin_respond_when_durable(ask, NULL, NULL, 0);
    } else {
        ddi_status(ask, 200);
    }
}

/* ---- attributes ---- */

struct config {
    struct ddi_visit v; /* first */
    char version[MODEL_NAME_LEN], core[MODEL_NAME_LEN];
};

static enum devices_change config_visitor(void *ctx, struct model_device *device, bool is_new)
{
    struct config *config = ctx;
    (void)is_new;
    return attempt_ddi_says(config->v.rules, device, &config->v.contact, config->v.ask->now_ms);
}

static void take_text(const json_t *data, const char *key, char out[MODEL_NAME_LEN])
{
    const char *text = text_of(data, key);
    size_t len = 0;
    for (; text[len] != '\0' && len < MODEL_NAME_LEN - 1; len++)
        out[len] = text[len] >= 0x20 && text[len] < 0x7f ? text[len] : '?';
    out[len] = '\0';
}

static bool attributes_ok(json_t *data)
{
    const char *key;
    json_t *value;
    if (!json_is_object(data) || json_object_size(data) > ATTRIBUTES_MAX) return false;
    json_object_foreach(data, key, value)
    {
        if (strlen(key) > ATTRIBUTE_LEN || !json_is_string(value) ||
            json_string_length(value) > ATTRIBUTE_LEN)
            return false;
    }
    return true;
}

/* Of the attributes molt knows: version (what runs, as it was published), chip, and system. configData has them in "data",
 * installedBase has the version itself. */
void ddi_config(struct ask *ask)
{
    struct config config = {.v.ask = ask};
    json_t *body = body_of(ask), *data = json_object_get(body, "data");
    const bool installed = strcmp(ddi_below(ask), "/installedBase") == 0;
    if (installed) data = body;
    const bool ok = data != NULL && (installed || attributes_ok(data));
    if (ok) {
        take_text(data, "version", config.version);
        take_text(data, "system", config.core);
        config.v.contact.chip = molt_chip_from_name(text_of(data, "chip"));
    }
    const bool removed = strcmp(text_of(body, "mode"), "remove") == 0;
    json_decref(body);
    if (!ok) {
        ddi_status(ask, 400);
        return;
    }
    if (config.version[0] != '\0' && !removed) {
        config.v.contact.version = config.version;
        if (facts_version_code(config.version, &config.v.contact.version_code) != 0)
            config.v.contact.version_code = 0;
    }
    if (config.core[0] != '\0') config.v.contact.core = config.core;
    config.v.contact.esp32_family = molt_chip_is_esp32_family(config.v.contact.chip);
    ddi_visit(&config.v, config_visitor);
    ddi_status(ask, 200);
}
