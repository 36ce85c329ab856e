/* serve_run.c - `molt serve` as a process: its limits, user and sandbox, and what signals do. Must confine itself before the first thread
 * is made. Tests: test/e2e/serve_kill_test.c, test/e2e/config_test.sh, test/unit/sandbox_test.c. */
#include "serve.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

#include "config.h"
#include "log.h"
#include "sandbox.h"

#define DRAIN_MS 10000u /* for answers that are under way */

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static void look_at_crl(const char *path)
{
    if (path == NULL || !http_crl_stale(path, (int64_t)time(NULL))) return;
    log_event(
        "event=crl-stale file=%s next-step=\"renew it: what is on it stays revoked, and nothing new is\"",
        path);
}

/* SIGHUP. What cannot be read leaves everything as it was. */
static void reload_all(struct serve *serve, const struct serve_reload *reload)
{
    char err[512] = "", restart[512] = "";
    struct serve_options options;
    int rc = serve_reload_tls(serve, err, sizeof err);
    log_event("event=tls-reload result=%s%s%s", rc == 0 ? "ok" : "failed",
              rc == 0 ? "" : " error=", rc == 0 ? "" : err);
    serve_options_now(serve, &options);
    look_at_crl(options.device_crl);
    if (reload == NULL) return;
    err[0] = '\0';
    rc = reload->load(reload->ctx, &options, err, sizeof err);
    if (rc != 0) {
        log_event("event=config-reload result=failed error=\"%s\"", err);
        return;
    }
    serve_apply(serve, &options, restart, sizeof restart);
    reload->taken(reload->ctx);
    log_event("event=config-reload result=ok%s%s%s", restart[0] != '\0' ? " needs-restart=\"" : "", restart,
              restart[0] != '\0' ? "\"" : "");
}

/* Another user, and what he may see: before the first thread is made. */
static int confine(const struct serve_options *options, char *err, size_t cap)
{
    struct sandbox_path paths[24 + CONFIG_ROWS_MAX] = {
        {"/etc", false},         {"/usr", false},     {"/lib", false}, {"/lib64", false},  {"/proc", false},
        {"/dev/urandom", false}, {"/dev/null", true}, {"/run", false}, {"/var/run", false}};
    size_t rows_count, count = 9;
    const struct config_row *rows = config_rows(&rows_count);
    bool landlock = false, seccomp = false;
    if (options->user != NULL && sandbox_user(options->user, options->data_dir, err, cap) != 0) return -1;
    if (!options->sandbox) return 0;
    if (mkdir(options->data_dir, 0700) != 0 && errno != EEXIST) {
        (void)snprintf(err, cap, "%s: %s", options->data_dir, strerror(errno));
        return -1;
    }
    paths[count++] = (struct sandbox_path){options->data_dir, true};
    paths[count++] = (struct sandbox_path){options->config_path, false};
    if (options->artifacts_url != NULL && strncmp(options->artifacts_url, "s3://", 5) != 0)
        paths[count++] = (struct sandbox_path){options->artifacts_url, true};
    for (size_t i = 0; i < rows_count; i++) {
        if (rows[i].kind != CONFIG_FILE && rows[i].kind != CONFIG_DIR) continue;
        memcpy(&paths[count].path, (const char *)options + rows[i].offset, sizeof paths[count].path);
        count++;
    }
    if (sandbox_enter(paths, count, &landlock, &seccomp, err, cap) != 0) return -1;
    log_event("event=sandbox landlock=%s seccomp=%s", landlock ? "yes" : "no", seccomp ? "yes" : "no");
    return 0;
}

int serve_run(const struct serve_options *options, const struct serve_reload *reload)
{
    char err[512] = "";
    struct serve *serve;
    sigset_t signals;
    int got = 0;
    (void)signal(SIGPIPE, SIG_IGN);
    (void)signal(SIGXFSZ, SIG_IGN); /* a full disk is an error, not the end */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL); /* before any thread is made: all of them inherit it */
    raise_file_limit();
    log_set_json(options->log_json);
    if (confine(options, err, sizeof err) != 0) {
        log_event("event=not-started error=\"%s\"", err);
        return 1;
    }
    if (serve_start(&serve, options, err, sizeof err) != 0) {
        log_event("event=not-started error=\"%s\"", err);
        return 1;
    }
    look_at_crl(options->device_crl);
    while (sigwait(&signals, &got) == 0 && got == SIGHUP)
        reload_all(serve, reload);
    log_event("event=stopping signal=%d", got);
    serve_stop(serve, DRAIN_MS);
    log_event("event=stopped");
    return 0;
}
