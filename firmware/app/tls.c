/* tls.c - whom this device trusts, and what time it is: https for the reference application. The trust
 * anchor is a certificate that the maker wrote into flash beside the settings. Must never trust anybody
 * when there is none. Tests: test/qemu. */
#include "ports/lwip_tls.h"

#include <string.h>

#include "app.h"
#include "boards/board.h"
#include "net/netif.h"
#include "target.h"
#include "util/bytes.h"

#define ANCHOR_OFFSET  (SETTINGS_OFFSET + 1024u) /* length as u32le, then DER */
#define ANCHOR_MAX     2048u
#define DN_MAX         256u
#define ANCHOR_KEY_MAX 280u /* RSA up to 2048 bits, or a point */

static struct molt_lwip_tls tls;
static br_x509_trust_anchor anchor;
static unsigned char name[DN_MAX], key[ANCHOR_KEY_MAX];
static size_t name_len;
/* For servers that do not know max_fragment_length, or for packs: an ESP8266 has not the RAM for both. */
static union {
    unsigned char buffer[BR_SSL_BUFSIZE_INPUT];
    struct molt_pack pack;
} big;
static uint64_t start_s;

static uint64_t now_s(void)
{
    uint32_t since_1970 = net_time_s();
    if (since_1970 != 0) return since_1970;
    return start_s == 0 ? 0 : start_s + board_ms() / 1000u;
}

static void take_name(void *ctx, const void *data, size_t len)
{
    (void)ctx;
    if (len <= DN_MAX - name_len) memcpy(name + name_len, data, len);
    name_len += len <= DN_MAX - name_len ? len : DN_MAX + 1 - name_len; /* too long stays too long */
}

/* Copies the decoder's key, which does not outlive it. */
static bool take_key(const br_x509_pkey *from)
{
    if (from == NULL) return false;
    anchor.pkey = *from;
    if (from->key_type == BR_KEYTYPE_EC) {
        if (from->key.ec.qlen > sizeof key) return false;
        memcpy(key, from->key.ec.q, from->key.ec.qlen);
        anchor.pkey.key.ec.q = key;
        return true;
    }
    const br_rsa_public_key *rsa = &from->key.rsa;
    if (rsa->nlen > sizeof key || rsa->elen > sizeof key - rsa->nlen) return false;
    memcpy(key, rsa->n, rsa->nlen);
    memcpy(key + rsa->nlen, rsa->e, rsa->elen);
    anchor.pkey.key.rsa.n = key;
    anchor.pkey.key.rsa.e = key + rsa->nlen;
    return true;
}

static bool read_anchor(br_x509_decoder_context *decoder)
{
    uint8_t piece[64];
    uint32_t len;
    if (board_flash.read(NULL, ANCHOR_OFFSET, piece, 4) != 0) return false;
    len = molt_load32le(piece);
    if (len == 0 || len > ANCHOR_MAX) return false;
    br_x509_decoder_init(decoder, take_name, NULL);
    for (uint32_t at = 0; at < len; at += sizeof piece) {
        uint32_t n = molt_min32(len - at, sizeof piece);
        if (board_flash.read(NULL, ANCHOR_OFFSET + 4 + at, piece, n) != 0) return false;
        br_x509_decoder_push(decoder, piece, n);
    }
    if (name_len > DN_MAX || !take_key(br_x509_decoder_get_pkey(decoder))) return false;
    anchor.dn.data = name;
    anchor.dn.len = name_len;
    anchor.flags = br_x509_decoder_isCA(decoder) ? BR_X509_TA_CA : 0;
    return true;
}

struct molt_lwip_tls *app_tls_begin(const struct app_settings *settings)
{
    start_s = settings->time_s;
    /* The decoder is needed once, before the first handshake needs the other. */
    if (!read_anchor((br_x509_decoder_context *)(void *)&tls.client)) return NULL;
    memset(&tls, 0, sizeof tls);
    tls.anchors = &anchor;
    tls.anchor_count = 1;
    tls.pinned = settings->is_pinned ? &anchor.pkey : NULL;
    tls.big = settings->takes_packs ? NULL : big.buffer;
    tls.big_len = settings->takes_packs ? 0 : sizeof big.buffer;
    tls.now_s = now_s;
    tls.random = board_random;
    return &tls;
}

struct molt_pack *app_pack(const struct app_settings *settings)
{
    return settings->takes_packs ? &big.pack : NULL;
}

bool app_tls_resumed(void)
{
    return tls.resumed;
}
