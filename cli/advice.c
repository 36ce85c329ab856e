/* advice.c - what may help, by reason; the API's detail has said the rest. Must never advise what could lose data.
 * Tests: test/e2e/cli_test.sh. */
#include "advice.h"

#include <stddef.h>

#include "molt_reason.h"
#include "output.h"

void advice_print(int reason)
{
    static const struct {
        int reason;
        const char *advice;
    } table[] = {
        {MOLT_VERSION_NEEDED, "add --version, for example --version 1.2.0"},
        {MOLT_CODE_NEEDED, "add --code N, greater than the last one published"},
        {MOLT_OLDER_CODE,
         "publish it with a greater version or --code; `molt release list` shows what is there"},
        {MOLT_ALREADY_PUBLISHED,
         "a new build needs a greater version, compiled in and given to `molt publish`"},
        {MOLT_ADOPT_TAKEN, "publish without --adopt and assign devices: molt device set ID --product NAME"},
        {MOLT_UNAUTHORIZED,
         "give the admin token in MOLT_TOKEN; `molt token create` on the server makes a new one"},
        {MOLT_IMAGE_FILESYSTEM, "add --component fs --chip CHIP"},
        {MOLT_CODE_RANGE, "leave out --code, or give one that the version allows"},
        {MOLT_WRONG_CHIP, "build it for that chip, or leave out --chip: the image says which chip it is for"},
        {MOLT_FLASH_SIZE, "build it for that flash size, or publish it without --variant"},
        {MOLT_IMAGE_TEXT, "open it in an editor: what was saved in place of the .bin says what went wrong"},
        {MOLT_IMAGE_EMPTY, "export or copy the .bin again; `molt inspect FILE` says more"},
        {MOLT_IMAGE_TRUNCATED, "export or copy the .bin again; `molt inspect FILE` says more"},
        {MOLT_BAD_GZIP, "copy it again, or publish the .bin itself: molt compresses by itself"},
        {MOLT_BAD_CRC, "build or copy the .bin again; `molt inspect FILE` says more"},
        {MOLT_BAD_CHECKSUM, "build or copy the .bin again; `molt inspect FILE` says more"},
        {MOLT_BAD_HASH, "build or copy the .bin again; `molt inspect FILE` says more"},
        {MOLT_MANIFEST_MALFORMED, "make it anew: `molt sign FILE --key KEY --product NAME`"},
        {MOLT_MANIFEST_CLASS, "sign it for this product: `molt sign FILE --key KEY --product NAME`"},
        {MOLT_MANIFEST_MISMATCH, "sign this very file: `molt sign FILE --key KEY --product NAME`"},
        {MOLT_MANIFEST_SIGNATURE, "`molt product trust NAME` shows the keys that count for the product"},
        {MOLT_MANIFEST_OLDER, "sign it with a greater --sequence; `molt sign --help` explains it"},
        {MOLT_STORE_FAILED, "is the disk full, or the data folder another user's? --data DIR names another"},
        {MOLT_REQUEST_INVALID, "--help behind the command explains its options"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        if (reason == table[i].reason) {
            output_hint("%s", table[i].advice);
            return;
        }
    }
    /* 20 to 59: what is wrong with a file */
    if (reason >= MOLT_IMAGE_EMPTY && reason < MOLT_BAD_URL) output_hint("`molt inspect FILE` says more");
}
