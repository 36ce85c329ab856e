/* reent.h - newlib's state of a thread, which picolibc has not: the headers of ESP-IDF 5 need the name and a size. For `./dev sdk`. */
#ifndef SDK_SYS_REENT_H
#define SDK_SYS_REENT_H
struct _reent {
    int _errno;
};
#define _REENT_INIT_PTR(p) ((void)(p))
#endif
