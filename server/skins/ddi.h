/* ddi.h - shared by ddi.c (paths, poll), ddi_job.c (descriptions, artifacts) and ddi_feedback.c (what devices say). */
#ifndef MOLT_SERVER_SKINS_DDI_H
#define MOLT_SERVER_SKINS_DDI_H

#include <jansson.h>

#include "server/attempt/attempt_ddi.h"
#include "skin.h"

/* The path below the device's id, "" or beginning with '/'. */
const char *ddi_below(const struct ask *ask);
/* Takes "/NUMBER" off the front: the number, or 0 when there is none that fits; *rest: what follows. */
int64_t ddi_number(const char *text, const char **rest);
/* The URL of something below the device's id: absolute when the request says the host. */
#define DDI_URL_LEN 640
void ddi_url(const struct ask *ask, const char *below, char out[DDI_URL_LEN]);
/* Answers with the object, and drops it. NULL: memory was short. */
void ddi_respond(struct ask *ask, json_t *body);
/* Answers with a status and no body. */
void ddi_status(struct ask *ask, int status);
/* Runs visit for the device, made when it is new; the contact is filled. */
struct ddi_visit {
    struct ask *ask;
    const struct rules *rules;
    struct attempt_contact contact;
    bool newly_unassigned;
};
void ddi_visit(struct ddi_visit *v, devices_visitor visit);

void ddi_description(struct ask *ask, int64_t action);
void ddi_artifacts(struct ask *ask, int64_t action, const char *rest);
void ddi_config(struct ask *ask);
void ddi_feedback(struct ask *ask, int64_t action, bool cancel);

#endif
