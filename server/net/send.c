/* send.c - moves a response into the socket: head and first bytes in one write, then sendfile.
 * Must never block, and never send more than was announced. Tests: test/e2e/http_send_test.c. */
#include "server/net/net.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

enum { TURN_MAX = 1 << 20 }; /* bytes one connection may send before others get their turn */

static enum net_io io_error(void)
{
    return errno == EAGAIN || errno == EINTR ? NET_IO_AGAIN : NET_IO_FAILED;
}

/* Counts what the kernel took of out: what lies behind the head is body. */
static void took_out(struct http_exchange *x, size_t n)
{
    size_t before = x->out_off > x->out_head_len ? x->out_off - x->out_head_len : 0;
    x->out_off += n;
    size_t after = x->out_off > x->out_head_len ? x->out_off - x->out_head_len : 0;
    x->sent += after - before;
}

static ssize_t send_memory(struct net_conn *c)
{
    struct http_exchange *x = c->x;
    size_t rest = x->body ? (size_t)x->body_rest : 0, head = x->out_len - x->out_off;
    struct iovec iov[2] = {{x->out + x->out_off, head}, {(void *)(uintptr_t)x->body, rest}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = rest ? 2 : 1};
    /* no MSG_MORE: head and first part are one write already, and mixing them with the file's pages doubles the
     * kernel's work for the rest */
    ssize_t n = rest ? sendmsg(c->fd, &msg, MSG_NOSIGNAL) : send(c->fd, iov[0].iov_base, head, MSG_NOSIGNAL);
    if (n <= 0) return n;
    size_t of_head = (size_t)n < head ? (size_t)n : head;
    took_out(x, of_head);
    size_t of_body = (size_t)n - of_head;
    if (of_body) {
        x->body += of_body;
        x->body_rest -= of_body;
        x->sent += of_body;
    }
    return n;
}

static ssize_t send_file(struct net_conn *c)
{
    struct http_exchange *x = c->x;
    off_t off = (off_t)x->file_off;
    size_t len = x->body_rest < TURN_MAX ? (size_t)x->body_rest : (size_t)TURN_MAX;
    ssize_t n = sendfile(c->fd, x->file_fd, &off, len);
    if (n <= 0) return n;
    x->file_off += (uint64_t)n;
    x->body_rest -= (uint64_t)n;
    x->sent += (uint64_t)n;
    return n;
}

enum net_io net_send(struct net_conn *c)
{
    struct http_exchange *x = c->x;
    size_t turn = 0;
    while (x->out_off < x->out_len || x->body_rest > 0) {
        if (turn >= TURN_MAX) return NET_IO_TURN;
        bool memory = x->out_off < x->out_len || x->body;
        ssize_t n = memory ? send_memory(c) : send_file(c);
        if (n < 0) return io_error();
        if (n == 0) return NET_IO_FAILED; /* the file became shorter than announced */
        turn += (size_t)n;
        net_count(&c->loop->counters.bytes_sent, (uint64_t)n);
    }
    return NET_IO_DONE;
}
