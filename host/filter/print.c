/* print.c - compiled filter to text, with the brackets that it needs and no others.
 * Must never write past the buffer. Tests: test/property/filter_property_test.c (parse and print are inverse). */
#include <string.h>

#include "filter_parts.h"

struct printer {
    const struct filter *filter;
    char *out;
    size_t cap, len;
    bool full;
};

static void put(struct printer *p, const char *text, size_t len)
{
    if (len >= p->cap - p->len) {
        p->full = true;
        return;
    }
    memcpy(p->out + p->len, text, len);
    p->len += len;
}

static void put_text(struct printer *p, const char *text)
{
    put(p, text, strlen(text));
}

static bool needs_quotes(const char *value)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-*?+:/%";
    return value[0] == '\0' || value[strspn(value, plain)] != '\0';
}

static void put_value(struct printer *p, const char *value)
{
    if (!needs_quotes(value)) {
        put_text(p, value);
        return;
    }
    put_text(p, "\"");
    for (; *value != '\0'; value++) {
        if (*value == '"' || *value == '\\') put_text(p, "\\");
        put(p, value, 1);
    }
    put_text(p, "\"");
}

static void put_test(struct printer *p, const struct filter_node *node)
{
    static const char *const ops[] = {"", " = ", " != ", " < ", " <= ", " > ", " >= ", " ~ "};
    put_text(p, filter_fields[node->field].name);
    if (node->field == FILTER_F_ATTR) put_text(p, p->filter->pool + node->name);
    put_text(p, ops[node->op]);
    put_value(p, p->filter->pool + node->value);
}

/* How tightly a node binds: what binds less than its parent needs brackets. */
static int strength(const struct filter_node *node)
{
    return node->kind == FILTER_OR ? 1 : node->kind == FILTER_AND ? 2 : 3;
}

static void put_node(struct printer *p, uint32_t idx, int at_least)
{
    const struct filter_node *node = &p->filter->nodes[idx];
    int binds = strength(node);
    if (binds < at_least) put_text(p, "(");
    if (node->kind == FILTER_TEST) {
        put_test(p, node);
    } else if (node->kind == FILTER_NOT) {
        put_text(p, "not ");
        put_node(p, idx - 1, 3);
    } else if (node->kind != FILTER_NOTHING) {
        put_node(p, node->left, binds);
        put_text(p, node->kind == FILTER_AND ? " and " : " or ");
        put_node(p, idx - 1, binds + 1);
    }
    if (binds < at_least) put_text(p, ")");
}

int filter_print(const struct filter *filter, char *out, size_t cap)
{
    struct printer p = {.filter = filter, .out = out, .cap = cap};
    if (cap == 0) return -1;
    if (filter->count > 0) put_node(&p, filter->count - 1, 0);
    out[p.len] = '\0';
    return p.full ? -1 : (int)p.len;
}
