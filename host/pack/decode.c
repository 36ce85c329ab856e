/* decode.c - takes packs apart on a PC, with the device's own decoder. Tests: test/unit/pack_test.c. */
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "host/pack/pack.h"
#include "util/crc.h"

/* What the decoder reads from. */
struct memory {
    const uint8_t *base, *out;
    bool masked, body_only;
};

static int read_base(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    const struct memory *memory = ctx;
    memcpy(dst, memory->base + off, len);
    if (memory->body_only && off < MOLT_PACK_BASE_HEAD)
        memset(dst, 0, len < MOLT_PACK_BASE_HEAD - off ? len : MOLT_PACK_BASE_HEAD - off);
    for (uint32_t i = 2; memory->masked && i < 4; i++) {
        if (i >= off && i - off < len) ((uint8_t *)dst)[i - off] = 0;
    }
    return 0;
}

static int read_output(void *ctx, uint32_t off, void *dst, uint32_t len)
{
    const struct memory *memory = ctx;
    memcpy(dst, memory->out + off, len);
    return 0;
}

static int read_head(struct molt_pack *pack, const struct molt_pack_io *io, const uint8_t **in,
                     size_t *in_len)
{
    size_t none = 0;
    molt_pack_begin(pack, io);
    int rc = molt_pack_step(pack, in, in_len, NULL, 0, &none);
    return rc == MOLT_PACK_HEAD ? 0 : -MOLT_BAD_PACK;
}

int pack_head(const uint8_t *pack, size_t len, struct molt_pack *head)
{
    struct molt_pack_io io = {0};
    return read_head(head, &io, &pack, &len);
}

static int check_base(const struct molt_pack *pack, struct memory *memory, size_t base_len)
{
    uint8_t digest[MOLT_SHA256_LEN], head[MOLT_PACK_BASE_HEAD];
    bool masked;
    if (pack->base_len == 0) return 0;
    if (memory->base == NULL || base_len != pack->base_len) return -MOLT_PACK_BASE;
    pack_identity(memory->base, base_len, digest, &masked);
    if (masked != ((pack->flags & MOLT_PACK_MASKS_HEADER) != 0) ||
        memcmp(digest, pack->base_digest, sizeof digest) != 0)
        return -MOLT_PACK_BASE;
    memory->masked = masked;
    memory->body_only = (pack->flags & MOLT_PACK_BODY_ONLY) != 0;
    uint32_t len = pack->base_len < sizeof head ? pack->base_len : (uint32_t)sizeof head;
    read_base(memory, 0, head, len);
    return molt_crc32_lsb(0, head, len) == pack->base_head_crc ? 0 : -MOLT_PACK_BASE;
}

static int decode(struct molt_pack *pack, const uint8_t *in, size_t in_len, const uint8_t *base,
                  size_t base_len, uint8_t **out)
{
    struct memory memory = {.base = base};
    struct molt_pack_io io = {.ctx = &memory, .read_base = read_base, .read_output = read_output};
    uint8_t digest[MOLT_SHA256_LEN];
    int rc = read_head(pack, &io, &in, &in_len);
    if (rc == 0) rc = check_base(pack, &memory, base_len);
    if (rc < 0) return rc;
    uint8_t *to = malloc(pack->out_len);
    if (to == NULL) return -MOLT_NO_MEMORY;
    memory.out = to;
    do {
        size_t left = pack->out_len - pack->total_out, made = 0;
        uint32_t before = pack->total_out;
        size_t had = in_len;
        rc = molt_pack_step(pack, &in, &in_len, to + before, left < 4096 ? left : 4096, &made);
        if (rc == MOLT_PACK_MORE && made == 0 && had == in_len) rc = -MOLT_BAD_PACK; /* it ends too early */
    } while (rc == MOLT_PACK_MORE);
    if (rc == MOLT_PACK_END && in_len != 0) rc = -MOLT_BAD_PACK;
    if (rc == MOLT_PACK_END) {
        SHA256(to, pack->out_len, digest);
        rc = memcmp(digest, pack->digest, sizeof digest) == 0 ? 0 : -MOLT_DIGEST_MISMATCH;
    }
    if (rc == 0)
        *out = to;
    else
        free(to);
    return rc;
}

int pack_decode(const uint8_t *pack, size_t len, const uint8_t *base, size_t base_len, uint8_t **out,
                size_t *out_len)
{
    struct molt_pack *decoder = malloc(sizeof *decoder);
    if (decoder == NULL) return -MOLT_NO_MEMORY;
    int rc = decode(decoder, pack, len, base, base_len, out);
    if (rc == 0) *out_len = decoder->out_len;
    free(decoder);
    return rc;
}
