/* clock.h - when a clock may judge a certificate, and the time that an HTTP answer states. For ports that have X.509 and
 * no clock of their own. No state, no heap; from any task.
 *
 * Time that came over the network unproved (SNTP, the head of an answer over plain HTTP) must not make a
 * certificate valid that had already expired when the firmware was built: what is earlier than the build is not believed.
 * Whoever can forge the time can still choose one after the build, so an expired certificate of after that day passes, or a good
 * one is refused. A pinned key and signed firmware do not depend on the time. Tests: test/unit/clock_test.c. */
#ifndef MOLT_PORT_CLOCK_H
#define MOLT_PORT_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Seconds since 1970 of the day before this file was compiled (the compiler's zone is not known), from __DATE__. A
 * clock that shows less was never set, or is wrong. */
uint32_t molt_clock_floor(void);

/* The time in the head of an answer, "Date: Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7, its first form),
 * seconds since 1970. head: len bytes, the status line and fields as they came, may be cut anywhere. 0: there is none,
 * it is malformed, after 2099, or earlier than the floor. */
uint32_t molt_clock_from_head(const char *head, size_t len);

#ifdef __cplusplus
}
#endif
#endif
