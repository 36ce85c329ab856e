/* listen.c - listening addresses: parsing, binding, accepting within limits.
 * Must never let a connection through that has no place, nor spin when descriptors run out. Tests:
 * test/e2e/http_limits_test.c. */
#include "server/net/net.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096, ACCEPTS_A_TURN = 64 };

/* Splits "HOST:PORT" or "[V6]:PORT". */
static bool split_host(struct net_listener *l, const char *p)
{
    const char *end = strchr(p, '/');
    size_t len = end ? (size_t)(end - p) : strlen(p);
    if (end && end[1]) return false;
    const char *host_end = NULL, *host = p;
    if (p[0] == '[') {
        host = p + 1;
        host_end = memchr(p, ']', len);
        if (!host_end || host_end + 1 >= p + len || host_end[1] != ':') return false;
    } else {
        host_end = memchr(p, ':', len);
    }
    if (!host_end || host_end == host) return false;
    const char *port = *host_end == ']' ? host_end + 2 : host_end + 1;
    size_t port_len = (size_t)(p + len - port);
    if (port_len == 0 || port_len > 5 || strspn(port, "0123456789") < port_len) return false;
    unsigned long number = strtoul(port, NULL, 10);
    if (number > 65535) return false;
    l->host = strndup(host, (size_t)(host_end - host));
    l->port = (uint16_t)number;
    return l->host != NULL;
}

int net_listener_parse(struct net_listener *l, const struct http_listener *from, char *err, size_t err_cap)
{
    *l = (struct net_listener){
        .handler = from->handler, .handler_ctx = from->handler_ctx, .body_max = from->body_max};
    bool ok = false;
    if (strncmp(from->url, "unix:", 5) == 0) {
        ok = from->url[5] && strlen(from->url + 5) < sizeof(((struct sockaddr_un *)0)->sun_path);
        l->unix_path = ok ? strdup(from->url + 5) : NULL;
    } else if (strncmp(from->url, "http://", 7) == 0) {
        ok = split_host(l, from->url + 7);
    } else if (strncmp(from->url, "https://", 8) == 0) {
        l->tls = true;
        ok = split_host(l, from->url + 8);
    }
    if (!ok) {
        snprintf(err, err_cap, "'%s' is not http://HOST:PORT, https://HOST:PORT or unix:PATH", from->url);
        return -1;
    }
    if (!l->tls) return 0;
    const struct net_tls_files files = {from->cert_path, from->key_path, from->client_ca_path,
                                        from->client_crl_path};
    l->tls_ctx = net_tls_ctx_new(&files, err, err_cap);
    return l->tls_ctx ? 0 : -1;
}

void net_listener_free(struct net_listener *l)
{
    if (l->unix_path && l->opened) unlink(l->unix_path);
    net_tls_ctx_free(l->tls_ctx);
    free(l->host);
    free(l->unix_path);
}

/* What may be done about it, in the words of who reads the log. */
static const char *remedy(int error)
{
    switch (error) {
    case EADDRINUSE:
        return "; another program has it: stop that one, or give another port";
    case EACCES:
        return "; below 1024 a port is root's: take a higher one, or start as root with --user NAME";
    case EADDRNOTAVAIL:
        return "; this machine has no such address, and 0.0.0.0 is all that it has";
    default:
        return "";
    }
}

static int fail(int fd, const struct net_listener *l, char *err, size_t err_cap)
{
    const int error = errno;
    if (l->unix_path)
        snprintf(err, err_cap, "cannot listen on %s: %s", l->unix_path, strerror(error));
    else
        snprintf(err, err_cap, "cannot listen on %s port %u: %s%s", l->host, (unsigned)l->port,
                 strerror(error), remedy(error));
    if (fd >= 0) close(fd);
    return -1;
}

static int open_unix(struct net_listener *l, char *err, size_t err_cap)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    memcpy(addr.sun_path, l->unix_path, strlen(l->unix_path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return fail(fd, l, err, err_cap);
    /* a name that nobody listens on is left over from a process that was killed */
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0 || errno == EAGAIN) {
        errno = EADDRINUSE;
        return fail(fd, l, err, err_cap);
    }
    struct stat st;
    if (errno == ECONNREFUSED && lstat(l->unix_path, &st) == 0 && S_ISSOCK(st.st_mode)) unlink(l->unix_path);
    /* the mode is set before the name exists: nobody can connect in between */
    if (fchmod(fd, 0600) != 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0)
        return fail(fd, l, err, err_cap);
    l->opened = true;
    if (chmod(l->unix_path, 0600) != 0 || listen(fd, BACKLOG) != 0) return fail(fd, l, err, err_cap);
    return fd;
}

static int bind_tcp(const struct net_listener *l, bool shared, int *family)
{
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)l->port);
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *found;
    if (getaddrinfo(l->host, service, &hints, &found) != 0) {
        errno = EADDRNOTAVAIL;
        return -1;
    }
    int on = 1, saved = EADDRNOTAVAIL,
        fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *family = found->ai_family;
    bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
              (!shared || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0) &&
              bind(fd, found->ai_addr, found->ai_addrlen) == 0;
    if (!ok) saved = errno;
    freeaddrinfo(found);
    if (ok) return fd;
    if (fd >= 0) close(fd);
    errno = saved;
    return -1;
}

static uint16_t port_of(int fd)
{
    struct sockaddr_storage addr = {0};
    socklen_t len = sizeof addr;
    if (getsockname(fd, (struct sockaddr *)&addr, &len) != 0) return 0;
    if (addr.ss_family == AF_INET) return ntohs(((struct sockaddr_in *)(void *)&addr)->sin_port);
    return ntohs(((struct sockaddr_in6 *)(void *)&addr)->sin6_port);
}

/* Every loop has a socket of its own on the same port, and the kernel spreads the connections. That would also let
 * a second server share the port unseen, so the first one binds without sharing to find out. */
static int open_tcp(struct net_listener *l, char *err, size_t err_cap)
{
    int family, on = 1, defer_s = 1, fd;
    if (!l->opened && l->port != 0) {
        fd = bind_tcp(l, false, &family);
        if (fd < 0 || listen(fd, 1) != 0) return fail(fd, l, err, err_cap);
        close(fd);
    }
    fd = bind_tcp(l, true, &family);
    /* Accepted sockets inherit this: answers must not wait for acknowledgements. And a connection is handed over with its
     * first bytes, or a second later without: then it needs one read, and no wait in between. */
    if (fd < 0 || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &defer_s, sizeof defer_s) != 0 ||
        listen(fd, BACKLOG) != 0)
        return fail(fd, l, err, err_cap);
    l->port = port_of(fd);
    l->opened = true;
    return fd;
}

int net_listener_open(struct net_listener *l, char *err, size_t err_cap)
{
    return l->unix_path ? open_unix(l, err, err_cap) : open_tcp(l, err, err_cap);
}

static struct in6_addr address_of(const struct sockaddr_storage *from)
{
    struct in6_addr addr = IN6ADDR_ANY_INIT;
    if (from->ss_family == AF_INET6) return ((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
    if (from->ss_family != AF_INET) return addr;
    addr.s6_addr[10] = addr.s6_addr[11] = 0xff;
    memcpy(&addr.s6_addr[12], &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
    return addr;
}

/* Takes a place for the connection, or says that there is none. */
static bool enter(struct net_accept *a, const struct in6_addr *addr)
{
    struct http_server *server = a->loop->server;
    unsigned open = atomic_fetch_add_explicit(&server->open, 1, memory_order_relaxed);
    bool ok = open < server->connections_max;
    if (ok && server->addresses && !a->listener->unix_path) ok = net_addresses_enter(server->addresses, addr);
    if (!ok) atomic_fetch_sub_explicit(&server->open, 1, memory_order_relaxed);
    return ok;
}

/* No descriptor is left: give the spare one up for a moment, so that the peer is told instead of left waiting. */
static bool refuse_one(struct net_accept *a)
{
    struct net_loop *loop = a->loop;
    if (loop->spare_fd < 0) return false;
    close(loop->spare_fd);
    int fd = accept4(a->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0) net_count(&loop->counters.refused, 1);
    if (fd >= 0) close(fd);
    loop->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

static void pause_accept(struct net_accept *a)
{
    net_loop_unwatch(a->loop, a->fd);
    a->open = false;
    a->paused = true;
}

static void accept_ready(struct net_watch *watch, uint32_t events)
{
    struct net_accept *a = (struct net_accept *)(void *)watch;
    (void)events;
    for (int i = 0; i < ACCEPTS_A_TURN && a->fd >= 0; i++) {
        struct sockaddr_storage from = {0};
        socklen_t len = sizeof from;
        int fd = accept4(a->fd, (struct sockaddr *)&from, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            bool full = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
            if (full && !refuse_one(a)) pause_accept(a); /* until the next sweep */
            return;
        }
        struct in6_addr addr = address_of(&from);
        if (enter(a, &addr)) {
            net_conn_open(a->loop, a->listener, fd, &addr);
        } else {
            net_count(&a->loop->counters.refused, 1);
            close(fd);
        }
    }
}

int net_accept_start(struct net_accept *a)
{
    a->watch.ready = accept_ready;
    a->open = net_loop_watch(a->loop, &a->watch, a->fd, EPOLLIN);
    a->paused = !a->open;
    return a->open ? 0 : -1;
}

/* Another loop may have taken the descriptor that the spare one left: get one back when there is one again. */
void net_accept_resume(struct net_loop *loop)
{
    if (loop->spare_fd < 0) loop->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    for (size_t i = 0; i < loop->accept_count; i++)
        if (loop->accepts[i].paused) net_accept_start(&loop->accepts[i]);
}

void net_accept_stop(struct net_accept *a)
{
    if (a->fd < 0) return;
    if (a->open) net_loop_unwatch(a->loop, a->fd);
    close(a->fd);
    a->fd = -1;
    a->open = a->paused = false;
}
