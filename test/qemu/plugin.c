/* plugin.c - a QEMU plugin for tests: pulls the plug at an exact flash operation (cut=N), or watches whether the code
 * keeps the rules of the ESP8266's buses (out=FILE; one line a violation, then totals). Must not change what the guest does.
 * Source of the declarations: QEMU 7.2 include/qemu/qemu-plugin.h, which Debian does not package. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint64_t plugin_id;
typedef void (*mem_callback)(unsigned cpu, uint32_t info, uint64_t address, void *data);
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, void (*cb)(plugin_id id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, mem_callback cb, int flags, int rw,
                                      void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
unsigned qemu_plugin_mem_size_shift(uint32_t info);
bool qemu_plugin_mem_is_store(uint32_t info);

int qemu_plugin_version = 1;
int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

#define READ_AND_WRITE 3
#define SHOWN_MAX      100u

static uint32_t flash_start, flash_end;
static uint64_t cut_at, operations;
static bool last_was_store;
static FILE *out;
static uint64_t accesses, violations;

/* An operation begins where a store to the flash follows a load from it: a status was polled, or data read. So a cut comes
 * before and after each time that the chip commits something. */
static void watch_flash(uint32_t address, bool store)
{
    if (address < flash_start || address >= flash_end) return;
    if (store && !last_was_store && ++operations == cut_at) _exit(42);
    last_was_store = store;
}

static const char *broken_rule(uint32_t address, bool store, unsigned size)
{
    if (address >= 0x40000000u && address < 0x40400000u && size < 4)
        return "instruction memory takes words only";
    if (address >= 0x40200000u && address < 0x40300000u && store) return "mapped flash cannot be stored to";
    if (address >= 0x40108000u && address < 0x4010C000u) return "beyond the 32 KB of instruction RAM";
    if (address >= 0x3FF00000u && address < 0x3FFE8000u) return "below the 80 KB of data RAM";
    if (address >= 0x3FFFC000u && address < 0x40000000u) return "above the 80 KB of data RAM";
    return NULL;
}

static void watch_bus(uint32_t pc, uint32_t address, bool store, unsigned size)
{
    if (pc < 0x40100000u || pc >= 0x40300000u) return; /* the stand-in for the ROM */
    if (pc >= 0x4010B000u && pc < 0x40110000u) return; /* the boot stage, also its second: the stack is the ROM's */
    accesses++;
    const char *rule = broken_rule(address, store, size);
    if (rule == NULL || violations++ >= SHOWN_MAX) return;
    fprintf(out, "violation: pc %08x %s of %u bytes at %08x: %s\n", pc, store ? "store" : "load", size,
            address, rule);
}

static void on_access(unsigned cpu, uint32_t info, uint64_t address, void *pc)
{
    (void)cpu;
    const bool store = qemu_plugin_mem_is_store(info);
    watch_flash((uint32_t)address, store);
    if (out == NULL) return;
    watch_bus((uint32_t)(uintptr_t)pc, (uint32_t)address, store, 1u << qemu_plugin_mem_size_shift(info));
    if ((accesses & 0xFFFFF) == 1) { /* the machine is killed, so the totals are written as it goes */
        fprintf(out, "accesses %llu violations %llu\n", (unsigned long long)accesses,
                (unsigned long long)violations);
        (void)fflush(out);
    }
}

static void on_translation(plugin_id id, struct qemu_plugin_tb *tb)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        qemu_plugin_register_vcpu_mem_cb(insn, on_access, 0, READ_AND_WRITE,
                                         (void *)(uintptr_t)qemu_plugin_insn_vaddr(insn));
    }
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "cut=", 4) == 0) cut_at = strtoull(argv[i] + 4, NULL, 0);
        if (strncmp(argv[i], "flash=", 6) == 0) flash_start = (uint32_t)strtoull(argv[i] + 6, NULL, 0);
        if (strncmp(argv[i], "out=", 4) == 0) out = fopen(argv[i] + 4, "w");
    }
    flash_end = flash_start + 0x400000u;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    return 0;
}
