/* agent_rig.h - an agent on a virtual chip with a scripted network and a clock of its own, for tests. */
#ifndef MOLT_TEST_AGENT_RIG_H
#define MOLT_TEST_AGENT_RIG_H

#include "agent/agent.h"
#include "chip_rig.h"

#define RIG_EXCHANGES 40
#define RIG_REPORTS   64
#define RIG_CONNECTS  1000

/* One connection: what the request must hold, and what the server does. */
struct exchange {
    const char *want; /* the request must begin with it; NULL: anything */
    char head[640];   /* then body, body_len */
    const uint8_t *body;
    size_t body_len;
    size_t cut;        /* > 0: the connection is lost after so many bytes of head and body */
    size_t piece;      /* bytes a receive; 0: 1400 */
    uint32_t delay_ms; /* before each piece; 0: 10 */
    int fail;          /* > 0: the connection cannot be made */
    bool silent;       /* nothing comes, ever */
    bool ranges;       /* a request for a range gets a 206 with the rest, whatever head says */
    size_t corrupt;    /* > 0: this byte of head and body (from 1) is sent with one bit wrong */
    size_t twice;      /* > 0: what comes before this byte (from 1) is sent once more: up to 100 bytes */
    /* > 0: the 50 bytes before this byte (from 1) and the 50 from it come in each other's place */
    size_t swap;
    bool close; /* the server closes after the last byte; else it stays open */
    uint8_t message[MOLT_CHECKIN_MAX];
};

struct agent_rig {
    struct rig chip;
    struct molt_agent_config config;
    struct molt_agent agent;
    uint64_t now_ms;
    struct exchange script[RIG_EXCHANGES]; /* used in order; without more, connections fail */
    unsigned added, used;
    bool endless;         /* the last exchange repeats */
    bool is_open, is_tls; /* of the connection */
    size_t at, from;
    size_t request_len;
    char host[MOLT_HOST_MAX + 1];
    unsigned port;
    char request[2048];          /* the last one, NUL-terminated */
    struct molt_checkin message; /* the last check-in */
    unsigned connects;
    uint64_t connect_ms[RIG_CONNECTS]; /* when */
    int reports[RIG_REPORTS];
    unsigned report_count, stop_at;
    /* what the callbacks say */
    enum molt_health health; /* used when has_health is set before the start */
    bool has_health;
    bool no_install, no_restart;
    unsigned put_off;  /* so many times more a connection is not wanted now; a second passes each time */
    uint32_t keep_off; /* where the keep store lies; 0: there is none */
    struct molt_keep keep;
    const struct molt_keep_blob *keep_blob; /* NULL; else the keep store is this, whatever keep_off says */
    bool has_fs;                            /* the file system of the layout is a component */
    struct molt_fs_slots fs;
    char url[256];
    uint8_t window[32768];
};

/* A chip that runs image by its factory, and an agent's configuration with callbacks; not yet started. layout
 * and chip as for rig_open. The MAC is 5C:CF:7F:C6:02:E2. */
void agent_rig_open(struct agent_rig *rig, const char *layout, enum molt_chip chip, const uint8_t *image,
                    size_t len);
/* The same on a layout of the test's own. */
void agent_rig_open_layout(struct agent_rig *rig, const struct sim_layout *layout, enum molt_chip chip,
                           const uint8_t *image, size_t len);
void agent_rig_close(struct agent_rig *rig);

/* The firmware starts (again): a new agent over what the boot stage chose. */
void agent_rig_start(struct agent_rig *rig, enum molt_source source, const char *url, uint32_t version_code);

/* Where the layout's file system lies in flash. */
uint32_t agent_rig_fs_off(const struct agent_rig *rig);

/* Adds a connection to the script. Returns it for changes. */
struct exchange *agent_rig_expect(struct agent_rig *rig, const char *want, const char *head, const void *body,
                                  size_t len);
/* "HTTP/1.1 200 OK" with a Content-Length and text. */
struct exchange *agent_rig_text(struct agent_rig *rig, const char *want, const char *text);
/* The same with a file. */
struct exchange *agent_rig_file(struct agent_rig *rig, const char *want, const uint8_t *data, size_t len);
/* The same by a server that knows ranges. */
struct exchange *agent_rig_ranges(struct agent_rig *rig, const char *want, const uint8_t *data, size_t len);
/* The same with a check-in's answer. */
struct exchange *agent_rig_answer(struct agent_rig *rig, const struct molt_answer *answer);

/* Runs until the agent wants a restart (returns true) or until_ms has come (false). Asserts that no step
 * did more than one write or erase, that waits are not in the past and that every wish is complete. */
bool agent_rig_run(struct agent_rig *rig, uint64_t until_ms);

/* Runs until count checks or trials more have been reported; fails when that does not happen within three
 * weeks. */
void agent_rig_until_reports(struct agent_rig *rig, unsigned count);

/* The last thing reported. */
int agent_rig_last(const struct agent_rig *rig);

#endif
