/* postgres.c - starts and stops a cluster for a test, and makes it one that knows less. Must leave no process and no folder behind, whatever becomes of the test. */
#define _GNU_SOURCE /* RTLD_NEXT */
#include "postgres.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libpq-fe.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOBODY 65534

bool on_postgres(void)
{
    const char *wanted = getenv("MOLT_TEST_STORE");
    return wanted != NULL && strcmp(wanted, "postgresql") == 0;
}

static void find_programs(struct postgres *postgres)
{
    glob_t found;
    assert_int_equal(glob("/usr/lib/postgresql/*/bin/initdb", 0, NULL, &found), 0);
    snprintf(postgres->bin, sizeof postgres->bin, "%s", found.gl_pathv[found.gl_pathc - 1]);
    globfree(&found);
    *strrchr(postgres->bin, '/') = '\0';
}

#define ARGUMENTS_MAX 24

/* Only in the child. What it says goes into <dir>/log. arguments end with NULL. */
static void become(const struct postgres *postgres, const char *program, const char *const arguments[])
{
    char path[320], log[96];
    union { /* what execve() takes, and does not change */
        const char *in[ARGUMENTS_MAX + 2];
        char *out[ARGUMENTS_MAX + 2];
    } argv = {{path}}, environment = {{"LC_ALL=C", "TZ=UTC"}};
    for (int i = 0; i < ARGUMENTS_MAX && arguments[i] != NULL; i++)
        argv.in[i + 1] = arguments[i];
    snprintf(path, sizeof path, "%s/%s", postgres->bin, program);
    snprintf(log, sizeof log, "%s/log", postgres->dir.path);
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0) _exit(125);
    if (geteuid() == 0 && (fchown(fd, NOBODY, NOBODY) != 0 || setgid(NOBODY) != 0 || setuid(NOBODY) != 0))
        _exit(126);
    prctl(PR_SET_PDEATHSIG, SIGQUIT); /* after the change of user, which clears it */
    if (getppid() == 1) _exit(1);
    execve(path, argv.out, environment.out);
    _exit(127);
}

static void fail_with_log(const struct postgres *postgres, const char *what)
{
    char path[96], text[4096];
    snprintf(path, sizeof path, "%s/log", postgres->dir.path);
    FILE *log = fopen(path, "r");
    size_t len = log != NULL ? fread(text, 1, sizeof text - 1, log) : 0;
    if (log != NULL) fclose(log);
    text[len] = '\0';
    fail_msg("%s: %s", what, text);
}

static void make_folder(struct postgres *postgres, char data[96])
{
    memset(postgres, 0, sizeof *postgres);
    find_programs(postgres);
    temp_dir_make(&postgres->dir);
    if (geteuid() == 0) assert_int_equal(chown(postgres->dir.path, NOBODY, NOBODY), 0);
    snprintf(data, 96, "%s/data", postgres->dir.path);
}

static void run_program(const struct postgres *postgres, const char *program, const char *const arguments[])
{
    int status;
    pid_t child = fork();
    if (child == 0) become(postgres, program, arguments);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) fail_with_log(postgres, program);
}

void postgres_make(struct postgres *postgres)
{
    char data[96];
    make_folder(postgres, data);
    run_program(postgres, "initdb",
                (const char *[]){"-D", data, "-U", "molt", "-A", "trust", "-E", "UTF8", "--no-locale",
                                 "--no-sync", "--no-instructions", NULL});
    postgres_start(postgres);
}

void postgres_make_stand_by(struct postgres *postgres, const struct postgres *primary)
{
    char data[96];
    make_folder(postgres, data);
    run_program(postgres, "pg_basebackup",
                (const char *[]){"-D", data, "-h", primary->dir.path, "-U", "molt", "-R", "-c", "fast",
                                 "--no-sync", "--no-manifest", NULL});
    postgres->stands_by = true;
    postgres_start(postgres);
}

static void connection_text(const struct postgres *postgres, char *text, size_t cap)
{
    snprintf(text, cap, "host=%s user=molt dbname=postgres", postgres->dir.path);
}

void postgres_start(struct postgres *postgres)
{
    char data[96], text[160];
    int status;
    snprintf(data, sizeof data, "%s/data", postgres->dir.path);
    postgres->pid = fork();
    if (postgres->pid == 0)
        become(postgres, "postgres",
               (const char *[]){"-D", data, "-k", postgres->dir.path, "-c", "listen_addresses=", "-c",
                                "fsync=off", "-c", "shared_buffers=32MB", "-c", "max_connections=20", "-c",
                                "autovacuum=off", NULL});
    assert_true(postgres->pid > 0);
    connection_text(postgres, text, sizeof text);
    while (PQping(text) != PQPING_OK) { /* until it answers; the test's own time limit ends it */
        if (waitpid(postgres->pid, &status, WNOHANG) == postgres->pid) fail_with_log(postgres, "postgres");
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
}

#define CHILDREN_MAX 64

/* The processes that the cluster's first one has started. */
static size_t children_of(const struct postgres *postgres, pid_t pids[CHILDREN_MAX])
{
    char path[64], text[4096];
    size_t count = 0;
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)postgres->pid, (int)postgres->pid);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    char *rest = text;
    for (char *pid; (pid = strtok_r(rest, " ", &rest)) != NULL;) {
        assert_true(count < CHILDREN_MAX);
        pids[count++] = (pid_t)atoi(pid);
    }
    return count;
}

/* It may be a zombie for long: its parent is gone, and what takes its place here may have other things to do. */
static bool is_gone(pid_t pid)
{
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *file = fopen(path, "r");
    if (file == NULL) return true;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    const char *name_end = strrchr(text, ')');
    return name_end == NULL || strncmp(name_end, ") Z", 3) == 0 || strncmp(name_end, ") X", 3) == 0;
}

void postgres_stop(struct postgres *postgres, int signal)
{
    pid_t children[CHILDREN_MAX];
    int status;
    if (postgres->pid == 0) return;
    /* who is killed ends none: as long as one lives the cluster does not start again */
    size_t count = signal == SIGKILL ? children_of(postgres, children) : 0;
    kill(postgres->pid, signal);
    assert_int_equal(waitpid(postgres->pid, &status, 0), postgres->pid);
    postgres->pid = 0;
    for (size_t i = 0; i < count; i++) {
        (void)kill(children[i], SIGKILL);
        while (!is_gone(children[i]))
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

void postgres_signal(struct postgres *postgres, int signal)
{
    pid_t children[CHILDREN_MAX];
    assert_int_equal(kill(postgres->pid, signal), 0);
    size_t count = children_of(postgres, children);
    for (size_t i = 0; i < count; i++)
        (void)kill(children[i], signal); /* one that has just ended needs none */
}

void postgres_remove(struct postgres *postgres)
{
    postgres_stop(postgres, SIGINT);
    temp_dir_remove(&postgres->dir);
}

static PGconn *connect_to(const struct postgres *postgres)
{
    char text[160];
    connection_text(postgres, text, sizeof text);
    PGconn *conn = PQconnectdb(text);
    if (PQstatus(conn) != CONNECTION_OK) fail_msg("%s", PQerrorMessage(conn));
    return conn;
}

static void run(PGconn *conn, const char *sql)
{
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(conn));
    PQclear(result);
}

void postgres_run(const struct postgres *postgres, const char *schema, const char *sql)
{
    char text[128];
    PGconn *conn = connect_to(postgres);
    run(conn, "SET default_transaction_read_only = off"); /* a test may have switched it on for all */
    snprintf(text, sizeof text, "SET client_min_messages = warning; CREATE SCHEMA IF NOT EXISTS %s", schema);
    if (!postgres->stands_by) run(conn, text);
    snprintf(text, sizeof text, "SET search_path = %s", schema);
    run(conn, text);
    run(conn, sql);
    PQfinish(conn);
}

static bool has_setting(const struct postgres *postgres, const char *setting, const char *value)
{
    char sql[200];
    PGconn *conn = connect_to(postgres);
    snprintf(sql, sizeof sql, "SELECT 1 FROM pg_settings WHERE name = '%s' AND setting = '%s'", setting,
             value);
    PGresult *result = PQexec(conn, sql);
    if (PQresultStatus(result) != PGRES_TUPLES_OK) fail_msg("%s: %s", sql, PQerrorMessage(conn));
    bool has = PQntuples(result) == 1;
    PQclear(result);
    PQfinish(conn);
    return has;
}

/* Who connects anew has it once the first process has read it; by then it has told all the others, too. */
void postgres_set(const struct postgres *postgres, const char *setting, const char *value)
{
    char sql[160];
    snprintf(sql, sizeof sql, "ALTER SYSTEM SET %s = %s", setting, value);
    postgres_run(postgres, "public", sql);
    postgres_run(postgres, "public", "SELECT pg_reload_conf()");
    while (!has_setting(postgres, setting, value))
        nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
}

void postgres_url(const struct postgres *postgres, const char *schema, char *url, size_t cap)
{
    char host[192] = "";
    postgres_run(postgres, schema, "SELECT 1");
    for (const char *p = postgres->dir.path; *p != '\0'; p++)
        snprintf(host + strlen(host), sizeof host - strlen(host), *p == '/' ? "%%2F" : "%c", *p);
    snprintf(url, cap, "postgres://molt@%s/postgres?options=-csearch_path%%3D%s", host, schema);
}

/* ---- a database that knows less ---- */

atomic_int postgres_copies, postgres_largest;

/* What is sent instead is really refused, by the same SQLSTATE as by a database that lacks it, so a transaction around it is lost. */
#define NOT_SUPPORTED                                                                                        \
    "CREATE ASSERTION none CHECK (true)" /* 0A000, as CockroachDB says of binary COPY to the client, */
#define WHAT_IS_THAT "COPY none"         /* and YugabyteDB of advisory locks; 42601 */

/* Those of libpq, in whose place these are for the program under test. */
static int (*sound_query)(PGconn *, const char *);
static int (*sound_params)(PGconn *, const char *, int, const Oid *, const char *const *, const int *,
                           const int *, int);
static PGresult *(*sound_result)(PGconn *);

__attribute__((constructor)) static void find_sound(void) /* before there are threads */
{
    *(void **)&sound_query = dlsym(RTLD_NEXT, "PQsendQuery");
    *(void **)&sound_params = dlsym(RTLD_NEXT, "PQsendQueryParams");
    *(void **)&sound_result = dlsym(RTLD_NEXT, "PQgetResult");
}

static bool knows_less(void)
{
    const char *how = getenv("MOLT_TEST_KNOWS");
    return how != NULL && strcmp(how, "less") == 0;
}

int PQsendQuery(PGconn *conn, const char *query)
{
    if (strncmp(query, "COPY ", 5) != 0) return sound_query(conn, query);
    atomic_fetch_add(&postgres_copies, 1);
    if (!knows_less()) return sound_query(conn, query);
    return sound_query(conn, strstr(query, " TO STDOUT ") != NULL ? NOT_SUPPORTED : WHAT_IS_THAT);
}

int PQsendQueryParams(PGconn *conn, const char *command, int count, const Oid *types,
                      const char *const *values, const int *lengths, const int *formats, int format)
{
    if (knows_less() && strstr(command, "advisory_xact") != NULL) command = NOT_SUPPORTED;
    return sound_params(conn, command, count, types, values, lengths, formats, format);
}

PGresult *PQgetResult(PGconn *conn)
{
    PGresult *result = sound_result(conn);
    const int rows = PQntuples(result);
    if (rows > atomic_load(&postgres_largest)) atomic_store(&postgres_largest, rows);
    return result;
}
