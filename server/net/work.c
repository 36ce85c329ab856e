/* work.c - exchanges that are not answered at once: worker threads, parking, resuming from any thread.
 * Must never touch an exchange outside its loop's thread, except to queue it. Tests: test/e2e/http_limits_test.c. */
#include "server/net/net.h"

static void do_work(uv_work_t *work)
{
    struct http_exchange *x = work->data;
    x->work_fn(x->after_ctx, x);
}

static void did_work(uv_work_t *work, int status)
{
    struct http_exchange *x = work->data;
    struct net_loop *loop = x->loop;
    (void)status; /* nothing cancels work */
    x->working = false;
    loop->working--;
    x->after_fn(x->after_ctx, x);
    net_loop_check_end(loop);
}

void http_work(struct http_exchange *x, void (*work)(void *ctx, struct http_exchange *x),
               void (*after)(void *ctx, struct http_exchange *x), void *ctx)
{
    x->work_fn = work;
    x->after_fn = after;
    x->after_ctx = ctx;
    x->work.data = x;
    x->working = true;
    x->loop->working++;
    uv_queue_work(&x->loop->uv, &x->work, do_work, did_work);
}

void http_park(struct http_exchange *x)
{
    (void)x; /* an exchange waits by not being answered; the name at the call says that this is meant */
}

void http_resume(struct http_exchange *x, void (*resume)(void *ctx, struct http_exchange *x), void *ctx)
{
    struct net_loop *loop = x->loop;
    pthread_mutex_lock(&loop->resume_lock);
    if (!loop->ending) {
        x->after_fn = resume;
        x->after_ctx = ctx;
        x->resume_next = NULL;
        if (loop->resume_tail)
            loop->resume_tail->resume_next = x;
        else
            loop->resume_head = x;
        loop->resume_tail = x;
        uv_async_send(&loop->wake);
    }
    pthread_mutex_unlock(&loop->resume_lock);
}

void net_resume_all(struct net_loop *loop)
{
    pthread_mutex_lock(&loop->resume_lock);
    struct http_exchange *x = loop->resume_head;
    loop->resume_head = loop->resume_tail = NULL;
    pthread_mutex_unlock(&loop->resume_lock);
    while (x) {
        struct http_exchange *next = x->resume_next; /* answering may recycle x */
        x->after_fn(x->after_ctx, x);
        x = next;
    }
}
