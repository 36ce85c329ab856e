/* decide_test.c - the decision, a row for each rule. Each row is one device, one release and one question; what it
 * does not say is that of an ESP8266 with 4 MB of flash that runs code 1 and is offered code 2. */
#include "cmocka_all.h"

#include <stdio.h>

#include "server/attempt/attempt.h"
#include "world.h"

#define NOW       1000000000000LL
#define HOUR      3600000LL
#define KB        1024u
#define MB        (1024u * KB)
#define FS_512K   503808u /* 0x7B000: the layout 512K without a file system */
#define THREAD    278396u /* the thread's sketch, of 499,696 bytes that the 512K layout allows */
#define ROOM      225280u /* what is left beside it */
#define UNKNOWN   UINT32_MAX
#define NO_SKETCH UINT32_MAX

struct row {
    const char *says;
    struct { /* the device */
        bool unassigned, held, chip_set, gz_refused, knows_digest, fresh;
        enum molt_chip chip; /* 0: esp8266; MOLT_CHIP_MAX: not known */
        enum model_client client;
        uint32_t code, flash_size, fs_start, sketch, slot, can, window; /* 0: the default; UNKNOWN */
        const char *channel, *core;
        enum model_attempt attempt; /* at the newest release */
        int attempt_reason;
        uint32_t sends; /* of its raw artifact */
    } device;
    struct { /* the newest release */
        bool none, yanked, fs, is_signed;
        enum molt_chip chip; /* 0: esp8266 */
        uint32_t code, len, gzip, gzip_4k, header_flash;
        uint32_t older_code, older_len; /* another, older release; 0: none */
        enum molt_chip second_chip;     /* another image of the release */
    } release;
    struct decide_ask ask;
    bool md5_raw, md5_variant; /* the device tells the MD5 of the newest image */
    /* expected */
    int reason;
    uint32_t code; /* of .version; 0 means 0 */
    enum molt_encoding encoding;
    bool is_4k;
    const char *detail; /* a part of it */
};

/* clang-format off */
static const struct row rows[] = {
    /* ---- who may have anything at all ---- */
    {"an older device is offered the newest release", .reason = MOLT_OFFERED, .code = 2},
    {"a device without a product is not assigned", .device.unassigned = true, .reason = MOLT_NOT_ASSIGNED, .code = 1},
    {"a held device is offered nothing", .device.held = true, .reason = MOLT_HELD, .code = 1},
    {"a device on trial must confirm first", .ask.on_trial = true, .ask.molt = true, .reason = MOLT_ON_TRIAL, .code = 1},
    {"a device that says another chip than set is in conflict", .device.chip = MOLT_CHIP_ESP32C3,
     .device.chip_set = true, .ask.chip_said = MOLT_CHIP_ESP8266, .reason = MOLT_CHIP_CONFLICT, .code = 1,
     .detail = "registered as esp32c3, says that it is esp8266"},
    {"an ESP32 under the id of an ESP8266 is in conflict", .ask.esp32_family = true, .reason = MOLT_CHIP_CONFLICT,
     .code = 1},
    /* ---- chips ---- */
    {"an ESP32 gets the image of its chip", .device.chip = MOLT_CHIP_ESP32C3, .release.chip = MOLT_CHIP_ESP32C3,
     .reason = MOLT_OFFERED, .code = 2},
    {"an ESP32 image never goes to an ESP8266", .release.chip = MOLT_CHIP_ESP32, .reason = MOLT_NO_IMAGE, .code = 1,
     .detail = "no release has an image for esp8266"},
    {"an ESP8266 image never goes to an ESP32", .device.chip = MOLT_CHIP_ESP32, .reason = MOLT_NO_IMAGE, .code = 1},
    {"an ESP32's chip is assumed when all the product's ESP32 images are of one", .device.chip = MOLT_CHIP_MAX,
     .device.client = MODEL_CLIENT_ESP32, .ask.esp32_family = true, .release.chip = MOLT_CHIP_ESP32S3,
     .release.second_chip = MOLT_CHIP_ESP8266, .reason = MOLT_OFFERED, .code = 2},
    {"an ESP32's chip is not assumed when the images are of two", .device.chip = MOLT_CHIP_MAX,
     .ask.esp32_family = true, .release.chip = MOLT_CHIP_ESP32S3, .release.second_chip = MOLT_CHIP_ESP32,
     .reason = MOLT_UNKNOWN_CHIP, .code = 1, .detail = "molt device set aabbccddeeff --chip"},
    {"a device that says nothing is an ESP8266 when all the product's images are for it",
     .device.chip = MOLT_CHIP_MAX, .reason = MOLT_OFFERED, .code = 2},
    {"and not when one is not", .device.chip = MOLT_CHIP_MAX, .release.second_chip = MOLT_CHIP_ESP32,
     .reason = MOLT_UNKNOWN_CHIP, .code = 1, .detail = "molt device set aabbccddeeff --chip"},
    {"nor is it ever believed to be an ESP32: that file would brick an ESP8266", .device.chip = MOLT_CHIP_MAX,
     .release.chip = MOLT_CHIP_ESP32, .reason = MOLT_UNKNOWN_CHIP, .code = 1},
    {"an ESP32 of any kind is never believed to be an ESP8266", .device.chip = MOLT_CHIP_MAX,
     .ask.esp32_family = true, .reason = MOLT_UNKNOWN_CHIP, .code = 1},
    {"a bare poll of a device not known may be answered: its .bin request says the chip",
     .device.chip = MOLT_CHIP_MAX, .ask.bare = true, .release.second_chip = MOLT_CHIP_ESP32, .reason = MOLT_OFFERED,
     .code = 2},
    /* ---- versions ---- */
    {"the newest release runs already", .device.code = 2, .reason = MOLT_UP_TO_DATE, .code = 2},
    {"a newer device is left alone", .device.code = 3, .reason = MOLT_DEVICE_NEWER, .code = 3,
     .detail = "runs code 3, the newest release is 2"},
    {"a device of unknown version is offered the newest", .device.code = UNKNOWN, .reason = MOLT_OFFERED, .code = 2},
    {"a yanked release is not offered", .release.yanked = true, .reason = MOLT_NO_RELEASE, .code = 1},
    {"the release before a yanked one is", .release.yanked = true, .release.code = 3, .release.older_code = 2,
     .release.older_len = 300000, .reason = MOLT_OFFERED, .code = 2},
    {"a product without a release has none", .release.none = true, .reason = MOLT_NO_RELEASE, .code = 1},
    {"another channel's release is not offered", .device.channel = "beta", .reason = MOLT_NO_RELEASE, .code = 1},
    {"an unknown version without a release is 0", .device.code = UNKNOWN, .release.none = true,
     .reason = MOLT_NO_RELEASE, .code = 0},
    /* ---- the same image ---- */
    {"the MD5 of the running image is known", .device.code = UNKNOWN, .md5_raw = true, .reason = MOLT_SAME_DIGEST},
    {"the MD5 with a patched flash mode is known too", .device.code = UNKNOWN, .md5_variant = true,
     .reason = MOLT_SAME_DIGEST},
    {"the digest of the running image is known, whatever its code", .device.knows_digest = true,
     .reason = MOLT_SAME_DIGEST, .code = 1},
    {"an image that failed is not offered again", .device.attempt = MODEL_ATTEMPT_FAILED,
     .device.attempt_reason = MOLT_BAD_HASH, .reason = MOLT_FAILED_BEFORE, .code = 1, .detail = "version 2: bad-hash"},
    {"a release that rolled back is not offered again", .device.attempt = MODEL_ATTEMPT_ROLLED_BACK,
     .device.attempt_reason = MOLT_CRASHED, .reason = MOLT_FAILED_BEFORE, .code = 1, .detail = "version 2: crashed"},
    {"an attempt that was cut is offered again", .device.attempt = MODEL_ATTEMPT_OFFERED,
     .device.attempt_reason = MOLT_DOWNLOAD_CUT, .reason = MOLT_OFFERED, .code = 2},
    {"an image is sent a third time", .device.sends = 2, .reason = MOLT_OFFERED, .code = 2},
    {"and not a fourth", .device.sends = 3, .reason = MOLT_SAME_IMAGE_AGAIN, .code = 1,
     .detail = "version 2 was sent 3 times"},
    {"but to a device that checks in as often as it takes", .ask.molt = true, .device.can = 1, .device.sends = 9,
     .reason = MOLT_OFFERED, .code = 2},
    {"nor when the attempt was closed by it", .device.attempt = MODEL_ATTEMPT_FAILED, .device.sends = 3,
     .device.attempt_reason = MOLT_SAME_IMAGE_AGAIN, .reason = MOLT_SAME_IMAGE_AGAIN, .code = 1},
    /* ---- ESP8266: space ---- */
    {"raw fits exactly", .device.fs_start = 600 * KB, .device.sketch = 300 * KB, .release.len = 300 * KB,
     .release.gzip = 200 * KB, .ask.stock_gzip = true, .reason = MOLT_OFFERED, .code = 2},
    {"raw is one byte over a sector too long", .device.fs_start = 600 * KB, .device.sketch = 300 * KB,
     .release.len = 300 * KB + 1, .reason = MOLT_TOO_LARGE, .code = 1,
     .detail = "needs 311296 + 307200 of 614400 bytes; a stepping stone may have 307200 bytes"},
    {"the thread's flash and sketch update on core 2.7 by gzip", .device.flash_size = 512 * KB,
     .device.fs_start = FS_512K, .device.sketch = THREAD, .release.len = THREAD, .release.gzip = 200000,
 .ask.stock_gzip = true, .reason = MOLT_OFFERED, .code = 2, .encoding = MOLT_GZIP},
    {"the thread's flash and sketch on an older core get the stepping stone's size",
     .device.flash_size = 512 * KB, .device.fs_start = FS_512K, .device.sketch = THREAD, .release.len = THREAD,
     .release.gzip = 200000, .reason = MOLT_OLD_CORE, .code = 1,
     .detail = "a stepping stone may have 225280 bytes"},
    {"a stepping stone of that size is offered on the way", .device.flash_size = 512 * KB,
     .device.fs_start = FS_512K, .device.sketch = THREAD, .release.code = 3, .release.len = THREAD,
     .release.gzip = 200000, .release.older_code = 2, .release.older_len = ROOM, .reason = MOLT_OFFERED, .code = 2},
    {"one byte more and it is not", .device.flash_size = 512 * KB, .device.fs_start = FS_512K,
     .device.sketch = THREAD, .release.code = 3, .release.len = THREAD, .release.gzip = 200000,
     .release.older_code = 2, .release.older_len = ROOM + 1, .reason = MOLT_OLD_CORE, .code = 1},
    {"an older release than the one that runs is no stepping stone", .device.code = 2, .device.fs_start = FS_512K,
     .device.sketch = THREAD, .release.code = 3, .release.len = THREAD, .release.older_code = 1,
     .release.older_len = 1000, .reason = MOLT_TOO_LARGE, .code = 2},
    {"gzip that reaches into its own staged copy is not sent: a reset in the copy would break it",
     .device.fs_start = FS_512K, .device.sketch = THREAD, .release.len = 303105, .release.gzip = 200000,
     .ask.stock_gzip = true, .reason = MOLT_TOO_LARGE, .code = 1,
     .detail = "write over its source: needs 307200 + 200704 of 503808 bytes; make it smaller or use molt-boot"},
    {"gzip that just does not is", .device.fs_start = FS_512K, .device.sketch = THREAD, .release.len = 303104,
     .release.gzip = 200000, .ask.stock_gzip = true, .reason = MOLT_OFFERED, .code = 2, .encoding = MOLT_GZIP},
    {"raw that reaches into its own staged copy is not sent: 1M64, 304 KB to 604 KB", .device.flash_size = 1 * MB,
     .device.fs_start = 0xEB000, .device.sketch = 304 * KB, .release.len = 604 * KB, .release.gzip = 423 * KB,
     .ask.stock_gzip = true, .reason = MOLT_TOO_LARGE, .code = 1,
     .detail = "write over its source: needs 618496 + 434176 of 962560 bytes"},
    {"nor without a .gz", .device.flash_size = 1 * MB, .device.fs_start = 0xEB000, .device.sketch = 304 * KB,
     .release.len = 604 * KB, .reason = MOLT_TOO_LARGE, .code = 1, .detail = "needs 618496 + 618496 of 962560"},
    {"but by gzip when that ends in time", .device.flash_size = 1 * MB, .device.fs_start = 0xEB000,
     .device.sketch = 304 * KB, .release.len = 604 * KB, .release.gzip = 336 * KB, .ask.stock_gzip = true,
     .reason = MOLT_OFFERED, .code = 2, .encoding = MOLT_GZIP},
    {"a byte more of it and not", .device.flash_size = 1 * MB, .device.fs_start = 0xEB000,
     .device.sketch = 304 * KB, .release.len = 604 * KB, .release.gzip = 336 * KB + 1, .ask.stock_gzip = true,
     .reason = MOLT_TOO_LARGE, .code = 1},
    {"on an older core the stepping stone is one that can start over", .device.flash_size = 1 * MB,
     .device.fs_start = 0xEB000, .device.sketch = 304 * KB, .release.len = 604 * KB, .release.gzip = 336 * KB,
     .reason = MOLT_OLD_CORE, .code = 1, .detail = "a stepping stone may have 479232 bytes"},
    {"gzip that does not fit either is too large", .device.fs_start = FS_512K, .device.sketch = THREAD,
     .release.len = 400000, .release.gzip = ROOM + 1, .ask.stock_gzip = true,
     .reason = MOLT_TOO_LARGE, .code = 1},
    {"gzip is never sent when raw fits", .release.gzip = 100000, .ask.stock_gzip = true, .reason = MOLT_OFFERED,
     .code = 2},
    {"gzip is not sent to who refused it", .device.fs_start = FS_512K, .device.sketch = THREAD,
     .device.gz_refused = true, .release.len = THREAD, .release.gzip = 200000,
     .ask.stock_gzip = true, .reason = MOLT_GZ_REFUSED, .code = 1, .detail = "stepping stone may have 225280"},
    {"without sizes raw is sent: the chip checks them", .device.fs_start = UNKNOWN, .device.sketch = NO_SKETCH,
     .release.len = 1000000, .release.gzip = 1000, .ask.stock_gzip = true, .reason = MOLT_OFFERED, .code = 2},
    /* ---- flash size ---- */
    {"a 4 MB image is never sent to a 1 MB chip", .device.flash_size = 1 * MB, .device.fs_start = 0xEB000,
     .release.header_flash = 4 * MB, .reason = MOLT_FLASH_TOO_SMALL, .code = 1,
     .detail = "built for 4194304 bytes of flash, the device has 1048576"},
    {"not as gzip either", .device.flash_size = 1 * MB, .device.fs_start = 0xEB000, .device.sketch = 600000,
     .release.header_flash = 4 * MB, .release.len = 400000, .release.gzip = 200000,
     .ask.stock_gzip = true, .reason = MOLT_FLASH_TOO_SMALL, .code = 1},
    {"nor to a molt device", .device.flash_size = 1 * MB, .device.fs_start = 0xEB000, .device.can = 3,
     .device.window = 4096, .release.header_flash = 4 * MB, .release.gzip_4k = 200000, .ask.molt = true,
     .reason = MOLT_FLASH_TOO_SMALL, .code = 1},
    {"a 1 MB image may go to a 4 MB chip", .release.header_flash = 1 * MB, .reason = MOLT_OFFERED, .code = 2},
    /* ---- ESP32: slot ---- */
    {"an ESP32 image fills its slot", .device.chip = MOLT_CHIP_ESP32, .device.slot = 1310720,
     .release.chip = MOLT_CHIP_ESP32, .release.len = 1310720, .reason = MOLT_OFFERED, .code = 2},
    {"an ESP32 image is longer than its slot", .device.chip = MOLT_CHIP_ESP32, .device.slot = 1310720,
     .release.chip = MOLT_CHIP_ESP32, .release.len = 1310721, .reason = MOLT_TOO_LARGE, .code = 1,
     .detail = "needs 1310721 of 1310720 bytes in the slot"},
    {"a stock ESP32 never gets gzip", .device.chip = MOLT_CHIP_ESP32, .device.slot = 1000,
     .device.can = 3, .release.chip = MOLT_CHIP_ESP32, .release.len = 900, .release.gzip = 100,
     .release.gzip_4k = 100, .ask.stock_gzip = true, .reason = MOLT_OFFERED, .code = 2},
    /* ---- molt devices ---- */
    {"a device that takes signed images only is not offered others", .device.can = 3 | MOLT_CAN_SIGNED,
     .ask.molt = true, .reason = MOLT_MANIFEST_MISSING, .code = 1, .detail = "version 2 is not signed"},
    {"and is offered signed ones", .device.can = 3 | MOLT_CAN_SIGNED, .release.is_signed = true, .ask.molt = true,
     .reason = MOLT_OFFERED, .code = 2},
    {"others may have signed ones too", .device.can = 3, .release.is_signed = true, .ask.molt = true,
     .reason = MOLT_OFFERED, .code = 2},
    {"a molt device gets gzip with its window", .device.can = 3, .device.window = 4096, .release.gzip = 200000,
     .release.gzip_4k = 210000, .ask.molt = true, .reason = MOLT_OFFERED, .code = 2, .encoding = MOLT_GZIP,
     .is_4k = true},
    {"a molt device with a 32 KB window gets the smaller one", .device.chip = MOLT_CHIP_ESP32, .device.can = 3,
     .device.window = 32768, .release.chip = MOLT_CHIP_ESP32, .release.gzip = 200000, .release.gzip_4k = 210000,
     .ask.molt = true, .reason = MOLT_OFFERED, .code = 2, .encoding = MOLT_GZIP},
    {"a molt device with a smaller window gets raw", .device.can = 3, .device.window = 2048,
     .release.gzip_4k = 210000, .ask.molt = true, .reason = MOLT_OFFERED, .code = 2},
    {"a molt device that cannot inflate gets raw", .device.can = 1, .device.window = 4096,
     .release.gzip_4k = 210000, .ask.molt = true, .reason = MOLT_OFFERED, .code = 2},
    {"a molt device gets raw when gzip saves nothing", .device.can = 3, .device.window = 4096,
     .release.gzip_4k = 300001, .ask.molt = true, .reason = MOLT_OFFERED, .code = 2},
    {"a molt ESP8266 gets gzip where raw does not fit", .device.fs_start = FS_512K, .device.sketch = THREAD,
     .device.can = 3, .device.window = 4096, .release.len = THREAD, .release.gzip_4k = 201000, .ask.molt = true,
     .reason = MOLT_OFFERED, .code = 2, .encoding = MOLT_GZIP, .is_4k = true},
    {"a molt ESP8266 gets gzip up to where its staged copy begins", .device.fs_start = FS_512K,
     .device.sketch = THREAD, .device.can = 3, .device.window = 4096, .release.len = 299008,
     .release.gzip_4k = 201000, .ask.molt = true, .reason = MOLT_OFFERED, .code = 2, .encoding = MOLT_GZIP,
     .is_4k = true},
    {"and none that reaches into it, though the boot stage would not be overtaken", .device.fs_start = FS_512K,
     .device.sketch = THREAD, .device.can = 3, .device.window = 4096, .release.len = 299009,
     .release.gzip_4k = 201000, .ask.molt = true, .reason = MOLT_TOO_LARGE, .code = 1},
    {"a molt ESP8266 gets raw up to where its staged copy begins", .device.fs_start = 600 * KB,
     .device.sketch = 100 * KB, .release.len = 300 * KB, .ask.molt = true, .reason = MOLT_OFFERED, .code = 2},
    {"and none that would reach into it: it would refuse it", .device.fs_start = 600 * KB, .device.sketch = 100 * KB,
     .release.len = 300 * KB + 1, .ask.molt = true, .reason = MOLT_TOO_LARGE, .code = 1,
     .detail = "needs 311296 + 311296 of 614400 bytes; a stepping stone may have 307200 bytes"},
    {"nor may a stock client have that one: its boot stage would not refuse it", .device.fs_start = 600 * KB,
     .device.sketch = 100 * KB, .release.len = 300 * KB + 1, .reason = MOLT_TOO_LARGE, .code = 1},
    {"libmolt that asks as ESPhttpUpdate does is still libmolt", .device.fs_start = 600 * KB,
     .device.sketch = 100 * KB, .device.core = "molt-0.1.0", .release.len = 300 * KB + 1, .ask.stock_gzip = true,
     .reason = MOLT_TOO_LARGE, .code = 1},
    {"and gets no gzip, which it was not told of", .device.fs_start = FS_512K, .device.sketch = THREAD,
     .device.core = "molt-0.1.0", .release.len = THREAD, .release.gzip = 200000,
     .ask.stock_gzip = true, .reason = MOLT_TOO_LARGE, .code = 1},
    {"a molt ESP8266 runs no image beyond the first megabyte", .device.sketch = 300000, .device.fs_start = 3 * MB,
     .release.len = MB + 1, .ask.molt = true, .reason = MOLT_TOO_LARGE, .code = 1,
     .detail = "a stepping stone may have 1048576 bytes"},
    {"a molt device that refused gzip gets raw", .device.can = 3, .device.window = 4096, .device.gz_refused = true,
     .release.gzip_4k = 210000, .ask.molt = true, .reason = MOLT_OFFERED, .code = 2},
    /* ---- bare polls ---- */
    {"a bare poll is judged by what was said in the last day", .device.fs_start = 600 * KB,
     .device.sketch = 400 * KB, .device.fresh = true, .ask.bare = true, .reason = MOLT_TOO_LARGE, .code = 1},
    {"and not by what was said before", .device.fs_start = 600 * KB, .device.sketch = 400 * KB, .ask.bare = true,
     .reason = MOLT_OFFERED, .code = 2},
    {"a bare poll of a device that never told its core may be offered gzip", .device.fs_start = FS_512K,
     .device.sketch = THREAD, .device.fresh = true, .release.len = THREAD, .release.gzip = 200000,
 .ask.bare = true, .reason = MOLT_OFFERED, .code = 2, .encoding = MOLT_GZIP},
    {"a bare poll of an old core is not", .device.fs_start = FS_512K, .device.sketch = THREAD, .device.can = 1,
     .device.fresh = true, .release.len = THREAD, .release.gzip = 200000,
     .ask.bare = true, .reason = MOLT_OLD_CORE, .code = 1},
    /* ---- file systems ---- */
    {"mode spiffs gets only a file-system image", .ask.component = MODEL_FS, .reason = MOLT_WRONG_MODE, .code = 1},
    {"a file-system image goes to who asks for it", .release.fs = true, .release.len = 1 * MB,
     .ask.component = MODEL_FS, .reason = MOLT_OFFERED, .code = 2},
    {"a file-system image never goes to who asks for a sketch", .release.fs = true, .reason = MOLT_NO_IMAGE, .code = 1},
    {"a file-system image longer than the room for it is too large", .release.fs = true, .release.len = 2 * MB,
     .ask.component = MODEL_FS, .reason = MOLT_TOO_LARGE, .code = 1},
    {"a file system that is there already is not sent", .release.fs = true, .ask.component = MODEL_FS,
     .ask.fs_code = 2, .reason = MOLT_UP_TO_DATE, .code = 1},
};
/* clang-format on */

static uint32_t given(uint32_t value, uint32_t usual)
{
    return value == UNKNOWN ? 0 : value == 0 ? usual : value;
}

static void build_world(struct world *world, const struct row *row)
{
    int64_t product = world_product(world, "door", 0);
    if (row->release.none) return;
    enum molt_chip chip = row->release.chip ? row->release.chip : MOLT_CHIP_ESP8266;
    struct model_release *release = world_release(world, product, given(row->release.code, 2));
    release->yanked = row->release.yanked;
    struct model_image *image = world_image(world, chip, given(row->release.len, 300000));
    image->component = row->release.fs ? MODEL_FS : MODEL_APP;
    image->header_flash_size = row->release.header_flash;
    if (row->release.gzip) world_artifact(world, &image->gzip, row->release.gzip);
    if (row->release.is_signed) world_artifact(world, &image->manifest, 250);
    if (row->release.gzip_4k) world_artifact(world, &image->gzip_4k, row->release.gzip_4k);
    if (row->release.second_chip) world_image(world, row->release.second_chip, 1000);
    if (row->release.older_code) {
        world_release(world, product, row->release.older_code);
        world_image(world, chip, row->release.older_len);
    }
}

static void build_device(struct model_device *device, const struct world *world, const struct row *row)
{
    memset(device, 0, sizeof *device);
    memcpy(device->id, "aabbccddeeff", 13);
    device->product_id = row->device.unassigned ? 0 : 1;
    if (row->device.channel) snprintf(device->channel, sizeof device->channel, "%s", row->device.channel);
    if (row->device.core) snprintf(device->core, sizeof device->core, "%s", row->device.core);
    device->held = row->device.held;
    device->gz_refused = row->device.gz_refused;
    bool known = row->device.chip != MOLT_CHIP_MAX;
    if (known) device->chip = row->device.chip ? row->device.chip : MOLT_CHIP_ESP8266;
    if (known) device->chip_source = row->device.chip_set ? MODEL_CHIP_SET : MODEL_CHIP_SAID;
    device->client = row->device.client;
    device->running_code = given(row->device.code, 1);
    device->flash_size = given(row->device.flash_size, 4 * MB);
    device->fs_start = given(row->device.fs_start, 2 * MB);
    device->sketch_size = given(row->device.sketch, 300000);
    device->slot_size = row->device.slot;
    device->can = row->device.can;
    device->gzip_window = row->device.window;
    device->announced_ms = row->device.fresh ? NOW - 23 * HOUR : NOW - 25 * HOUR;
    device->attempt = row->device.attempt;
    device->attempt_reason = row->device.attempt_reason;
    device->attempt_release_id = row->device.attempt ? 1 : 0;
    device->attempt_sends = row->device.sends;
    memcpy(device->attempt_sha256, world->images[0][0].raw.sha256, 32);
    device->has_digest = row->device.knows_digest;
    memcpy(device->digest, world->images[0][0].digest, 32);
}

static void check_offer(const struct row *row, const struct decision *decision)
{
    assert_int_equal(decision->verdict, MOLT_VERDICT_OFFER);
    assert_int_equal(decision->encoding, row->encoding);
    assert_string_equal(decision->detail, "");
    const struct model_image *image = decision->image;
    const struct model_artifact *wanted = row->encoding == MOLT_RAW ? &image->raw : &image->gzip;
    if (row->is_4k) wanted = &image->gzip_4k;
    assert_ptr_equal(decision->artifact, wanted);
}

static void follows_the_rule(void **state)
{
    const struct row *row = *state;
    static struct world world;
    memset(&world, 0, sizeof world);
    build_world(&world, row);
    struct model_device device;
    build_device(&device, &world, row);
    struct decide_ask ask = row->ask;
    ask.has_md5 = row->md5_raw || row->md5_variant;
    memcpy(ask.md5, row->md5_variant ? world.variants[0][0][1] : world.images[0][0].raw.md5, 16);

    struct rules *rules = world_rules(&world);
    struct decision decision;
    decide(rules, &device, &ask, NOW, &decision);
    assert_string_equal(molt_reason_id(decision.reason), molt_reason_id(row->reason));
    assert_int_equal(decide_version_code(&device, &decision), row->code);
    if (row->reason == MOLT_OFFERED) {
        check_offer(row, &decision);
    } else {
        assert_int_equal(decision.verdict, MOLT_VERDICT_NOTHING);
        assert_null(decision.artifact);
        if (row->detail && !strstr(decision.detail, row->detail))
            fail_msg("the detail is \"%s\"", decision.detail);
    }
    rules_destroy(rules);
}

static void the_layout_is_inferred_from_free_space_and_sketch_size(void **state)
{
    (void)state;
    assert_int_equal(decide_infer_fs_start(1781760, 312832), 0x200000); /* a real capture: 4M2M */
    assert_int_equal(decide_infer_fs_start(ROOM, THREAD), FS_512K);
    assert_int_equal(decide_infer_fs_start(0, 312832), 0);
    assert_int_equal(decide_infer_fs_start(1781760, 0), 0);
    assert_int_equal(decide_infer_fs_start(1781761, 312832), 0);     /* never a part of a sector */
    assert_int_equal(decide_infer_fs_start(0xFFFFF000u, 312832), 0); /* no such flash */
    assert_int_equal(decide_esp8266_room(THREAD, FS_512K), ROOM);
    assert_int_equal(decide_esp8266_room(FS_512K + 1, FS_512K), 0);
}

/* ---- variants: which image of one release ---- */

struct variant {
    const char *name;
    uint32_t flash_size, fs_start;
    uint16_t min_revision, header_revision;
};
static const struct variant any = {"", 0, 0, 0, 0}, for_1m = {"1M", 1 * MB, 0, 0, 0},
                            for_4m = {"4M", 4 * MB, 0, 0, 0}, for_4m2m = {"4M2M", 4 * MB, 2 * MB, 0, 0},
                            for_4m3m = {"4M3M", 4 * MB, 1 * MB, 0, 0};

static const char *chosen(enum molt_chip chip, const struct variant *const *variants, uint32_t flash_size,
                          uint32_t fs_start, bool bare)
{
    static struct world world;
    static char name[MODEL_NAME_LEN];
    memset(&world, 0, sizeof world);
    world_release(&world, world_product(&world, "door", 0), 2);
    for (int i = 0; variants[i]; i++) {
        struct model_image *image = world_image(&world, chip, 300000);
        snprintf(image->variant, sizeof image->variant, "%s", variants[i]->name);
        image->variant_flash_size = variants[i]->flash_size;
        image->variant_fs_start = variants[i]->fs_start;
        image->variant_min_revision = variants[i]->min_revision;
        image->min_revision = variants[i]->header_revision;
    }
    struct rules *rules = world_rules(&world);
    struct model_device device = {.product_id = 1, .chip = chip, .chip_source = MODEL_CHIP_SET};
    device.flash_size = flash_size;
    device.fs_start = fs_start;
    const struct decide_ask ask = {.bare = bare};
    struct decision decision;
    decide(rules, &device, &ask, NOW, &decision);
    if (decision.image)
        snprintf(name, sizeof name, "%s", decision.image->variant);
    else
        snprintf(name, sizeof name, "none: %s", molt_reason_id(decision.reason));
    rules_destroy(rules);
    return name;
}

#define CHOSEN(flash, fs, ...)                                                                               \
    chosen(MOLT_CHIP_ESP8266, (const struct variant *const[]){__VA_ARGS__, NULL}, flash, fs, false)

static void the_most_specific_variant_wins(void **state)
{
    (void)state;
    assert_string_equal(CHOSEN(4 * MB, 2 * MB, &any, &for_1m, &for_4m, &for_4m2m), "4M2M");
    assert_string_equal(CHOSEN(4 * MB, 2 * MB, &for_4m2m, &for_4m, &any), "4M2M");
    assert_string_equal(CHOSEN(4 * MB, 3 * MB, &any, &for_1m, &for_4m, &for_4m2m), "4M");
    assert_string_equal(CHOSEN(2 * MB, 1 * MB, &any, &for_1m, &for_4m, &for_4m2m), "");
    assert_string_equal(CHOSEN(4 * MB, 1 * MB, &for_4m2m, &for_4m3m), "4M3M");
}

static void a_variant_that_does_not_match_is_not_sent(void **state)
{
    (void)state;
    assert_string_equal(CHOSEN(1 * MB, 0xEB000, &for_4m), "none: no-image-for-device");
    assert_string_equal(CHOSEN(4 * MB, 3 * MB, &for_4m2m, &for_4m3m), "none: no-image-for-device");
    assert_string_equal(CHOSEN(0, 0, &for_4m), "none: no-image-for-device"); /* not known */
    const struct variant *const only_4m[] = {&for_4m, NULL};
    assert_string_equal(chosen(MOLT_CHIP_ESP8266, only_4m, 0, 0, true), "4M"); /* the .bin request says it */
}

static void a_revision_counts_only_where_the_chip_checks_it(void **state)
{
    (void)state;
    const struct variant rev3 = {"rev3", 0, 0, 300, 300}, rev3_unsaid = {"rev3", 0, 0, 300, 0};
    const struct variant *const with_other[] = {&rev3, &any, NULL}, *const alone[] = {&rev3, NULL},
                                *const unsaid[] = {&rev3_unsaid, NULL};
    assert_string_equal(chosen(MOLT_CHIP_ESP32, with_other, 0, 0, false), "");
    assert_string_equal(chosen(MOLT_CHIP_ESP32, alone, 0, 0, false), "rev3");
    assert_string_equal(chosen(MOLT_CHIP_ESP32, unsaid, 0, 0, false), "none: no-image-for-device");
    assert_string_equal(chosen(MOLT_CHIP_ESP8266, alone, 0, 0, false), "none: no-image-for-device");
}

static void an_announced_release_is_judged_alone(void **state)
{
    (void)state;
    static struct world world;
    memset(&world, 0, sizeof world);
    int64_t product = world_product(&world, "door", 0);
    for (uint32_t code = 2; code <= 4; code++) {
        world_release(&world, product, code);
        world_image(&world, MOLT_CHIP_ESP8266, 1000);
    }
    world.releases[2].yanked = true; /* code 4 */
    struct rules *rules = world_rules(&world);
    struct model_device device = {
        .product_id = 1, .chip = MOLT_CHIP_ESP8266, .chip_source = MODEL_CHIP_SAID, .running_code = 1};
    struct decide_ask ask = {.only = rules_release(rules, 1)};
    struct decision decision;
    decide(rules, &device, &ask, NOW, &decision);
    assert_int_equal(decision.reason, MOLT_OFFERED);
    assert_int_equal(decision.release->code, 2); /* though 3 is newer */
    ask.only = rules_release(rules, 3);
    decide(rules, &device, &ask, NOW, &decision);
    assert_int_equal(decision.reason, MOLT_NO_RELEASE);
    rules_destroy(rules);
}

int main(void)
{
    enum { ROWS = sizeof rows / sizeof rows[0], OTHERS = 5 };
    static struct CMUnitTest tests[ROWS + OTHERS] = {
        cmocka_unit_test(the_layout_is_inferred_from_free_space_and_sketch_size),
        cmocka_unit_test(the_most_specific_variant_wins),
        cmocka_unit_test(a_variant_that_does_not_match_is_not_sent),
        cmocka_unit_test(a_revision_counts_only_where_the_chip_checks_it),
        cmocka_unit_test(an_announced_release_is_judged_alone),
    };
    for (int i = 0; i < ROWS; i++) {
        struct row *row =
            (struct row *)(uintptr_t)&rows[i]; /* cmocka's states are not const; ours is only read */
        tests[OTHERS + i] = (struct CMUnitTest){rows[i].says, follows_the_rule, NULL, NULL, row};
    }
    return cmocka_run_group_tests_name("decide", tests, NULL, NULL);
}
