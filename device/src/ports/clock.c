/* clock.c - the day of the build, and the Date of an HTTP answer. Must never believe a time before the build.
 * Tests: test/unit/clock_test.c. */
#include "clock.h"

#include "../util/text.h"

#define DAY_S 86400u

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

/* 1 to 12, 0: no month. */
static uint32_t month_of(const char *text)
{
    for (uint32_t i = 0; i < 12; i++) {
        const char *name = months + 3 * i;
        if (text[0] == name[0] && text[1] == name[1] && text[2] == name[2]) return i + 1;
    }
    return 0;
}

/* Days from 1970-01-01; year 1970 to 2099, in which each fourth year is a leap year. */
static uint32_t days_of(uint32_t year, uint32_t month, uint32_t day)
{
    static const uint16_t before[12] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    uint32_t days = (year - 1970) * 365 + (year - 1969) / 4 + before[month - 1] + day - 1;
    return month > 2 && year % 4 == 0 ? days + 1 : days;
}

uint32_t molt_clock_floor(void)
{
    static const char date[] = __DATE__; /* "Nov  6 1994" */
    uint32_t day = (uint32_t)(date[4] == ' ' ? 0 : date[4] - '0') * 10 + (uint32_t)(date[5] - '0'), year = 0;
    for (size_t i = 7; i < 11; i++)
        year = year * 10 + (uint32_t)(date[i] - '0');
    return (days_of(year, month_of(date), day) - 1) * DAY_S;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT", 29 characters. 0: it is not. */
static uint32_t parse(const char *t)
{
    uint32_t day, year, hour, minute, second;
    const uint32_t month = month_of(t + 8);
    if (t[3] != ',' || t[4] != ' ' || t[7] != ' ' || t[11] != ' ' || t[16] != ' ' || t[19] != ':' ||
        t[22] != ':' || t[25] != ' ' || !molt_text_is(t + 26, 3, "GMT"))
        return 0;
    if (month == 0 || !molt_text_to_u32(t + 5, 2, 31, &day) || !molt_text_to_u32(t + 12, 4, 2099, &year) ||
        !molt_text_to_u32(t + 17, 2, 23, &hour) || !molt_text_to_u32(t + 20, 2, 59, &minute) ||
        !molt_text_to_u32(t + 23, 2, 60, &second))
        return 0;
    if (day == 0 || year < 1970) return 0;
    return days_of(year, month, day) * DAY_S + hour * 3600 + minute * 60 + second;
}

uint32_t molt_clock_from_head(const char *head, size_t len)
{
    for (size_t at = 0; at < len;) {
        size_t end = at;
        while (end < len && head[end] != '\r' && head[end] != '\n')
            end++;
        if (end == len) break; /* cut, or no end: not a whole line */
        size_t value = at + 5;
        if (end - at > 5 && molt_text_is(head + at, 5, "date:")) {
            while (value < end && head[value] == ' ')
                value++;
            const uint32_t seconds = end - value == 29 ? parse(head + value) : 0;
            return seconds >= molt_clock_floor() ? seconds : 0;
        }
        if (end == at && head[at] == '\n') break; /* behind the head */
        at = end + 1;
        if (head[end] == '\r' && at < len && head[at] == '\n') at++;
        if (at < len && (head[at] == '\r' || head[at] == '\n')) break;
    }
    return 0;
}
