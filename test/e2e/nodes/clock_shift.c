/* clock_shift.c - LD_PRELOAD for a program under test: its wall clock is wrong by the seconds in the file of $MOLT_CLOCK_SHIFT (eight
 * bytes, little-endian), which may change at any time. Must leave CLOCK_MONOTONIC alone, as a wrong clock does. Used by cluster.py. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *shift_s;

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("MOLT_CLOCK_SHIFT");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd >= 0 ? mmap(NULL, sizeof *shift_s, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    if (fd >= 0) close(fd);
    if (map != MAP_FAILED) shift_s = map;
}

int clock_gettime(clockid_t clock, struct timespec *out)
{
    static int (*sound)(clockid_t, struct timespec *);
    if (sound == NULL) *(void **)&sound = dlsym(RTLD_NEXT, "clock_gettime");
    int rc = sound(clock, out);
    if (rc == 0 && shift_s != NULL && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        out->tv_sec += *shift_s;
    return rc;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    int rc = clock_gettime(CLOCK_REALTIME, &now);
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return rc;
}

time_t time(time_t *out)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    if (out != NULL) *out = now.tv_sec;
    return now.tv_sec;
}
