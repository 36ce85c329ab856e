/* second_check.c - the second stage that checks the new image by SHA-256, also against the digest that the maker signed.
 * Must never write flash. Tests: test/unit/molt_boot_test.c, test/qemu/molt_boot_test.c. */
#include "second.h"
#include "sha256.h"

/* 0: flash from off + from to off + len has this digest; 1: another; -MOLT_FLASH_READ. */
static int compare(const struct molt_second_call *call, uint32_t from, const uint8_t digest[32])
{
    const struct molt_hash_ops *hash = &molt_boot_sha256;
    struct molt_hash sum;
    uint8_t is[MOLT_SHA256_LEN], differ = 0;
    hash->init(&sum.state);
    const uint32_t len = call->record->new_len;
    for (uint32_t at = from; at < len; at += MOLT_BOOT_SECTOR) {
        const uint32_t n = len - at < MOLT_BOOT_SECTOR ? len - at : MOLT_BOOT_SECTOR;
        if (call->flash->read(call->flash->ctx, call->off + at, call->work, (n + 3) & ~3u) != 0)
            return -MOLT_FLASH_READ;
        hash->update(&sum.state, call->work, n);
    }
    hash->finish(&sum.state, is);
    for (uint32_t i = 0; i < MOLT_SHA256_LEN; i++)
        differ |= is[i] ^ digest[i];
    return differ == 0 ? 0 : 1;
}

int molt_second_check(const struct molt_second_call *call)
{
    if (call->what == MOLT_SECOND_IN_PLACE) return 1;
    int rc = compare(call, MOLT_BOOT_SECTOR, call->record->digest);
    if (rc == 0 && call->what == MOLT_SECOND_STAGED && call->record->is_signed)
        rc = compare(call, 0, call->record->file_digest);
    return rc;
}
