/* molt_reason.c - look-ups over the one list of reasons.
 * Must never hold a second list. Tests: test/unit/reason_test.c. */
#include "molt_reason.h"

#include <stddef.h>
#include <string.h>

#ifdef MOLT_NO_SENTENCES
#define SENTENCE(text) ""
#else
#define SENTENCE(text) text
#endif

struct reason_row {
    short number;
    short who;
    const char *id;
    const char *sentence;
};

static const struct reason_row reason_rows[] = {
#define MOLT_REASON(symbol, number, id, who, sentence) {(number), MOLT_WHO_##who, id, SENTENCE(sentence)},
#include "molt_reason.def"
#undef MOLT_REASON
};

static const struct reason_row *find(int reason)
{
    for (size_t i = 0; i < sizeof reason_rows / sizeof reason_rows[0]; i++) {
        if (reason_rows[i].number == reason) return &reason_rows[i];
    }
    return NULL;
}

const char *molt_reason_id(int reason)
{
    if (reason == MOLT_OK) return "ok";
    const struct reason_row *row = find(reason);
    return row != NULL ? row->id : "unknown-reason";
}

const char *molt_reason_sentence(int reason)
{
    if (reason == MOLT_OK) return SENTENCE("All is well.");
    const struct reason_row *row = find(reason);
    return row != NULL ? row->sentence : "";
}

enum molt_who molt_reason_who(int reason)
{
    const struct reason_row *row = find(reason);
    return row != NULL ? (enum molt_who)row->who : MOLT_WHO_NOBODY;
}

int molt_reason_from_id(const char *id)
{
    for (size_t i = 0; i < sizeof reason_rows / sizeof reason_rows[0]; i++) {
        if (strcmp(reason_rows[i].id, id) == 0) return reason_rows[i].number;
    }
    return -1;
}
