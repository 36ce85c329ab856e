/* command.h - one subcommand of `molt` as a row of data, and the exit statuses that all of them use. */
#ifndef MOLT_CLI_COMMAND_H
#define MOLT_CLI_COMMAND_H

#include "args.h"

enum { EXIT_GOOD = 0, EXIT_PROBLEM = 1, EXIT_USAGE = 2 };

struct command {
    const char *name;     /* "publish", "device list" */
    const char *operands; /* "FILE...", "" */
    const char *summary;  /* one line, small letter, no full stop */
    const char *more;     /* paragraphs of --help, may be "" */
    const char *examples; /* lines of --help */
    const struct args_option *options;
    int operands_min, operands_max;
    int (*run)(struct args *args); /* returns an exit status; has said everything */
};

/* Options of every command that talks to a store or a server. */
#define COMMAND_WHERE                                                                                        \
    {"data", "DIR", "data folder (default: $MOLT_DATA, /var/lib/molt for root, ~/.local/share/molt)", 0},    \
        {"store", "URL", "where the rows are, when not in DIR: postgres://... (default: $MOLT_STORE)", 0},   \
        {"server", "URL", "talk to this server instead, as $MOLT_SERVER does", 0},                           \
        {"token", "TOKEN", "admin token for --server, better given as $MOLT_TOKEN", 0},                      \
    {                                                                                                        \
        "json", 0, "print JSON", 0                                                                           \
    }

extern const struct command command_serve, command_publish, command_inspect;
extern const struct command command_device_list, command_device_show, command_device_set,
    command_device_forget, command_device_why, command_device_history, command_device_log,
    command_device_retry, command_device_export, command_device_import;
extern const struct command command_rollout_create, command_rollout_list, command_rollout_show,
    command_rollout_approve, command_rollout_pause, command_rollout_resume, command_rollout_next,
    command_rollout_abort;
extern const struct command command_product_set;
extern const struct command command_release_list, command_release_show, command_release_yank,
    command_release_unyank, command_release_require;
extern const struct command command_user_show, command_token_show, command_group_show;
extern const struct command command_token_create, command_token_list, command_token_revoke;
extern const struct command command_user_add, command_user_list, command_user_set, command_user_passwd,
    command_user_remove;
extern const struct command command_audit_list, command_audit_verify, command_audit_export;
extern const struct command command_status;
extern const struct command command_product_list, command_product_show, command_group_list,
    command_group_rename, command_group_dissolve, command_filter_list, command_filter_show,
    command_filter_save, command_filter_delete, command_device_count, command_device_table, command_overview,
    command_rollout_progress, command_server_show, command_server_settings, command_server_metrics,
    command_server_ready, command_server_trends, command_webhook_list, command_webhook_show,
    command_webhook_create, command_webhook_set, command_webhook_delete, command_webhook_test,
    command_webhook_log, command_node_list, command_node_forget, command_api;
extern const struct command command_store_copy, command_store_backup, command_store_restore,
    command_store_check, command_store_upload;
extern const struct command command_completion, command_manual;
extern const struct command command_sim, command_sim_build;
extern const struct command command_image_set_boot, command_image_boot_code;
extern const struct command command_pack, command_unpack;
extern const struct command command_doctor;
extern const struct command command_keygen, command_key_rotate, command_key_show, command_sign,
    command_verify, command_product_trust;

/* All of them, in the order of `molt help`; ends with NULL. Help, man pages and completion are made from it. */
extern const struct command *const command_table[];

/* Says what is wrong with the call and how --help is asked for; returns EXIT_USAGE. */
int command_usage_error(const struct command *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
