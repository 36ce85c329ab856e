/* advice.h - the next step after a refusal, for those whose sentence does not name it. */
#ifndef MOLT_CLI_ADVICE_H
#define MOLT_CLI_ADVICE_H

/* Prints one line to stderr, or nothing. reason: a positive molt_reason. */
void advice_print(int reason);

#endif
