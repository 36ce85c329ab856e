/* agent_parts.h - what the files of the agent share; not for users. */
#ifndef MOLT_AGENT_PARTS_H
#define MOLT_AGENT_PARTS_H

#include "agent.h"

enum agent_state {
    AGENT_BOOT,     /* read how the last boot stands */
    AGENT_IDENTITY, /* hash the running image */
    AGENT_IDLE,
    AGENT_CONNECT,
    AGENT_SEND,
    AGENT_RECEIVE,
    AGENT_PAUSE,  /* the connection was lost in the middle of an image: before going on */
    AGENT_VERIFY, /* a manifest has come: its signature is checked when the product lets it */
    AGENT_CONFIRM,
    AGENT_REJECT,
    AGENT_RESTART,
    AGENT_FS, /* completes a copy of the file system that was cut */
};

enum agent_request { REQUEST_VERSION, REQUEST_CHECK_IN, REQUEST_MANIFEST, REQUEST_IMAGE };

/* What a source does with the head of a good (2xx) answer, with its body, and at its end. Return 0, or a
 * negative reason that ends the attempt. The answer's body lies in agent->work, work_fill bytes. */
int agent_version_begin(struct molt_agent *agent); /* writes the URL of the version file into agent->url */
int agent_version_url(struct molt_agent *agent, const char *suffix);
int agent_version_done(struct molt_agent *agent, uint64_t now_ms);
int agent_url_begin(struct molt_agent *agent);
int agent_url_manifest(struct molt_agent *agent);
/* ESP8266: flash offset where staged files end, as the server's space rule needs it; 0: not known (a trial goes on). */
uint32_t agent_stage_end(struct molt_slots *slots, uint32_t image_len);
int agent_checkin_begin(struct molt_agent *agent);
int agent_checkin_done(struct molt_agent *agent, uint64_t now_ms);
/* Write the request of agent->request into agent->work. Return its length or a negative reason. */
int agent_url_write(struct molt_agent *agent, const struct molt_url *url);
int agent_checkin_write(struct molt_agent *agent, const struct molt_url *url);

/* fetch.c: one request and its answer. */
void agent_request_start(struct molt_agent *agent, enum agent_request request, uint64_t now_ms);
void agent_fetch_step(struct molt_agent *agent, uint64_t now_ms, struct molt_want *want);

/* install.c: the image, from the first byte of its file to the commit. */
int agent_image_offered(struct molt_agent *agent,
                        uint64_t now_ms);                          /* fetches agent->url unless it must not */
void agent_image_fetch(struct molt_agent *agent, uint64_t now_ms); /* fetches agent->url */
int agent_image_head(struct molt_agent *agent);
void agent_install_step(struct molt_agent *agent, uint64_t now_ms, struct molt_want *want);
bool agent_install_resume(struct molt_agent *agent, int reason, uint64_t now_ms);

/* signed.c: with a trust anchor, what the manifest says. */
int agent_signed_fetch(struct molt_agent *agent,
                       uint64_t now_ms); /* asks for the manifest; 1 or a negative reason */
/* Checks the manifest in agent->work. 1: goes on with the image or ended the check, or a negative reason. */
int agent_manifest_verify(struct molt_agent *agent, uint64_t now_ms);
int agent_signed_bind(struct molt_agent *agent, struct molt_job *job); /* 0, or why the job must not begin */
void agent_signed_reset(struct molt_agent *agent);
int agent_signed_raise(struct molt_agent *agent); /* the running firmware stays: 0, or -MOLT_SEQUENCE_STORE */

/* sealed.c: encrypted images. */
int agent_sealed_open(struct molt_agent *agent, const struct molt_manifest_component *component);
uint8_t agent_sealed_first(const struct molt_agent *agent); /* the first byte of the file, decrypted */
int agent_sealed_feed(struct molt_agent *agent, uint32_t *taken);

/* stale.c: the alarm when nothing newer comes. */
void agent_stale_watch(struct molt_agent *agent, uint64_t now_ms);
void agent_stale_reset(struct molt_agent *agent);

/* trial.c: the new image proves itself or goes. */
void agent_boot_step(struct molt_agent *agent, uint64_t now_ms, struct molt_want *want);
bool agent_trial_due(struct molt_agent *agent, uint64_t now_ms); /* true: it left AGENT_IDLE */
void agent_trial_step(struct molt_agent *agent, uint64_t now_ms, struct molt_want *want);

/* memory.c: what survives restarts, when there is a keep store. */
bool agent_memory_refuses(const struct molt_agent *agent); /* what is offered has failed before */
void agent_memory_look_back(struct molt_agent *agent);     /* after boot: how did it end what was tried? */
int agent_memory_try(struct molt_agent *agent,
                     const uint8_t digest[MOLT_SHA256_LEN]); /* before the commit; 0 or -MOLT_FAILED_BEFORE */
void agent_memory_trial_ends(struct molt_agent *agent, bool stays);
void agent_memory_changed(struct molt_agent *agent);
bool agent_memory_save(struct molt_agent *agent); /* one step; true: it did something */

/* fs.c: the file system as a second component. */
bool agent_fs_is_taken(const struct molt_agent *agent);
int agent_fs_refusal(
    const struct molt_agent *agent);                /* why the one that is offered is not fetched, 0: it is */
bool agent_fs_must_go_on(struct molt_agent *agent); /* after the start: a copy was cut */
void agent_fs_resume_step(struct molt_agent *agent, uint64_t now_ms, struct molt_want *want);
void agent_fs_bind(struct molt_agent *agent, struct molt_job *job);
int agent_fs_overwrites(
    struct molt_agent *agent);                   /* before the first erase in place; 0 or a negative reason */
int agent_fs_verified(struct molt_agent *agent); /* before the copy, when there is one; the same */
void agent_fs_ended(struct molt_agent *agent, bool well);
int agent_fs_ask_url(struct molt_agent *agent, uint64_t now_ms); /* 1: asks for it, or the check is over */
int agent_fs_url_head(struct molt_agent *agent,
                      uint64_t now_ms); /* the same; 0: it is another one, take it */

/* schedule.c: when to ask next. */
void agent_schedule_start(struct molt_agent *agent, uint64_t now_ms);
/* The check is over. reason: why; failed: back off. Drops the connection and goes idle. */
void agent_check_ended(struct molt_agent *agent, int reason, bool failed, uint64_t now_ms);
/* The same for an attempt to install what was offered: the reason is reported with the next check-in. */
void agent_attempt_ended(struct molt_agent *agent, int reason, uint64_t now_ms);
void agent_report_soon(struct molt_agent *agent, uint64_t now_ms);

/* agent.c */
void agent_tell(struct molt_agent *agent, int reason); /* last_reason and the callback */

#endif
