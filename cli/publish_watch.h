/* publish_watch.h - `molt publish --watch DIR`: every firmware that a build leaves in a folder, once when it is new and again
 * when it changed. */
#ifndef MOLT_CLI_PUBLISH_WATCH_H
#define MOLT_CLI_PUBLISH_WATCH_H

#include "args.h"

/* What became of one file. */
enum watch_end {
    WATCH_DONE,    /* published, or refused: not looked at again before it changes */
    WATCH_NOT_NOW, /* no answer: tried again */
};

/* Watches args' DIR for *.bin until SIGINT or SIGTERM; returns an exit status. publish is called with the file as args' only
 * operand, has said everything, and is not called before the file has stood still for a second. */
int publish_watch(struct args *args, enum watch_end (*publish)(struct args *args));

#endif
