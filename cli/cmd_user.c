/* cmd_user.c - `molt user add|list|show|set|passwd|remove`: the people who log in to the dashboard. A password comes from a file or
 * from the terminal, never from the command line. Tests: test/e2e/access_test.sh. */
#include <stdio.h>
#include <string.h>

#include "client.h"
#include "command.h"
#include "operate.h"
#include "output.h"
#include "signing.h"

#define ROLE_OPTION                                                                                          \
    {                                                                                                        \
        "role", "ROLE", "viewer, operator, uploader, approver or admin; for one product ROLE@PRODUCT",       \
            ARGS_REPEAT                                                                                      \
    }
#define PASSWORD_OPTION                                                                                      \
    {                                                                                                        \
        "password-file", "FILE", "take the password from the first line of this file", 0                     \
    }

static const struct args_option add_options[] = {
    ROLE_OPTION,
    PASSWORD_OPTION,
    {"no-password", NULL, "make him without one: he cannot log in by one until `molt user passwd`", 0},
    COMMAND_WHERE,
    {0},
};
static const struct args_option set_options[] = {
    ROLE_OPTION,
    {"disable", NULL, "let him in no more, by his tokens neither, and end his sessions", 0},
    {"enable", NULL, "let him in again", 0},
    {"no-totp", NULL, "take his second factor away: the phone is lost", 0},
    COMMAND_WHERE,
    {0},
};
static const struct args_option passwd_options[] = {PASSWORD_OPTION, COMMAND_WHERE, {0}};
static const struct args_option where_options[] = {COMMAND_WHERE, {0}};

/* From the file or the terminal. False after printing. */
static bool read_password(const struct args *args, char out[SIGNING_PASSPHRASE_MAX])
{
    char again[SIGNING_PASSPHRASE_MAX];
    const char *path = args_value(args, "password-file");
    if (path != NULL) return signing_first_line(path, "password", out);
    if (!signing_ask("new password", out)) {
        output_error("a password is needed, and there is no terminal to ask on");
        output_hint("give --password-file FILE");
        return false;
    }
    if (signing_ask("the same again", again) && strcmp(again, out) == 0) return true;
    output_error("these were two different passwords; nothing was changed");
    return false;
}

static void add_roles(const struct args *args, json_t *body)
{
    const char *role;
    for (int i = 0; (role = args_nth(args, "role", i)) != NULL; i++) {
        if (i == 0) json_object_set_new(body, "roles", json_array());
        json_array_append_new(json_object_get(body, "roles"), json_string(role));
    }
}

static void print_user(const json_t *user)
{
    char roles[512];
    printf("user %s: %s%s%s\n", client_text(user, "name"),
           output_list(roles, sizeof roles, json_object_get(user, "roles")),
           json_is_true(json_object_get(user, "disabled")) ? ", disabled" : "",
           json_is_true(json_object_get(user, "password")) ? "" : ", no password");
}

static void print_removed(const json_t *answer)
{
    printf("user %s is removed\n", client_text(answer, "deleted"));
    output_hint("tokens of the API that he made open nothing any more: `molt token list` shows them");
}

/* One request, its answer printed by print or as JSON. body is stolen. */
static int ask(struct args *args, const char *method, const char *name, json_t *body,
               void (*print)(const json_t *answer))
{
    struct client *client = client_open(args, true);
    if (client == NULL) {
        json_decref(body);
        return EXIT_PROBLEM;
    }
    json_t *answer = client_json(client, method, body, name != NULL ? "/api/v1/users/%s" : "/api/v1/users%s",
                                 name != NULL ? name : "");
    return operate_show(args, client, answer, print);
}

/* A name that goes into a path. False after printing. */
static bool name_ok(const struct command *command, const char *name)
{
    static const char all[] = "abcdefghijklmnopqrstuvwxyz0123456789._@+-";
    if (name[0] != '\0' && strspn(name, all) == strlen(name) && strlen(name) <= 48) return true;
    (void)command_usage_error(command, "a user's name has 1 to 48 of a-z, 0-9, '.', '_', '@', '+' and '-'");
    return false;
}

static int run_add(struct args *args)
{
    char password[SIGNING_PASSPHRASE_MAX] = "";
    if (!name_ok(&command_user_add, args->operands[0])) return EXIT_USAGE;
    if (args_has(args, "no-password") && args_has(args, "password-file"))
        return command_usage_error(&command_user_add, "--no-password and --password-file exclude each other");
    if (!args_has(args, "no-password") && !read_password(args, password)) return EXIT_PROBLEM;
    json_t *body = json_object();
    json_object_set_new(body, "name", json_string(args->operands[0]));
    if (password[0] != '\0') json_object_set_new(body, "password", json_string(password));
    memset(password, 0, sizeof password);
    add_roles(args, body);
    return ask(args, "POST", NULL, body, print_user);
}

static int run_set(struct args *args)
{
    if (!name_ok(&command_user_set, args->operands[0])) return EXIT_USAGE;
    if (args_has(args, "disable") && args_has(args, "enable"))
        return command_usage_error(&command_user_set, "--disable and --enable exclude each other");
    json_t *body = json_object();
    add_roles(args, body);
    if (args_has(args, "disable") || args_has(args, "enable"))
        json_object_set_new(body, "disabled", json_boolean(args_has(args, "disable")));
    if (args_has(args, "no-totp")) json_object_set_new(body, "totp", json_false());
    if (json_object_size(body) > 0) return ask(args, "PATCH", args->operands[0], body, print_user);
    json_decref(body);
    return command_usage_error(&command_user_set,
                               "say what to set: --role, --disable, --enable or --no-totp");
}

static int run_passwd(struct args *args)
{
    char password[SIGNING_PASSPHRASE_MAX] = "";
    if (!name_ok(&command_user_passwd, args->operands[0])) return EXIT_USAGE;
    if (!read_password(args, password)) return EXIT_PROBLEM;
    json_t *body = json_pack("{s:s}", "password", password);
    memset(password, 0, sizeof password);
    return ask(args, "PATCH", args->operands[0], body, print_user);
}

static int run_remove(struct args *args)
{
    if (!name_ok(&command_user_remove, args->operands[0])) return EXIT_USAGE;
    return ask(args, "DELETE", args->operands[0], NULL, print_removed);
}

static int run_show(struct args *args)
{
    if (!name_ok(&command_user_show, args->operands[0])) return EXIT_USAGE;
    return ask(args, "GET", args->operands[0], NULL, print_user);
}

static void print_users(const json_t *answer)
{
    static const char *const titles[] = {"NAME", "ROLES", "SECOND FACTOR", "LAST LOGIN", "STATE"};
    struct output_table *table = output_table_new(titles, 5);
    size_t i;
    const json_t *user;
    json_array_foreach(json_object_get(answer, "users"), i, user)
    {
        char roles[512], ago[32];
        const bool disabled = json_is_true(json_object_get(user, "disabled"));
        output_ago(ago, sizeof ago, client_integer(user, "login_ms"), output_now_ms());
        const char *cells[] = {client_text(user, "name"),
                               output_list(roles, sizeof roles, json_object_get(user, "roles")),
                               json_is_true(json_object_get(user, "totp")) ? "yes" : "no", ago,
                               disabled                                          ? "disabled"
                               : json_is_true(json_object_get(user, "password")) ? "ok"
                                                                                 : "no password"};
        output_table_row(table, disabled ? OUTPUT_DIM : OUTPUT_PLAIN, cells);
    }
    output_table_print(table, stdout);
}

static int run_list(struct args *args)
{
    return ask(args, "GET", NULL, NULL, print_users);
}

const struct command command_user_add = {
    .name = "user add",
    .operands = "NAME",
    .summary = "let somebody log in to the dashboard",
    .more = "Without --role he may see everything and change nothing. Without --password-file the password "
            "is asked for.",
    .examples = "  molt user add anna --role admin\n"
                "  molt user add bert --role operator@lamp --role viewer",
    .options = add_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_add,
};

const struct command command_user_list = {
    .name = "user list",
    .operands = "",
    .summary = "show who may log in, and what for",
    .more = "",
    .examples = "  molt user list",
    .options = where_options,
    .run = run_list,
};

const struct command command_user_show = {
    .name = "user show",
    .operands = "NAME",
    .summary = "show what one of them may do",
    .more = "",
    .examples = "  molt user show anna",
    .options = where_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_show,
};

const struct command command_user_set = {
    .name = "user set",
    .operands = "NAME",
    .summary = "give other roles, let in or keep out",
    .more = "The roles that are given take the place of all that he had. It counts from his next request on.",
    .examples = "  molt user set bert --role operator --role approver@door\n"
                "  molt user set bert --disable",
    .options = set_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_set,
};

const struct command command_user_passwd = {
    .name = "user passwd",
    .operands = "NAME",
    .summary = "set a password, and end all sessions of the user",
    .more = "",
    .examples = "  molt user passwd anna",
    .options = passwd_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_passwd,
};

const struct command command_user_remove = {
    .name = "user remove",
    .operands = "NAME",
    .summary = "remove a user; what he did stays in the audit log",
    .more = "",
    .examples = "  molt user remove bert",
    .options = where_options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run_remove,
};
