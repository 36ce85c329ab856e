/* second_in_place.c - the second stage that also writes a staged pack over the running image (inplace/inplace.h).
 * Must never write before the whole pack gave what the maker signed. Tests: test/unit/in_place_test.c,
 * test/powercut/in_place_test.c, test/qemu/molt_boot_test.c. */
#include "inplace/inplace.h"
#include "second.h"
#include "sha256.h"

#include <string.h>

static struct molt_in_place work; /* on the chip: data RAM that nobody uses before the sketch starts */

static bool is_flash_error(int rc)
{
    return rc == -MOLT_FLASH_READ || rc == -MOLT_FLASH_WRITE || rc == -MOLT_FLASH_ERASE ||
           rc == -MOLT_FLASH_VERIFY;
}

int molt_second_in_place(const struct molt_second_call *call)
{
    const struct molt_boot_record *r = call->record;
    struct molt_in_place_job job;
    if (call->what != MOLT_SECOND_IN_PLACE) return molt_second_check(call);
    if (r->is_signed != 1 || r->second_off < MOLT_IN_PLACE_RING) return 1;
    job.flash = call->flash;
    job.hash = &molt_boot_sha256;
    job.pack_off = r->stage;
    job.pack_len = r->pack_len;
    job.ring_off = r->second_off - MOLT_IN_PLACE_RING;
    memcpy(job.digest, r->file_digest, sizeof job.digest);
    job.note = call->note;
    job.ctx = call->ctx;
    int rc = molt_in_place_run(&work, &job, call->done);
    return rc == 0 || is_flash_error(rc) ? rc : 1;
}
