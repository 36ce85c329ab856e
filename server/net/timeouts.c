/* timeouts.c - one coarse wheel of deadlines a loop instead of a timer a connection.
 * A deadline that moves later is only noted and found when its slot comes round: the common case, a request on a
 * keep-alive connection, costs one store. Must never fire early. Tests: test/e2e/http_waits_test.c. */
#include "server/net/net.h"

void net_node_init(struct net_wheel_node *node)
{
    node->prev = node->next = node;
}

void net_node_link(struct net_wheel_node *head, struct net_wheel_node *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

void net_node_unlink(struct net_wheel_node *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    net_node_init(node);
}

void net_wheel_init(struct net_wheel *w, uint32_t tick_ms, uint64_t now_ms)
{
    for (unsigned i = 0; i < NET_WHEEL_SLOTS; i++)
        net_node_init(&w->slots[i]);
    w->tick_ms = tick_ms;
    w->tick = now_ms / tick_ms;
}

static void link_into(struct net_wheel *w, struct net_conn *c, uint64_t tick)
{
    c->slot_tick = tick;
    net_node_link(&w->slots[tick % NET_WHEEL_SLOTS], &c->node);
}

/* The first tick that is wholly after the deadline, at most one turn of the wheel away. */
static uint64_t tick_of(const struct net_wheel *w, const struct net_conn *c)
{
    uint64_t last = w->tick + NET_WHEEL_SLOTS - 1;
    if (c->deadline_ms / w->tick_ms >= last) return last;
    uint64_t tick = c->deadline_ms / w->tick_ms + 1;
    return tick > w->tick ? tick : w->tick + 1;
}

void net_wheel_insert(struct net_loop *loop, struct net_conn *c)
{
    c->deadline_ms = UINT64_MAX;
    link_into(&loop->wheel, c, tick_of(&loop->wheel, c));
}

void net_deadline(struct net_conn *c, uint32_t in_ms)
{
    struct net_loop *loop = c->loop;
    c->deadline_ms = in_ms ? uv_now(&loop->uv) + in_ms : UINT64_MAX;
    uint64_t tick = tick_of(&loop->wheel, c);
    if (tick >= c->slot_tick) return;
    net_node_unlink(&c->node);
    link_into(&loop->wheel, c, tick);
}

/* Moves the whole list of a slot to due, then connections re-enter the wheel one by one: what is done to one of
 * them may close any other. */
static void take_slot(struct net_wheel *w, uint64_t tick, struct net_wheel_node *due)
{
    struct net_wheel_node *slot = &w->slots[tick % NET_WHEEL_SLOTS];
    net_node_init(due);
    if (slot->next == slot) return;
    *due = *slot;
    due->next->prev = due->prev->next = due;
    net_node_init(slot);
}

static struct net_conn *take_conn(struct net_wheel *w, struct net_wheel_node *due)
{
    if (due->next == due) return NULL;
    struct net_conn *c = (struct net_conn *)(void *)((char *)due->next - offsetof(struct net_conn, node));
    net_node_unlink(&c->node);
    link_into(w, c, tick_of(w, c));
    return c;
}

static void sweep_slot(struct net_loop *loop, uint64_t now)
{
    struct net_wheel_node due;
    struct net_conn *c;
    take_slot(&loop->wheel, loop->wheel.tick, &due);
    while ((c = take_conn(&loop->wheel, &due)))
        if (c->deadline_ms <= now) net_conn_timeout(c);
}

void net_wheel_stop(struct net_loop *loop, bool at_once)
{
    for (unsigned i = 0; i < NET_WHEEL_SLOTS; i++) {
        struct net_wheel_node due;
        struct net_conn *c;
        take_slot(&loop->wheel, i, &due);
        while ((c = take_conn(&loop->wheel, &due)))
            net_conn_stop(c, at_once);
    }
}

void net_sweep(uv_timer_t *timer)
{
    struct net_loop *loop = timer->data;
    uint64_t now = uv_now(&loop->uv), until = now / loop->wheel.tick_ms;
    net_accept_resume(loop);
    /* after a long sleep one turn is enough: it visits every slot */
    if (until - loop->wheel.tick > NET_WHEEL_SLOTS) loop->wheel.tick = until - NET_WHEEL_SLOTS;
    while (loop->wheel.tick < until) {
        loop->wheel.tick++;
        sweep_slot(loop, now);
    }
}
