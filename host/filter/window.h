/* window.h - maintenance windows: times of the week, in a time zone, at which a rollout may begin with a device.
 *
 *     "01:00-04:00"                                      every day, UTC
 *     "mon-fri,sun 22:00-02:00 Europe/Berlin"            over midnight: it belongs to the day on which it begins
 *     "sat 00:00-24:00 CET-1CEST,M3.5.0,M10.5.0/3"       a rule of POSIX (TZ), what a name is resolved to
 *
 * Pure but for window_resolve(), which reads the system's time-zone files. */
#ifndef MOLT_HOST_WINDOW_H
#define MOLT_HOST_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WINDOW_TEXT_MAX 128 /* bytes of a window's text, with its NUL */

/* A day of the year on which the clocks change, and when: Mm.w.d, Jn or n of POSIX. */
struct window_change {
    char kind; /* 'M', 'J' or '0' */
    int month, week, day;
    int32_t at_s; /* behind midnight, local time */
};

struct window {
    uint8_t days;     /* bit 0: Sunday */
    int from_m, to_m; /* minutes of the day, 0 to 1440; to_m <= from_m: over midnight */
    int32_t std_s,
        dst_s; /* seconds east of UTC, in winter and summer; the same when the clocks never change */
    bool changes;
    struct window_change to_dst, to_std;
};

/* Reads a window whose zone, if there is one, is a POSIX rule. 0, or -1: it is none; *out is then never open. */
int window_parse(struct window *out, const char *text);

/* Replaces the zone's name in a window by its rule from /usr/share/zoneinfo (package tzdata). 0, or -1 with a sentence. */
int window_resolve(const char *text, char out[WINDOW_TEXT_MAX], char *error, size_t error_cap);

/* Milliseconds until it opens, 0 when it is open at now_ms (Unix). -1: it never opens. */
int64_t window_opens_in(const struct window *window, int64_t now_ms);

/* Seconds east of UTC at a Unix time in seconds. */
int32_t window_offset(const struct window *window, int64_t now_s);

#endif
