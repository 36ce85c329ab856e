/* window.c - is a maintenance window open, in local time. Must never call libc's time-zone functions, which keep state
 * of the whole process. Tests: test/unit/window_test.c (against libc's own). */
#include "window.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DAY_S 86400

/* ---- the calendar ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* Days from 1970-01-01 to the first of a month of the Gregorian calendar. */
static int64_t month_begins(int64_t year, int month)
{
    year -= month <= 2;
    int64_t era = floor_div(year, 400), of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int64_t year_of(int64_t day)
{
    int64_t year = 1970 + floor_div(day, 366); /* never too late */
    while (month_begins(year + 1, 1) <= day)
        year++;
    return year;
}

static bool is_leap(int64_t year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int weekday(int64_t day)
{
    return (int)(day + 4 - floor_div(day + 4, 7) * 7); /* 1970-01-01 was a Thursday */
}

/* The day, from 1970-01-01, of a change in a year. */
static int64_t change_day(const struct window_change *change, int64_t year)
{
    if (change->kind == '0') return month_begins(year, 1) + change->day;
    if (change->kind == 'J')
        return month_begins(year, 1) + change->day - 1 + (is_leap(year) && change->day > 59);
    int64_t first = month_begins(year, change->month);
    int64_t next = change->month == 12 ? month_begins(year + 1, 1) : month_begins(year, change->month + 1);
    int64_t day = first + (change->day - weekday(first) + 7) % 7 + 7 * (change->week - 1);
    return day >= next ? day - 7 : day; /* week 5 is the last one */
}

int32_t window_offset(const struct window *window, int64_t now_s)
{
    if (!window->changes) return window->std_s;
    int64_t year = year_of(floor_div(now_s + window->std_s, DAY_S));
    int64_t begins = change_day(&window->to_dst, year) * DAY_S + window->to_dst.at_s - window->std_s;
    int64_t ends = change_day(&window->to_std, year) * DAY_S + window->to_std.at_s - window->dst_s;
    bool summer = begins < ends ? now_s >= begins && now_s < ends : now_s >= begins || now_s < ends;
    return summer ? window->dst_s : window->std_s;
}

/* ---- reading ---- */

static bool number(const char **p, int max, int *out)
{
    int value = 0, digits = 0;
    for (; **p >= '0' && **p <= '9' && digits < 4; (*p)++, digits++)
        value = value * 10 + (**p - '0');
    *out = value;
    return digits > 0 && value <= max;
}

/* [+-]hh[:mm[:ss]] in seconds; hours up to 167 as RFC 9636 allows. */
static bool seconds(const char **p, int32_t *out)
{
    int hours, minutes = 0, rest = 0, sign = **p == '-' ? -1 : 1;
    if (**p == '-' || **p == '+') (*p)++;
    if (!number(p, 167, &hours)) return false;
    if (**p == ':' && (++*p, !number(p, 59, &minutes))) return false;
    if (**p == ':' && (++*p, !number(p, 59, &rest))) return false;
    *out = sign * (hours * 3600 + minutes * 60 + rest);
    return true;
}

/* CET, or <+03>. */
static bool skip_name(const char **p)
{
    const char *begin = *p;
    if (**p == '<') {
        while (**p != '\0' && **p != '>')
            (*p)++;
        return *(*p)++ == '>';
    }
    while ((**p >= 'A' && **p <= 'Z') || (**p >= 'a' && **p <= 'z'))
        (*p)++;
    return *p - begin >= 3;
}

static bool change(const char **p, struct window_change *out)
{
    if (*(*p)++ != ',') return false;
    out->at_s = 7200;
    out->kind = **p == 'M' || **p == 'J' ? *(*p)++ : '0';
    if (out->kind == 'M') {
        if (!number(p, 12, &out->month) || out->month < 1 || *(*p)++ != '.') return false;
        if (!number(p, 5, &out->week) || out->week < 1 || *(*p)++ != '.') return false;
        if (!number(p, 6, &out->day)) return false;
    } else if (!number(p, 365, &out->day) || (out->kind == 'J' && out->day < 1)) {
        return false;
    }
    return **p != '/' || (++*p, seconds(p, &out->at_s));
}

static bool zone(const char *p, struct window *out)
{
    int32_t west;
    if (!skip_name(&p) || !seconds(&p, &west)) return false;
    out->std_s = -west;
    out->dst_s = out->std_s + 3600;
    if (*p == '\0') return true;
    if (!skip_name(&p)) return false;
    if (*p != ',') {
        if (!seconds(&p, &west)) return false;
        out->dst_s = -west;
    }
    out->changes = true;
    return change(&p, &out->to_dst) && change(&p, &out->to_std) && *p == '\0';
}

static int day_named(const char **p)
{
    static const char names[] = "sunmontuewedthufrisat";
    for (int i = 0; i < 7; i++) {
        if (strncmp(*p, names + 3 * i, 3) != 0) continue;
        *p += 3;
        return i;
    }
    return -1;
}

/* "mon-fri,sun " */
static bool days(const char **p, uint8_t *out)
{
    if (**p >= '0' && **p <= '9') {
        *out = 0x7F;
        return true;
    }
    do {
        int first = day_named(p), last = first;
        if (**p == '-' && (++*p, (last = day_named(p)) < 0)) return false;
        if (first < 0) return false;
        for (int day = first;; day = (day + 1) % 7) {
            *out |= (uint8_t)(1u << day);
            if (day == last) break;
        }
    } while (**p == ',' && ++*p);
    return *(*p)++ == ' ';
}

static bool clock_time(const char **p, int *minutes)
{
    int hour, minute;
    if (!number(p, 24, &hour) || *(*p)++ != ':' || !number(p, 59, &minute)) return false;
    *minutes = hour * 60 + minute;
    return *minutes <= 1440;
}

/* Days and times; what is behind them is left in *p. */
static bool times(const char **p, struct window *out)
{
    return days(p, &out->days) && clock_time(p, &out->from_m) && out->from_m < 1440 && *(*p)++ == '-' &&
           clock_time(p, &out->to_m);
}

int window_parse(struct window *out, const char *text)
{
    memset(out, 0, sizeof *out);
    bool ok = strnlen(text, WINDOW_TEXT_MAX) < WINDOW_TEXT_MAX && times(&text, out) &&
              (*text == '\0' || (*text == ' ' && zone(text + 1, out)));
    if (ok) return 0;
    memset(out, 0, sizeof *out); /* no day: never open */
    return -1;
}

/* ---- the system's names ---- */

static bool name_ok(const char *name)
{
    static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+-/";
    return name[0] >= 'A' && name[0] <= 'Z' && name[strspn(name, allowed)] == '\0'; /* no dots: no way out */
}

/* The rule is the last line of a file of version 2 and later (RFC 9636). */
static bool read_rule(const char *name, char *rule, size_t cap)
{
    char path[WINDOW_TEXT_MAX + 32], end[WINDOW_TEXT_MAX];
    snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return false;
    off_t size = lseek(fd, 0, SEEK_END);
    off_t from = size > (off_t)sizeof end ? size - (off_t)sizeof end : 0;
    ssize_t len = size > 2 ? pread(fd, end, sizeof end, from) : -1;
    close(fd);
    if (len < 2 || end[len - 1] != '\n') return false;
    ssize_t begin = len - 1;
    while (begin > 0 && end[begin - 1] != '\n')
        begin--;
    size_t rule_len = (size_t)(len - 1 - begin);
    if (begin == 0 || rule_len == 0 || rule_len >= cap) return false;
    memcpy(rule, end + begin, rule_len);
    rule[rule_len] = '\0';
    return true;
}

int window_resolve(const char *text, char out[WINDOW_TEXT_MAX], char *error, size_t error_cap)
{
    struct window window = {.days = 0};
    const char *p = text;
    char rule[WINDOW_TEXT_MAX] = "";
    bool ok =
        strnlen(text, WINDOW_TEXT_MAX) < WINDOW_TEXT_MAX && times(&p, &window) && (*p == '\0' || *p == ' ');
    if (!ok) {
        snprintf(error, error_cap,
                 "a window is [DAYS] HH:MM-HH:MM [ZONE]: mon-fri 01:00-04:00 Europe/Berlin");
        return -1;
    }
    bool named = *p == ' ' && name_ok(p + 1) && read_rule(p + 1, rule, sizeof rule);
    int len = named ? snprintf(out, WINDOW_TEXT_MAX, "%.*s %s", (int)(p - text), text, rule)
                    : snprintf(out, WINDOW_TEXT_MAX, "%s", text);
    if (len > 0 && len < WINDOW_TEXT_MAX && window_parse(&window, out) == 0) return 0;
    snprintf(error, error_cap,
             "'%.60s' is no time zone of this system, nor a rule such as CET-1CEST,M3.5.0,M10.5.0/3",
             *p == ' ' ? p + 1 : "");
    return -1;
}

/* ---- open? ---- */

static bool has_day(const struct window *window, int64_t day)
{
    return (window->days >> weekday(day) & 1) != 0;
}

static bool is_open(const struct window *window, int64_t local_s)
{
    int64_t day = floor_div(local_s, DAY_S), minute = (local_s - day * DAY_S) / 60;
    if (window->from_m < window->to_m)
        return has_day(window, day) && minute >= window->from_m && minute < window->to_m;
    return (has_day(window, day) && minute >= window->from_m) ||
           (has_day(window, day - 1) && minute < window->to_m);
}

int64_t window_opens_in(const struct window *window, int64_t now_ms)
{
    int64_t now_s = floor_div(now_ms, 1000);
    int32_t offset = window_offset(window, now_s);
    if (is_open(window, now_s + offset)) return 0;
    int64_t today = floor_div(now_s + offset, DAY_S);
    for (int64_t day = today; day <= today + 8; day++) {
        int64_t local = day * DAY_S + (int64_t)window->from_m * 60;
        int64_t at = local - window_offset(window, local - offset); /* the clocks may change until then */
        if (has_day(window, day) && at > now_s) return at * 1000 - now_ms;
    }
    return -1;
}
