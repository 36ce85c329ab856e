/* sandbox_test.c - what a process may still do inside: each in a child, because there is no way out. */
#include "cmocka_all.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/sandbox.h"
#include "temp_dir.h"

static struct temp_dir inside, outside;
static char path_in[80], path_out[80];

static void write_text(const char *path)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs("text", file);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    (void)state;
    temp_dir_make(&inside);
    temp_dir_make(&outside);
    snprintf(path_in, sizeof path_in, "%s/file", inside.path);
    snprintf(path_out, sizeof path_out, "%s/file", outside.path);
    write_text(path_in);
    write_text(path_out);
    return 0;
}

static int take_down(void **state)
{
    (void)state;
    temp_dir_remove(&inside);
    temp_dir_remove(&outside);
    return 0;
}

/* What the child finds wrong, 0: nothing. */
static int status_of(int (*child)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) _exit(child());
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static bool can(const char *path, int flags)
{
    int fd = open(path, flags, 0600);
    if (fd >= 0) close(fd);
    return fd >= 0;
}

static int in_the_sandbox(void)
{
    char err[200], made[100];
    bool landlock, seccomp;
    const struct sandbox_path paths[] = {
        {inside.path, true}, {"/usr", false}, {NULL, false}, {"/not/there", false}};
    if (sandbox_enter(paths, 4, &landlock, &seccomp, err, sizeof err) != 0) return 1;
    snprintf(made, sizeof made, "%s/made", inside.path);
    if (!can(path_in, O_RDWR) || !can(made, O_CREAT | O_WRONLY)) return 2;
    if (landlock && (can(path_out, O_RDONLY) || errno != EACCES)) return 3;
    if (landlock && (can("/usr/molt-test", O_CREAT | O_WRONLY) || !can("/usr/bin/env", O_RDONLY))) return 4;
    char name[] = "true", *const argv[] = {name, NULL}, *const envp[] = {NULL};
    if ((seccomp || landlock) &&
        (execve("/bin/true", argv, envp) != -1 || (errno != EPERM && errno != EACCES)))
        return 5;
    if (seccomp && (setuid(12345) != -1 || errno != EPERM)) return 6;
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* what a server does goes on */
    if (fd < 0 || unlink(made) != 0) return 7;
    close(fd);
    return landlock && seccomp ? 0 : 100; /* on a kernel that has both */
}

static void what_is_not_listed_is_closed_and_no_program_is_started(void **state)
{
    (void)state;
    int status = status_of(in_the_sandbox);
    if (status == 100) print_message("this kernel has no Landlock or no seccomp: the rest holds\n");
    assert_true(status == 0 || status == 100);
}

static int as_nobody(void)
{
    char err[200], data[80];
    snprintf(data, sizeof data, "%s/data", inside.path);
    if (chmod(inside.path, 0755) != 0) return 1;
    if (sandbox_user("nobody", data, err, sizeof err) != 0)
        return geteuid() != 0 && strstr(err, "only root") != NULL ? 0 : 2;
    if (geteuid() == 0 || getuid() == 0 || getegid() == 0) return 3;
    if (setuid(0) == 0) return 4;                                     /* and never back */
    if (can(path_out, O_RDONLY) && chmod(path_out, 0) == 0) return 5; /* not root's rights over files */
    char made[100];
    snprintf(made, sizeof made, "%s/made", data);
    if (!can(made, O_CREAT | O_WRONLY)) return 6;
    return sandbox_user("nobody", data, err, sizeof err) == 0 ? 0 : 7;
}

static void root_becomes_the_user_for_good_and_nobody_else_can(void **state)
{
    (void)state;
    char err[200];
    assert_int_equal(status_of(as_nobody), 0);
    assert_int_equal(sandbox_user("no-such-user", inside.path, err, sizeof err), -1);
    assert_non_null(strstr(err, "no user of this name"));
}

static int as_nobody_in_another_users_folder(void)
{
    char err[200];
    if (geteuid() != 0) return 0;
    return sandbox_user("nobody", inside.path, err, sizeof err) != 0 && strstr(err, "chown -R nobody") != NULL
               ? 0
               : 1;
}

static void a_folder_of_another_user_is_refused_with_the_remedy(void **state)
{
    (void)state;
    assert_int_equal(status_of(as_nobody_in_another_users_folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_not_listed_is_closed_and_no_program_is_started, set_up,
                                        take_down),
        cmocka_unit_test_setup_teardown(root_becomes_the_user_for_good_and_nobody_else_can, set_up,
                                        take_down),
        cmocka_unit_test_setup_teardown(a_folder_of_another_user_is_refused_with_the_remedy, set_up,
                                        take_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
