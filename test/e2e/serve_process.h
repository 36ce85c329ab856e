/* serve_process.h - serve_run() in a process of its own, whose lines a test reads and which it may kill. */
#ifndef MOLT_TEST_SERVE_PROCESS_H
#define MOLT_TEST_SERVE_PROCESS_H

#include <sys/types.h>

#include "serve_case.h"

struct serve_process {
    pid_t pid;
    int out; /* its stdout and stderr */
    char line[2048];
    size_t len; /* bytes of line[] that are there */
    uint16_t port, admin_port;
    char token[64]; /* printed at the first start, else "" */
};

/* To be called first in main(): true when this process is the server, and then its exit status. */
bool serve_process_is_child(int argc, char **argv, int *status);

/* Runs serve_run() on the case's data folder in a new process (ports are free ones) and waits until it listens. With
 * MOLT_TEST_STORE_URL in the environment its rows are there. */
void serve_process_start(struct serve_process *p, struct serve_case *c);
/* Reads lines until one holds text; fails the test when the process ends before. */
void serve_process_wait_line(struct serve_process *p, const char *text);
/* Sends the signal, waits for the end. Returns the exit status, or -1 when a signal ended it. */
int serve_process_stop(struct serve_process *p, int signal);
/* Waits for the end. */
int serve_process_end(struct serve_process *p);

#endif
