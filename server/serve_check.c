/* serve_check.c - whether settings go together, asked before anything is begun (serve_check() of serve.h). Must never open, make or change
 * anything. Tests: test/e2e/config_test.sh, test/e2e/serve_test.c. */
#include "serve.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config.h"

#define PATH_LEN 4096

static int fail(char *err, size_t cap, const char *what, const char *why)
{
    (void)snprintf(err, cap, "%s: %s", what, why);
    return -1;
}

static bool is_https(const char *url)
{
    return strncmp(url, "https://", 8) == 0;
}

/* True when the URL's host is this machine only. */
static bool is_loopback(const char *url)
{
    struct in_addr v4;
    char host[64];
    const char *begin = strstr(url, "://");
    begin = begin != NULL ? begin + 3 : url;
    size_t len = begin[0] == '[' ? strcspn(begin, "]") + 1 : strcspn(begin, ":/");
    if (len >= sizeof host) return false;
    memcpy(host, begin, len);
    host[len] = '\0';
    if (inet_pton(AF_INET, host, &v4) == 1) return ntohl(v4.s_addr) >> 24 == 127;
    return strcmp(host, "[::1]") == 0 || strcmp(host, "localhost") == 0;
}

/* Paths that must be there before anything is begun: the sentence names the setting. */
static int check_files(const struct serve_options *options, char *err, size_t cap)
{
    size_t count;
    const struct config_row *rows = config_rows(&count);
    for (size_t i = 0; i < count; i++) {
        const char *path;
        char what[PATH_LEN];
        if (rows[i].kind != CONFIG_FILE && rows[i].kind != CONFIG_DIR) continue;
        memcpy(&path, (const char *)options + rows[i].offset, sizeof path);
        if (path == NULL || access(path, R_OK) == 0) continue;
        (void)snprintf(what, sizeof what, "--%s %s", rows[i].name, path);
        return fail(err, cap, what, strerror(errno));
    }
    return 0;
}

/* postgres:// or postgresql:// */
static bool is_postgres(const char *url)
{
    return url != NULL && (strncmp(url, "postgres://", 11) == 0 || strncmp(url, "postgresql://", 13) == 0);
}

int serve_check(const struct serve_options *options, char *err, size_t cap)
{
    const char *admin = options->admin != NULL ? options->admin : SERVE_ADMIN_DEFAULT;
    bool https = is_https(admin);
    if (options->data_dir == NULL || options->listen_count > SERVE_LISTEN_MAX)
        return fail(err, cap, "invalid options", "no data folder, or too many --listen");
    for (size_t i = 0; i < options->listen_count; i++)
        https = https || is_https(options->listen[i]);
    if (https && (options->tls_cert == NULL || options->tls_key == NULL))
        return fail(err, cap, "https", "give --tls-cert and --tls-key");
    if (!is_https(admin) && !is_loopback(admin) && !options->admin_insecure)
        return fail(err, cap, admin,
                    "the admin plane would send tokens in the clear; use https, or say --admin-insecure");
    if (options->public_url != NULL && strncmp(options->public_url, "http://", 7) != 0 &&
        !is_https(options->public_url))
        return fail(err, cap, options->public_url, "--public-url begins with http:// or https://");
    if ((options->oidc_issuer == NULL) != (options->oidc_client == NULL))
        return fail(err, cap, "OpenID", "--oidc-issuer and --oidc-client go together");
    if ((options->tls_cert == NULL) != (options->tls_key == NULL))
        return fail(err, cap, "https", "--tls-cert and --tls-key go together");
    if (options->device_crl != NULL && options->device_ca == NULL)
        return fail(err, cap, "--device-crl", "give --device-ca, whose list it is");
    if (options->replica_url != NULL && !is_postgres(options->replica_url))
        return fail(err, cap, "--read-replica", "names a stand-by: postgres://USER@HOST/DATABASE");
    if (options->replica_url != NULL && !is_postgres(options->store_url))
        return fail(err, cap, "--read-replica", "is a stand-by of the PostgreSQL of --store: give that, too");
    return check_files(options, err, cap);
}
