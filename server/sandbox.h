/* sandbox.h - what the process may still do once it knows what it needs: another user, a part of the file system (Landlock), no system
 * call that a server never makes (seccomp). Called before the first thread is made; for good. Tests: test/unit/sandbox_test.c. */
#ifndef MOLT_SERVER_SANDBOX_H
#define MOLT_SERVER_SANDBOX_H

#include <stdbool.h>
#include <stddef.h>

struct sandbox_path {
    const char *path; /* NULL and what is not there: passed over */
    bool write;       /* else it may be read only */
};

/* Becomes the user (only root may), who owns data_dir, which is made when it is not there; the right to listen on ports below 1024 stays.
 * 0, or -1 with a sentence. */
int sandbox_user(const char *name, const char *data_dir, char *err, size_t err_cap);

/* Closes what is not listed, as far as the kernel can; what it could not is said by the two. 0, or -1 with a sentence. */
int sandbox_enter(const struct sandbox_path *paths, size_t count, bool *landlock, bool *seccomp, char *err,
                  size_t err_cap);

#endif
