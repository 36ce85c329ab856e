/* postgres.h - a PostgreSQL cluster of a test's own: on a unix socket in a folder of its own, gone with the test. */
#ifndef MOLT_TEST_POSTGRES_H
#define MOLT_TEST_POSTGRES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "temp_dir.h"

struct postgres {
    struct temp_dir dir; /* the socket, and the cluster below it */
    char bin[256];       /* where its programs are */
    pid_t pid;           /* 0: it does not run */
    bool stands_by;
};

/* True when the environment says that this test shall run on PostgreSQL: MOLT_TEST_STORE=postgresql. */
bool on_postgres(void);

/* Makes a cluster and starts it. As another user when this is root, whom PostgreSQL refuses. */
void postgres_make(struct postgres *postgres);
/* Makes a streaming stand-by of primary and starts it. */
void postgres_make_stand_by(struct postgres *postgres, const struct postgres *primary);
void postgres_start(struct postgres *postgres);
/* Ends it with all of its processes: SIGINT (sessions are ended), SIGKILL. */
void postgres_stop(struct postgres *postgres, int signal);
/* Sets a setting for all sessions; each has it before its next statement when this returns. */
void postgres_set(const struct postgres *postgres, const char *setting, const char *value);
/* Sends the signal to all of its processes: SIGSTOP and SIGCONT. */
void postgres_signal(struct postgres *postgres, int signal);
void postgres_remove(struct postgres *postgres);
/* The URL of the schema in its database; a schema that is not there is made, but in a stand-by. */
void postgres_url(const struct postgres *postgres, const char *schema, char *url, size_t cap);
/* Runs statements in the schema (test code only). */
void postgres_run(const struct postgres *postgres, const char *schema, const char *sql);

/* ---- a database that knows less, no COPY and no advisory lock of a transaction: MOLT_TEST_KNOWS=less in the environment ---- */

/* How often this program asked for COPY; and how many rows the largest answer had that it was given at once. To be set to 0 at will. */
extern atomic_int postgres_copies, postgres_largest;

#endif
