/* parse.c - text to compiled filter: a recursive descent whose depth, nodes and text are bounded.
 * Must never read past the NUL nor keep a pointer into the text. Tests: test/unit/filter_test.c,
 * test/property/filter_property_test.c, test/fuzz/filter_fuzz.c. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "filter_parts.h"

#define AS_INFO(symbol, name, type) {name, FILTER_##type},
const struct filter_field_info filter_fields[FILTER_FIELD_COUNT] = {FILTER_FIELDS(AS_INFO)};

enum token { T_END, T_WORD, T_TEXT, T_OPEN, T_CLOSE, T_COMMA, T_OP, T_BAD };

struct parser {
    struct filter *filter;
    const char *text;
    size_t at, token_at; /* behind, and at the beginning of, the current token */
    enum token token;
    enum filter_op op;           /* of T_OP */
    char word[FILTER_VALUE_MAX]; /* of T_WORD and T_TEXT */
    size_t word_len;
    int depth;
    char *error;
    size_t error_cap;
    bool failed;
};

static void fail(struct parser *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void fail(struct parser *p, const char *format, ...)
{
    char what[128];
    va_list values;
    if (p->failed) return; /* the first mistake is the one to tell */
    p->failed = true;
    va_start(values, format);
    vsnprintf(what, sizeof what, format, values);
    va_end(values);
    if (p->error_cap > 0)
        snprintf(p->error, p->error_cap, "in the filter at character %zu: %s", p->token_at + 1, what);
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("._-*?+:/%", c) != NULL);
}

static void take(struct parser *p, char c)
{
    if (p->word_len == sizeof p->word - 1)
        fail(p, "a value has at most %d characters", FILTER_VALUE_MAX - 1);
    else
        p->word[p->word_len++] = c;
}

/* "..." with \" and \\ inside. */
static enum token quoted(struct parser *p)
{
    for (;;) {
        char c = p->text[p->at];
        if (c == '"') {
            p->at++;
            return T_TEXT;
        }
        if (c == '\\') c = p->text[++p->at];
        if ((unsigned char)c < 0x20 || c == 0x7F) {
            fail(p, c == '\0' ? "the quote has no end" : "a control character");
            return T_BAD;
        }
        p->at++;
        take(p, c);
        if (p->failed) return T_BAD;
    }
}

static enum token operator_(struct parser *p)
{
    static const struct {
        char text[3];
        enum filter_op op;
    } ops[] = {{"!=", FILTER_NE}, {"<=", FILTER_LE}, {">=", FILTER_GE}, {"=", FILTER_EQ},
               {"<", FILTER_LT},  {">", FILTER_GT},  {"~", FILTER_LIKE}};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (strncmp(p->text + p->at, ops[i].text, strlen(ops[i].text)) != 0) continue;
        p->at += strlen(ops[i].text);
        p->op = ops[i].op;
        return T_OP;
    }
    fail(p, "unexpected '%c'", (unsigned char)p->text[p->at] < 0x7F ? p->text[p->at] : '?');
    return T_BAD;
}

static void next(struct parser *p)
{
    while (p->text[p->at] == ' ' || p->text[p->at] == '\t' || p->text[p->at] == '\n')
        p->at++;
    p->token_at = p->at;
    p->word_len = 0;
    char c = p->text[p->at];
    if (c == '\0') {
        p->token = T_END;
    } else if (c == '(' || c == ')' || c == ',') {
        p->token = c == '(' ? T_OPEN : c == ')' ? T_CLOSE : T_COMMA;
        p->at++;
    } else if (c == '"') {
        p->at++;
        p->token = quoted(p);
    } else if (is_word(c)) {
        p->token = T_WORD;
        while (is_word(p->text[p->at]) && !p->failed)
            take(p, p->text[p->at++]);
    } else {
        p->token = operator_(p);
    }
    p->word[p->word_len] = '\0';
}

static bool is_keyword(const struct parser *p, const char *keyword)
{
    return p->token == T_WORD && strcmp(p->word, keyword) == 0;
}

/* ---- nodes ---- */

static uint16_t keep(struct parser *p, const char *text)
{
    struct filter *filter = p->filter;
    size_t len = strlen(text) + 1, at = filter->pool_len;
    if (at + len > sizeof filter->pool) {
        fail(p, "the filter is too long");
        return 0;
    }
    memcpy(filter->pool + at, text, len);
    filter->pool_len = (uint32_t)(at + len);
    return (uint16_t)at;
}

/* Appends a node; returns its index. */
static uint32_t add(struct parser *p, const struct filter_node *node)
{
    struct filter *filter = p->filter;
    if (filter->count == FILTER_NODES_MAX) {
        fail(p, "the filter has too many tests");
        return 0;
    }
    filter->nodes[filter->count] = *node;
    return filter->count++;
}

/* ---- values ---- */

bool filter_number(const char *text, size_t len, int64_t *number)
{
    int64_t value = 0;
    if (len == 0 || len > 18) return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        value = value * 10 + (text[i] - '0');
    }
    *number = value;
    return true;
}

/* A number with a unit behind it; the units' factors stand in the same order. */
static bool with_unit(const char *text, const char *units, const int64_t *factors, int64_t *number)
{
    size_t len = strlen(text);
    const char *unit = len > 1 ? strchr(units, text[len - 1]) : NULL;
    if (unit != NULL) len--;
    if (!filter_number(text, len, number) || (unit != NULL && *number > INT64_MAX / 86400000)) return false;
    if (unit != NULL) *number *= factors[unit - units];
    return true;
}

static void check_value(struct parser *p, struct filter_node *node)
{
    static const int64_t bytes[] = {1024, 1024 * 1024};
    static const int64_t times[] = {1000, 60000, 3600000, 86400000};
    enum filter_type type = filter_fields[node->field].type;
    const char *value = p->word;
    if (type == FILTER_NUMBER && !with_unit(value, "KM", bytes, &node->number))
        fail(p, "'%s' wants a number, for example 1002 or 4M", filter_fields[node->field].name);
    if (type == FILTER_AGE) {
        size_t len = strlen(value);
        bool unit = len > 1 && strchr("smhd", value[len - 1]) != NULL;
        if (strcmp(value, "never") == 0)
            node->number = INT64_MAX;
        else if (!unit || !with_unit(value, "smhd", times, &node->number))
            fail(p, "'%s' wants an age: 90s, 15m, 36h, 7d or never", filter_fields[node->field].name);
    }
    if (type == FILTER_TRUTH && strcmp(value, "yes") != 0 && strcmp(value, "no") != 0)
        fail(p, "'%s' wants yes or no", filter_fields[node->field].name);
    if (type == FILTER_ATTRIBUTE) node->is_number = filter_number(value, strlen(value), &node->number);
}

static void check_op(struct parser *p, const struct filter_node *node)
{
    enum filter_type type = filter_fields[node->field].type;
    bool equal = node->op == FILTER_EQ || node->op == FILTER_NE, like = node->op == FILTER_LIKE;
    bool ok = equal;
    if (type == FILTER_WORDS || type == FILTER_TAG) ok = equal || like;
    if (type == FILTER_NUMBER || type == FILTER_AGE) ok = !like;
    if (type == FILTER_ATTRIBUTE) ok = true;
    if (!ok) fail(p, "'%s' is not compared so", filter_fields[node->field].name);
}

static bool find_field(struct parser *p, struct filter_node *node)
{
    for (int i = 0; i < FILTER_F_ATTR; i++) {
        if (strcmp(p->word, filter_fields[i].name) != 0) continue;
        node->field = (uint8_t)i;
        return true;
    }
    if (strncmp(p->word, "attr.", 5) == 0 && filter_word_ok(p->word + 5, p->word_len - 5)) {
        node->field = FILTER_F_ATTR;
        node->name = keep(p, p->word + 5);
        return true;
    }
    fail(p, "'%s' is no field", p->word);
    return false;
}

static uint32_t add_test(struct parser *p, struct filter_node node)
{
    if (p->token != T_WORD && p->token != T_TEXT) {
        fail(p, "a value is missing");
        return 0;
    }
    check_value(p, &node);
    node.value = keep(p, p->word);
    next(p);
    return p->failed ? 0 : add(p, &node);
}

/* field in (a, b, c): the same as field = a or field = b or field = c. */
static uint32_t list(struct parser *p, struct filter_node node)
{
    node.op = FILTER_EQ;
    next(p);
    if (p->depth == FILTER_DEPTH_MAX) fail(p, "too many brackets in one another"); /* it prints as one more */
    if (p->token != T_OPEN) {
        fail(p, "'in' wants (VALUE, VALUE ...)");
        return 0;
    }
    next(p);
    uint32_t left = add_test(p, node);
    while (!p->failed && p->token == T_COMMA) {
        next(p);
        add_test(p, node);
        left = p->failed ? 0 : add(p, &(struct filter_node){.kind = FILTER_OR, .left = (uint8_t)left});
    }
    if (p->token != T_CLOSE) fail(p, "')' is missing");
    next(p);
    return left;
}

static uint32_t test(struct parser *p)
{
    struct filter_node node = {.kind = FILTER_TEST};
    if (p->token != T_WORD) {
        fail(p, "a field is missing: id, product, tag, attr.NAME ...");
        return 0;
    }
    if (!find_field(p, &node)) return 0;
    next(p);
    if (is_keyword(p, "in")) return list(p, node);
    if (p->token != T_OP) {
        fail(p, "one of = != < <= > >= ~ is missing");
        return 0;
    }
    node.op = (uint8_t)p->op;
    check_op(p, &node);
    next(p);
    return p->failed ? 0 : add_test(p, node);
}

/* ---- and, or, not ---- */

static uint32_t either(struct parser *p);

static uint32_t unary(struct parser *p)
{
    if (p->failed) return 0;
    bool negates = is_keyword(p, "not");
    if (!negates && p->token != T_OPEN) return test(p);
    if (++p->depth > FILTER_DEPTH_MAX) {
        fail(p, "too many brackets in one another");
        return 0;
    }
    next(p);
    uint32_t node;
    if (negates) {
        unary(p);
        node = p->failed ? 0 : add(p, &(struct filter_node){.kind = FILTER_NOT});
    } else {
        node = either(p);
        if (p->token != T_CLOSE) fail(p, "')' is missing");
        next(p);
    }
    p->depth--;
    return node;
}

static uint32_t chain(struct parser *p, const char *keyword, enum filter_kind kind,
                      uint32_t (*part)(struct parser *))
{
    uint32_t left = part(p);
    while (!p->failed && is_keyword(p, keyword)) {
        next(p);
        part(p);
        if (p->failed) return 0;
        left = add(p, &(struct filter_node){.kind = (uint8_t)kind, .left = (uint8_t)left});
    }
    return left;
}

static uint32_t both(struct parser *p)
{
    return chain(p, "and", FILTER_AND, unary);
}

static uint32_t either(struct parser *p)
{
    return chain(p, "or", FILTER_OR, both);
}

int filter_parse(struct filter *filter, const char *text, char *error, size_t error_cap)
{
    struct parser p = {.filter = filter, .text = text, .error = error, .error_cap = error_cap};
    memset(filter, 0, sizeof *filter);
    if (strnlen(text, FILTER_TEXT_MAX) == FILTER_TEXT_MAX) {
        fail(&p, "a filter has at most %d characters", FILTER_TEXT_MAX - 1);
    } else {
        next(&p);
        if (!p.failed && p.token == T_END) return 0;
        either(&p);
        if (p.token != T_END) fail(&p, "'and', 'or' or the end is missing");
    }
    char canonical[FILTER_TEXT_MAX]; /* `in` prints longer than it was written, and must be readable again */
    if (!p.failed && filter_print(filter, canonical, sizeof canonical) < 0)
        fail(&p, "the filter is too long");
    if (!p.failed) return 0;
    memset(filter, 0, sizeof *filter);
    filter->nodes[filter->count++] = (struct filter_node){.kind = FILTER_NOTHING};
    return -1;
}
