/* update_cost_test.c - how many erases and page programs updates cost, log records included, against the least that
 * any update can do: the image's own, with the largest aligned erases. By bytes, which are what wears flash and takes
 * time, and by operations: there it is the least and the log's own, no other. */
#include "cmocka_all.h"

#include <stdio.h>
#include <stdlib.h>

#include "chip_rig.h"
#include "host/molt_boot_image.h"
#include "util/bytes.h"

#define PAGE    256u /* what a flash chip programs at once */
#define UPDATES 6

static struct rig rig;
static uint64_t programs, log_programs, erased, erase_count, log_erases;
static uint32_t log_off;

static int count(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)ctx;
    bool is_log = off >= log_off && off < log_off + MOLT_LOG_LEN;
    if (op == SIM_FLASH_WRITE) programs += (off + len - 1) / PAGE - off / PAGE + 1;
    if (op == SIM_FLASH_WRITE && is_log) log_programs++;
    if (op == SIM_FLASH_ERASE) {
        erased += len;
        erase_count++;
        log_erases += is_log;
    }
    return 0;
}

/* Erases of a place with the largest that fit: no order of them needs fewer. */
static uint64_t least_erases(const struct molt_flash *flash, uint32_t off, uint32_t end)
{
    uint64_t n = 0;
    for (; off < end; n++) {
        uint32_t len = MOLT_SECTOR;
        for (unsigned i = 1; i < MOLT_ERASE_SIZES && flash->erase_sizes[i] != 0; i++)
            if (off % flash->erase_sizes[i] == 0 && end - off >= flash->erase_sizes[i])
                len = flash->erase_sizes[i];
        off += len;
    }
    return n;
}

static void updates_cost_little_more_than_the_image(const char *layout, enum molt_chip chip, uint32_t len)
{
    struct rig_blob images[UPDATES + 1];
    uint8_t digest[UPDATES + 1][MOLT_SHA256_LEN];
    for (unsigned i = 0; i <= UPDATES; i++) {
        images[i] = rig_image(chip, len, i + 1, 4u << 20);
        rig_sha256(&images[i], digest[i]);
    }
    rig_open(&rig, sim_layout_find(layout), chip, 4);
    rig_factory(&rig, images[0].data, images[0].len);
    programs = log_programs = erased = erase_count = log_erases = 0;
    uint64_t least_programs = 0, least_erased = 0, least_count = 0;
    for (unsigned n = 1; n <= UPDATES; n++) {
        struct rig_file file = rig_raw(&images[n]);
        file.digest = digest[n];
        struct molt_job job = rig_job(&rig, &file);
        assert_int_equal(molt_begin(&rig.update, &job), 0);
        assert_true(rig.update.can_resume);
        log_off = rig.update.target.scratch_off;
        uint64_t commit = rig.chip == MOLT_CHIP_ESP8266 ? 0 : 1;
        rig.flash.hook = count;
        assert_int_equal(rig_update(&rig, &file, 0), MOLT_READY);
        rig.flash.hook = NULL;
        programs -= commit; /* the switch is not the download */
        erased -= commit * MOLT_SECTOR;
        erase_count -= commit;
        const uint32_t off = rig.update.target.off,
                       sectors = molt_round_up((uint32_t)images[n].len, MOLT_SECTOR);
        least_count += least_erases(&rig.flash.port, off, off + sectors);
        least_programs += (images[n].len + PAGE - 1) / PAGE;
        least_erased += (images[n].len + MOLT_SECTOR - 1) / MOLT_SECTOR * MOLT_SECTOR;
        rig_reset(&rig);
        assert_int_equal(rig_run(&rig, rig.slots->ops->confirm_step), MOLT_DONE);
    }
    printf("%s, %u KB: programs %.2f %% and erased bytes %.2f %% above the least; %.1f erases an update, "
           "%.2f of them the log's\n",
           layout, len >> 10, 100.0 * (double)(programs - least_programs) / (double)least_programs,
           100.0 * (double)(erased - least_erased) / (double)least_erased, (double)erase_count / UPDATES,
           (double)log_erases / UPDATES);
    assert_true(programs * 100 <= least_programs * 107);
    assert_true(erased * 100 <= least_erased * 101);
    assert_true(log_programs >= UPDATES * (uint64_t)(len / MOLT_SECTOR));
    assert_int_equal(erase_count, least_count + log_erases);
    assert_true(log_erases <= log_programs * MOLT_LOG_RECORD_LEN / MOLT_SECTOR);
    rig_close(&rig);
    for (unsigned i = 0; i <= UPDATES; i++)
        free(images[i].data);
}

static void an_esp32_s_updates_cost_little_more_than_the_image(void **state)
{
    (void)state;
    updates_cost_little_more_than_the_image("esp32-4M", MOLT_CHIP_ESP32, 400u << 10);
    updates_cost_little_more_than_the_image("esp32-4M", MOLT_CHIP_ESP32, 1000u << 10);
}

static void an_esp8266_s_updates_cost_little_more_than_the_image(void **state)
{
    (void)state;
    updates_cost_little_more_than_the_image("4M2M", MOLT_CHIP_ESP8266, 250u << 10);
    updates_cost_little_more_than_the_image("4M2M", MOLT_CHIP_ESP8266, 400u << 10);
}

/* ---- what comes behind the download ---- */

static struct install {
    uint64_t erases, programs;
    bool downloads; /* what goes to its place and to the log is not the install's */
} install;

static int count_install(void *ctx, enum sim_flash_op op, uint32_t off, uint32_t len)
{
    (void)ctx;
    const struct molt_target *target = &rig.update.target;
    bool is_download = off - target->off < target->cap || off - target->scratch_off < MOLT_LOG_LEN;
    if (install.downloads && is_download) return 0;
    if (op == SIM_FLASH_WRITE) install.programs += (off + len - 1) / PAGE - off / PAGE + 1;
    if (op == SIM_FLASH_ERASE) install.erases++;
    return 0;
}

/* 400 KB over 400 KB: commit, what the boot stage does at the next start, confirm. */
static void install_one(const char *layout, enum molt_chip chip, bool has_molt_boot, unsigned erase_ops,
                        unsigned program_ops)
{
    struct rig_blob was = rig_image(chip, 400u << 10, 1, 4u << 20),
                    is = rig_image(chip, 400u << 10, 2, 4u << 20);
    const uint32_t fs_start = sim_layout_find(layout)->fs_start;
    if (has_molt_boot) assert_int_equal(molt_boot_image_set(was.data, was.len, fs_start), 0);
    if (has_molt_boot) assert_int_equal(molt_boot_image_set(is.data, is.len, fs_start), 0);
    rig_open(&rig, sim_layout_find(layout), chip, 4);
    rig_factory(&rig, was.data, was.len);
    const struct rig_file file = rig_raw(&is);
    install = (struct install){.downloads = true};
    rig.flash.hook = count_install;
    assert_int_equal(rig_update(&rig, &file, 0), MOLT_READY);
    install.downloads = false;
    rig_reset(&rig);
    assert_int_equal(rig_run(&rig, rig.slots->ops->confirm_step), MOLT_DONE);
    rig.flash.hook = NULL;
    assert_true(rig_runs(&rig, is.data, is.len));
    assert_int_equal(install.erases, erase_ops);
    assert_int_equal(install.programs, program_ops);
    rig_close(&rig);
    free(was.data);
    free(is.data);
}

static void an_install_costs_what_the_page_says(void **state)
{
    (void)state;
    install_one("esp32-4M", MOLT_CHIP_ESP32, false, 3, 3);
    install_one("4M2M", MOLT_CHIP_ESP8266, false, 100, 1600);
    install_one("4M2M", MOLT_CHIP_ESP8266, true, 199, 3375);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_esp32_s_updates_cost_little_more_than_the_image),
        cmocka_unit_test(an_esp8266_s_updates_cost_little_more_than_the_image),
        cmocka_unit_test(an_install_costs_what_the_page_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
