/* sandbox.c - privilege drop, Landlock, seccomp (sandbox.h). Must never go on half-way: what fails ends the start.
 * Tests: test/unit/sandbox_test.c, test/e2e/limits_test.py. */
#include "sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <pwd.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef MOLT_SECCOMP
#include <seccomp.h>
#endif

static int fail(char *err, size_t cap, const char *what)
{
    (void)snprintf(err, cap, "%s: %s", what, strerror(errno));
    return -1;
}

/* ---- the user ---- */

/* Of all rights but one: to listen on ports below 1024. */
static int keep_ports_only(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
    struct __user_cap_data_struct data[2];
    memset(data, 0, sizeof data);
    data[0].permitted = data[0].effective = 1u << CAP_NET_BIND_SERVICE;
    return (int)syscall(SYS_capset, &header, data);
}

int sandbox_user(const char *name, const char *data_dir, char *err, size_t cap)
{
    struct stat st;
    errno = 0;
    const struct passwd *user = getpwnam(name);
    if (user == NULL) {
        (void)snprintf(err, cap, "--user: there is no user of this name");
        return -1;
    }
    if (geteuid() == user->pw_uid) return 0;
    if (geteuid() != 0) {
        (void)snprintf(err, cap, "--user: only root can become another user");
        return -1;
    }
    if (mkdir(data_dir, 0700) == 0 && chown(data_dir, user->pw_uid, user->pw_gid) != 0)
        return fail(err, cap, "--user: the data folder");
    if (stat(data_dir, &st) == 0 && st.st_uid != user->pw_uid) {
        (void)snprintf(err, cap, "--user: the data folder is another user's; chown -R %s it once", name);
        return -1;
    }
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0 || initgroups(name, user->pw_gid) != 0 ||
        setgid(user->pw_gid) != 0 || setuid(user->pw_uid) != 0 || keep_ports_only() != 0)
        return fail(err, cap, "--user");
    return 0;
}

/* ---- the file system ---- */

#define LANDLOCK_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define LANDLOCK_WRITE                                                                                       \
    (LANDLOCK_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |                         \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |            \
     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REFER)
/* Of version 2, which lets a file be named in another folder of the place where it may be made; what later ones close is left. */
#define LANDLOCK_ALL                                                                                         \
    (LANDLOCK_WRITE | LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_MAKE_CHAR |                            \
     LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM)

static int allow(int rules, const struct sandbox_path *path)
{
    struct stat st;
    struct landlock_path_beneath_attr rule = {.allowed_access = path->write ? LANDLOCK_WRITE : LANDLOCK_READ};
    if (path->path == NULL) return 0;
    rule.parent_fd = open(path->path, O_PATH | O_CLOEXEC);
    if (rule.parent_fd < 0) return errno == ENOENT || errno == EACCES ? 0 : -1;
    if (fstat(rule.parent_fd, &st) == 0 && !S_ISDIR(st.st_mode))
        rule.allowed_access &= LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
    long rc = syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
    (void)close(rule.parent_fd);
    return (int)rc;
}

static int enter_landlock(const struct sandbox_path *paths, size_t count, bool *on, char *err, size_t cap)
{
    const struct landlock_ruleset_attr all = {.handled_access_fs = LANDLOCK_ALL};
    *on = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) >= 2;
    if (!*on) return 0; /* a kernel without it, or it is switched off */
    int rules = (int)syscall(SYS_landlock_create_ruleset, &all, sizeof all, 0);
    if (rules < 0) return fail(err, cap, "Landlock");
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < count; i++)
        rc = allow(rules, &paths[i]);
    if (rc == 0) rc = (int)syscall(SYS_landlock_restrict_self, rules, 0);
    if (rc != 0) (void)fail(err, cap, "Landlock");
    (void)close(rules);
    return rc;
}

/* ---- system calls ---- */

#ifdef MOLT_SECCOMP
/* A list of what is refused: what libraries call inside changes with them, what an intruder wants does not. */
static int enter_seccomp(bool *on, char *err, size_t cap)
{
    static const int refused[] = {SCMP_SYS(execve),
                                  SCMP_SYS(execveat),
                                  SCMP_SYS(ptrace),
                                  SCMP_SYS(process_vm_readv),
                                  SCMP_SYS(process_vm_writev),
                                  SCMP_SYS(mount),
                                  SCMP_SYS(umount2),
                                  SCMP_SYS(pivot_root),
                                  SCMP_SYS(chroot),
                                  SCMP_SYS(setns),
                                  SCMP_SYS(unshare),
                                  SCMP_SYS(init_module),
                                  SCMP_SYS(finit_module),
                                  SCMP_SYS(delete_module),
                                  SCMP_SYS(kexec_load),
                                  SCMP_SYS(kexec_file_load),
                                  SCMP_SYS(bpf),
                                  SCMP_SYS(perf_event_open),
                                  SCMP_SYS(userfaultfd),
                                  SCMP_SYS(add_key),
                                  SCMP_SYS(request_key),
                                  SCMP_SYS(keyctl),
                                  SCMP_SYS(open_by_handle_at),
                                  SCMP_SYS(personality),
                                  SCMP_SYS(reboot),
                                  SCMP_SYS(swapon),
                                  SCMP_SYS(swapoff),
                                  SCMP_SYS(settimeofday),
                                  SCMP_SYS(clock_settime),
                                  SCMP_SYS(acct),
                                  SCMP_SYS(quotactl),
                                  SCMP_SYS(setuid),
                                  SCMP_SYS(setgid),
                                  SCMP_SYS(setreuid),
                                  SCMP_SYS(setresuid),
                                  SCMP_SYS(mknod),
                                  SCMP_SYS(mknodat)};
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    int rc = filter != NULL ? 0 : -ENOMEM;
    for (size_t i = 0; rc == 0 && i < sizeof refused / sizeof refused[0]; i++)
        rc = seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), refused[i], 0);
    if (rc == 0) rc = seccomp_load(filter);
    seccomp_release(filter);
    *on = rc == 0;
    if (rc == 0 || rc == -ENOSYS || rc == -EINVAL) return 0; /* a kernel without it */
    errno = -rc;
    return fail(err, cap, "seccomp");
}
#else
static int enter_seccomp(bool *on, char *err, size_t cap)
{
    (void)err;
    (void)cap;
    *on = false;
    return 0;
}
#endif

int sandbox_enter(const struct sandbox_path *paths, size_t count, bool *landlock, bool *seccomp, char *err,
                  size_t cap)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return fail(err, cap, "no_new_privs");
    if (enter_landlock(paths, count, landlock, err, cap) != 0) return -1;
    return enter_seccomp(seccomp, err, cap);
}
