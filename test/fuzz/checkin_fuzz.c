/* checkin_fuzz.c - any bytes as a check-in or as an answer: no crash, and what is accepted is the one
 * encoding of its message, but for unknown keys, which come last and are skipped. The first byte chooses
 * which; the rest is the message. */
#include "fuzz.h"

#include <string.h>

#include "agent/checkin.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct molt_checkin message;
    static struct molt_answer answer;
    uint8_t again[MOLT_CHECKIN_MAX];
    if (size < 1) return 0;
    bool is_answer = (data[0] & 1) != 0;
    data++;
    size--;
    int rc = is_answer ? molt_answer_decode(&answer, data, size) : molt_checkin_decode(&message, data, size);
    FUZZ_CHECK(rc == 0 || rc == -MOLT_CHECKIN_MALFORMED);
    if (rc < 0) return 0;
    int len = is_answer ? molt_answer_encode(&answer, again, sizeof again)
                        : molt_checkin_encode(&message, again, sizeof again);
    FUZZ_CHECK(len > 0 && (size_t)len <= size);
    FUZZ_CHECK(memcmp(again + 1, data + (data[0] == 0xB8 ? 2 : 1), (size_t)len - 1) == 0);
    if ((size_t)len == size) FUZZ_CHECK(again[0] == data[0]);
    return 0;
}
