/* molt_boot_test.c - the very bytes of molt-boot's sector 0 on an lx106 in QEMU, above a stand-in for the chip's ROM:
 * boot, install, trial, way back, a stock sketch's command, sector 0 itself, and power cuts at flash operations.
 * What it does to the flash must be, byte by byte, what the simulator's run of the same core does. */
#include "cmocka_all.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/molt_boot_image.h"
#include "host/pack/pack.h"
#include "image/image.h"
#include "ports/bearssl.h"
#include "sim/flash.h"
#include "sim/molt_boot.h"
#include "slots/in_place.h"
#include "slots/molt_boot.h"
#include "slots/molt_boot_sector.h"
#include "util/bytes.h"
#include "util/crc.h"

#define FS_START 0x20000u /* small, so that a run takes no time */
#include "boot_sketch.h"

#define FLASH_SIZE 0x400000u
#define ORDERS     0x3FF000u
#define EXIT_CUT   42
#define EXIT_NONE  44 /* sector 0 holds no boot stage that the ROM starts */
#define POWER_ON   1u
#define OTHER      2u

enum tear { NOTHING, HALF, ALL };

static char folder[64], flash_path[96];

/* ---- the machine ---- */

static void give_orders(uint32_t cut_at, enum tear tear, uint32_t reset_reason)
{
    uint8_t words[12];
    molt_store32le(words, cut_at);
    molt_store32le(words + 4, (uint32_t)tear);
    molt_store32le(words + 8, reset_reason);
    int fd = open(flash_path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, words, sizeof words, ORDERS), sizeof words);
    close(fd);
}

/* Runs the machine until it ends itself; its exit status, and what it printed. rtc: file with the RTC memory or NULL. */
static int run_machine(const char *rtc, char *said, size_t cap)
{
    int ends[2];
    char drive[160], loader[200];
    snprintf(drive, sizeof drive, "if=pflash,format=raw,file=%s", flash_path);
    snprintf(loader, sizeof loader, "loader,file=%s,addr=0x60001200,force-raw=on",
             rtc != NULL ? rtc : "/dev/null");
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR);
        if (dup2(null, 0) < 0 || dup2(ends[1], 1) < 0) _exit(3);
        close(ends[0]);
        execlp("timeout", "timeout", "600", "qemu-system-xtensa", "-M", "lx60", "-cpu", "lx106", "-m", "1M",
               "-display", "none", "-monitor", "none", "-serial", "stdio", "-semihosting", "-nic", "none",
               "-drive", drive, "-device", "loader,file=" MOLT_ROM_ELF ",cpu-num=0",
               rtc != NULL ? "-device" : NULL, loader, NULL);
        _exit(3);
    }
    close(ends[1]);
    size_t len = 0;
    ssize_t n;
    char buf[256];
    while ((n = read(ends[0], buf, sizeof buf)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            if (len + 1 < cap) said[len++] = buf[i];
        }
    }
    said[len] = '\0';
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* One boot that is not cut, and what it must print: 'M', phase, '.', then the sketch's letter. */
static void expect_boot(uint32_t reason, const char *wanted)
{
    char said[256];
    give_orders(0, NOTHING, reason);
    assert_int_equal(run_machine(NULL, said, sizeof said), 0);
    assert_string_equal(said, wanted);
}

/* ---- the device ---- */

static bool is_signed,
    is_signed_wrongly; /* what is committed has a maker's digest, and a second stage to check it */

static void open_flash(struct sim_flash *flash)
{
    assert_int_equal(
        sim_flash_open(flash, &(struct sim_flash_config){.size = FLASH_SIZE, .path = flash_path}), 0);
}

static void fresh(const struct image *sketch)
{
    struct sim_flash flash;
    unlink(flash_path);
    open_flash(&flash);
    sim_flash_program(&flash, 0, sketch->bytes, sketch->len);
    sim_flash_close(&flash);
}

static void digest_of(const uint8_t *data, uint32_t len, uint8_t digest[MOLT_SHA256_LEN])
{
    struct molt_hash hash = {.ops = &molt_bearssl_sha256};
    hash.ops->init(&hash.state);
    hash.ops->update(&hash.state, data, len);
    hash.ops->finish(&hash.state, digest);
}

static void commit(const struct image *new)
{
    struct sim_flash flash;
    struct molt_boot_slots boot;
    struct molt_target target;
    open_flash(&flash);
    uint8_t digest[MOLT_SHA256_LEN];
    digest_of(new->bytes, new->len, digest);
    digest[0] ^= is_signed_wrongly;
    assert_int_equal(molt_boot_slots_begin(&boot, &flash.port, &molt_bearssl_sha256), 0);
    if (is_signed) boot.second = molt_boot_second(&boot.second_len);
    assert_int_equal(boot.slots.ops->target(&boot.slots, new->len, 0, MOLT_RAW, &target), 0);
    if (is_signed) target.signed_digest = digest;
    sim_flash_program(&flash, target.off, new->bytes, new->len);
    int rc;
    while ((rc = boot.slots.ops->commit_step(&boot.slots, &target, new->len)) == MOLT_MORE)
        continue;
    assert_int_equal(rc, MOLT_DONE);
    sim_flash_close(&flash);
}

static void confirm(void)
{
    struct sim_flash flash;
    struct molt_boot_slots boot;
    open_flash(&flash);
    assert_int_equal(molt_boot_slots_begin(&boot, &flash.port, &molt_bearssl_sha256), 0);
    assert_int_equal(boot.slots.ops->confirm_step(&boot.slots), MOLT_DONE);
    sim_flash_close(&flash);
}

static void expect_runs(const struct image *image)
{
    struct sim_flash flash;
    open_flash(&flash);
    assert_memory_equal(flash.bytes + MOLT_SECTOR, image->bytes + MOLT_SECTOR, image->len - MOLT_SECTOR);
    sim_flash_close(&flash);
}

/* ---- tests ---- */

static struct image a, b, large;

static void sector_0_boots_the_sketch(void **state)
{
    (void)state;
    fresh(&a);
    expect_boot(POWER_ON, "M-.\nA\n");
    struct sim_flash flash;
    open_flash(&flash);
    uint8_t sector[MOLT_SECTOR];
    molt_boot_image_sector(sector, 2, 0x40, FS_START);
    assert_memory_equal(flash.bytes, sector, sizeof sector);
    sim_flash_close(&flash);
}

static void a_committed_image_is_installed_and_stays_when_it_is_confirmed(void **state)
{
    (void)state;
    fresh(&a);
    commit(&b);
    expect_boot(OTHER, "MD.\nB\n");
    expect_runs(&b);
    confirm();
    expect_boot(OTHER, "MI.\nB\n");
    expect_boot(POWER_ON, "MI.\nB\n");
}

static void an_image_that_is_not_confirmed_goes_back(void **state)
{
    (void)state;
    fresh(&a);
    commit(&large); /* larger than half of what there is */
    for (int i = 0; i < 3; i++)
        expect_boot(OTHER, "MD.\nL\n");
    expect_boot(OTHER, "MJ.\nA\n");
    expect_runs(&a);
}

static void power_cuts_are_no_failures_of_the_image(void **state)
{
    (void)state;
    fresh(&a);
    commit(&b);
    for (int i = 0; i < 4; i++)
        expect_boot(POWER_ON, "MD.\nB\n");
    expect_boot(POWER_ON, "MJ.\nA\n");
}

/* The second stage's own bytes run, in RAM; it says yes and no. */
static void the_second_stage_checks_what_the_maker_signed(void **state)
{
    (void)state;
    is_signed = is_signed_wrongly = true;
    fresh(&a);
    commit(&b);
    expect_boot(OTHER, "MK.\nA\n");
    expect_runs(&a);
    is_signed_wrongly = false;
    commit(&b);
    expect_boot(OTHER, "MD.\nB\n");
    expect_boot(POWER_ON, "MD.\nB\n");
    struct sim_flash flash;
    open_flash(&flash);
    flash.bytes[FS_START - MOLT_BOOT_KEEP_LEN - MOLT_SECTOR + 8] ^= 1; /* a bit of its code */
    sim_flash_close(&flash);
    expect_boot(POWER_ON, "MJ.\nA\n");
    expect_runs(&a);
    is_signed = false;
}

/* What is committed, installed by the chip, which says so, and by the simulator: the flash is the same afterwards. */
static void same_on_both(const char *wanted)
{
    static uint8_t before[FLASH_SIZE], chip[FLASH_SIZE];
    struct sim_flash flash;
    give_orders(0, NOTHING, OTHER);
    open_flash(&flash);
    memcpy(before, flash.bytes, FLASH_SIZE);
    sim_flash_close(&flash);
    expect_boot(OTHER, wanted);
    open_flash(&flash);
    memcpy(chip, flash.bytes, FLASH_SIZE);
    sim_flash_program(&flash, 0, before, FLASH_SIZE);
    sim_flash_close(&flash);

    struct sim_rtc rtc;
    struct sim_molt_boot_result result;
    sim_rtc_power_on(&rtc);
    open_flash(&flash);
    sim_molt_boot_run(&flash.port, &rtc, MOLT_BOOT_RESET, &result);
    assert_true(result.rc == 0 && result.started);
    assert_memory_equal(flash.bytes, chip, FLASH_SIZE);
    sim_flash_close(&flash);
}

static void the_chip_does_to_the_flash_what_the_simulator_does(void **state)
{
    (void)state;
    is_signed = true;
    fresh(&a);
    commit(&large);
    is_signed = false;
    same_on_both("MD.\nL\n");
}

static void write_rtc(const char *path, const struct molt_eboot_command *command)
{
    uint8_t raw[MOLT_EBOOT_COMMAND_LEN];
    molt_eboot_command_encode(raw, command);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, raw, sizeof raw), sizeof raw);
    close(fd);
}

static void a_stock_sketchs_command_copies_its_image_but_keeps_sector_0(void **state)
{
    (void)state;
    char rtc[96], said[256];
    struct sim_flash flash;
    fresh(&a);
    open_flash(&flash);
    static struct image stock;
    stock = b;
    memset(stock.bytes + 4, 0x77, 4000); /* another boot stage */
    const uint32_t off = FS_START - molt_round_up(stock.len, MOLT_SECTOR);
    sim_flash_program(&flash, off, stock.bytes, stock.len);
    sim_flash_close(&flash);
    snprintf(rtc, sizeof rtc, "%s/rtc", folder);
    write_rtc(rtc, &(struct molt_eboot_command){MOLT_EBOOT_COPY_RAW, off, 0, stock.len});
    give_orders(0, NOTHING, OTHER);
    assert_int_equal(run_machine(rtc, said, sizeof said), 0);
    assert_string_equal(said, "M-.\nB\n");
    expect_runs(&b);
    expect_boot(POWER_ON, "M-.\nB\n");
}

/* ---- in place: the second stage's own bytes decode a pack, and write it over what runs ---- */

static void commit_in_place(const struct image *was, const struct image *new, bool is_right)
{
    struct sim_flash flash;
    struct molt_boot_slots boot;
    struct molt_in_place_slots in_place;
    struct molt_target target;
    uint8_t *pack, digest[MOLT_SHA256_LEN], running[MOLT_SHA256_LEN];
    size_t pack_len;
    const struct pack_job how = {
        .data = new->bytes, .len = new->len, .base = was->bytes, .base_len = was->len, .in_place = true};
    assert_int_equal(pack_encode(&how, &pack, &pack_len, NULL), 0);
    if (!is_right) pack[pack_len - 9] ^= 1;
    digest_of(new->bytes, new->len, digest);
    digest_of(was->bytes + MOLT_SECTOR, was->len - MOLT_SECTOR, running);
    struct molt_job job = {.image_len = new->len, .signed_digest = digest, .running_digest = running};
    open_flash(&flash);
    assert_int_equal(molt_boot_slots_begin(&boot, &flash.port, &molt_bearssl_sha256), 0);
    boot.second = molt_boot_second_in_place(&boot.second_len);
    molt_in_place_slots_begin(&in_place, &boot);
    assert_int_equal(in_place.bind(&in_place, &job), 0);
    assert_int_equal(job.slots->ops->target(job.slots, (uint32_t)pack_len, 0, MOLT_RAW, &target), 0);
    sim_flash_program(&flash, target.off, pack, (uint32_t)pack_len);
    int rc;
    while ((rc = job.slots->ops->commit_step(job.slots, &target, (uint32_t)pack_len)) == MOLT_MORE)
        continue;
    assert_int_equal(rc, MOLT_DONE);
    sim_flash_close(&flash);
    free(pack);
}

static void a_pack_is_written_over_what_runs(void **state)
{
    (void)state;
    static struct image c;
    char said[256];
    make_sketch(&c, 'C', 0x8200); /* two frames */
    fresh(&a);
    commit_in_place(&a, &c, false);
    expect_boot(OTHER, "MK.\nA\n");
    expect_runs(&a);
    commit_in_place(&a, &c, true);
    same_on_both("MM.\nC\n");
    expect_runs(&c);
    confirm();
    commit_in_place(&c, &b, true);
    for (uint32_t cut = 9; cut < 100; cut += 13) { /* each time that many operations further */
        give_orders(cut, (enum tear)(cut % 3), OTHER);
        int status = run_machine(NULL, said, sizeof said);
        if (status == 0) break;
        assert_int_equal(status, EXIT_CUT);
    }
    expect_boot(POWER_ON, "MM.\nB\n");
    expect_runs(&b);
}

/* ---- sector 0 itself ---- */

/* A sketch with another boot stage in front: the same code without the trailer, which keeps nothing. */
static void make_plain(struct image *plain, const struct image *of)
{
    *plain = *of;
    memset(plain->bytes + MOLT_SECTOR - 16, 0xAA, 16);
}

/* A raw copy to 0 that takes the boot stage along: "moltREPL". */
static void write_replacing_command(const char *path, const struct image *image, uint32_t off)
{
    uint8_t raw[MOLT_EBOOT_COMMAND_LEN];
    molt_eboot_command_encode(raw, &(struct molt_eboot_command){MOLT_EBOOT_COPY_RAW, off, 0, image->len});
    molt_store32le(raw + 20, MOLT_BOOT_REPLACE_0);
    molt_store32le(raw + 24, MOLT_BOOT_REPLACE_1);
    molt_store32le(raw + 124, molt_crc32_msb(MOLT_CRC_MSB_INIT, raw, 124));
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, raw, sizeof raw), sizeof raw);
    close(fd);
}

/* Stages image as a stock sketch would; what the machine then says and how it ends. */
static int replace_by_command(const struct image *image, uint32_t cut_at, enum tear tear, char said[256])
{
    char rtc[96];
    struct sim_flash flash;
    const uint32_t off = FS_START - molt_round_up(image->len, MOLT_SECTOR);
    open_flash(&flash);
    sim_flash_program(&flash, off, image->bytes, image->len);
    sim_flash_close(&flash);
    snprintf(rtc, sizeof rtc, "%s/rtc", folder);
    write_replacing_command(rtc, image, off);
    give_orders(cut_at, tear, OTHER);
    return run_machine(rtc, said, 256);
}

static void expect_sector_0(const struct image *image)
{
    struct sim_flash flash;
    open_flash(&flash);
    assert_memory_equal(flash.bytes, image->bytes, MOLT_SECTOR);
    sim_flash_close(&flash);
}

/* A sketch with Arduino's own boot stage in front, as it ships (tools/stock_eboot). */
static void make_stock(struct image *stock, const struct image *of)
{
    *stock = *of;
    int fd = open(MOLT_EBOOT, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, stock->bytes, MOLT_SECTOR), MOLT_SECTOR);
    close(fd);
}

/* Says something of its own, then starts the sketch. */
static void expect_eboot(const char *letter)
{
    char said[256];
    give_orders(0, NOTHING, POWER_ON);
    assert_int_equal(run_machine(NULL, said, sizeof said), 0);
    assert_true(strlen(said) > 2 && said[0] != 'M');
    assert_string_equal(said + strlen(said) - 2, letter);
}

static void replace_by_libmolt(const struct image *image)
{
    struct sim_flash flash;
    open_flash(&flash);
    assert_int_equal(molt_boot_sector_replace(&flash.port, (const uint32_t *)(const void *)image->bytes), 0);
    sim_flash_close(&flash);
}

static void from_arduinos_eboot_to_molt_boot_and_back(void **state)
{
    (void)state;
    static struct image stock_a, stock_b;
    char said[256];
    make_stock(&stock_a, &a);
    make_stock(&stock_b, &b);
    fresh(&stock_a);
    expect_eboot("A\n");
    assert_int_equal(replace_by_command(&b, 0, NOTHING, said), 0); /* eboot does not look at the two words */
    assert_string_equal(said + strlen(said) - 2, "B\n");
    expect_sector_0(&b);
    expect_boot(POWER_ON, "M-.\nB\n");
    commit(&large);
    expect_boot(OTHER, "MD.\nL\n");
    confirm();
    assert_int_equal(replace_by_command(&stock_b, 0, NOTHING, said), 0);
    assert_string_equal(said, "M-.\nB\n"); /* what a stock sketch stages lies over the keep sectors */
    expect_sector_0(&stock_b);
    expect_eboot("B\n");

    replace_by_libmolt(&b); /* and without an update of the sketch */
    expect_boot(POWER_ON, "M-.\nB\n");
    commit(&a);
    expect_boot(OTHER, "MD.\nA\n");
    confirm();
    replace_by_libmolt(&stock_b);
    expect_eboot("A\n");
}

/* A power cut there, and only there, leaves a chip that does not start. */
static void the_window_is_one_erase_and_sixteen_pages(void **state)
{
    (void)state;
    const uint32_t first =
        (b.len - 1) / MOLT_SECTOR * 17 + 1; /* the sketch was copied before: sector 0 is the last */
    static const struct {
        uint32_t after;
        enum tear tear;
        int ends;
    } cuts[] = {
        {0, NOTHING, 0},     {0, HALF, EXIT_NONE}, {0, ALL, EXIT_NONE},      {1, HALF, EXIT_NONE},
        {1, ALL, EXIT_NONE}, {8, ALL, EXIT_NONE},  {15, NOTHING, EXIT_NONE}, {16, ALL, 0},
    };
    static struct image plain_a;
    char said[256];
    make_plain(&plain_a, &a);
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
        fresh(&plain_a);
        assert_int_equal(replace_by_command(&b, first + cuts[i].after, cuts[i].tear, said), EXIT_CUT);
        expect_runs(&b);
        give_orders(0, NOTHING, POWER_ON);
        assert_int_equal(run_machine(NULL, said, sizeof said), cuts[i].ends);
        if (cuts[i].ends == 0) assert_string_equal(said, "M-.\nB\n");
    }
}

/* The whole way, to the trial and back again, with a cut at every step-th operation and each kind of tear. */
static void cut_all_the_way(uint32_t step, enum tear tear)
{
    char said[256];
    unsigned cuts = 0;
    fresh(&a);
    commit(&large);
    bool tried = false;
    for (unsigned boots = 0; boots < 200; boots++) {
        give_orders(step + cuts * 7 % 13, tear, OTHER);
        int status = run_machine(NULL, said, sizeof said);
        if (status == EXIT_CUT) {
            cuts++;
            continue;
        }
        assert_int_equal(status, 0);
        if (strcmp(said, "MD.\nL\n") == 0) tried = true;
        if (strcmp(said, "MJ.\nA\n") == 0) break;
        assert_string_equal(said, "MD.\nL\n");
    }
    assert_string_equal(said, "MJ.\nA\n");
    assert_true(tried && cuts >= 4);
    expect_runs(&a);
}

static void a_run_that_is_cut_again_and_again_gets_there(void **state)
{
    (void)state;
    cut_all_the_way(41, NOTHING);
    cut_all_the_way(43, HALF);
    cut_all_the_way(47, ALL);
}

static int begin(void **state)
{
    (void)state;
    load_app();
    make_sketch(&a, 'A', 0x2FF0);
    make_sketch(&b, 'B', 0x4120);
    make_sketch(&large, 'L', 0xE000);
    assert_true(large.len > (FS_START - MOLT_BOOT_KEEP_LEN) / 2);
    snprintf(folder, sizeof folder, "/tmp/molt-qemu-boot-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(flash_path, sizeof flash_path, "%s/flash", folder);
    return 0;
}

static int end(void **state)
{
    (void)state;
    char rtc[96];
    snprintf(rtc, sizeof rtc, "%s/rtc", folder);
    unlink(rtc);
    unlink(flash_path);
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sector_0_boots_the_sketch),
        cmocka_unit_test(a_committed_image_is_installed_and_stays_when_it_is_confirmed),
        cmocka_unit_test(an_image_that_is_not_confirmed_goes_back),
        cmocka_unit_test(power_cuts_are_no_failures_of_the_image),
        cmocka_unit_test(the_second_stage_checks_what_the_maker_signed),
        cmocka_unit_test(the_chip_does_to_the_flash_what_the_simulator_does),
        cmocka_unit_test(a_pack_is_written_over_what_runs),
        cmocka_unit_test(a_stock_sketchs_command_copies_its_image_but_keeps_sector_0),
        cmocka_unit_test(from_arduinos_eboot_to_molt_boot_and_back),
        cmocka_unit_test(the_window_is_one_erase_and_sixteen_pages),
        cmocka_unit_test(a_run_that_is_cut_again_and_again_gets_there),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
