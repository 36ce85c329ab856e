/* plugin.c - a QEMU plugin for tests: pulls the plug at an exact flash operation (cut=N); writes down what
 * each of them leaves in flash (journal=FILE, from=the flash's file), so that the flash after any of them
 * can be had again; watches whether the code keeps the rules of the ESP8266's buses (out=FILE; one line a
 * violation, then totals); or counts instructions by address (profile=FILE, code=start of 4 MB;
 * marks=ADDRESS:ADDRESS...: each time one of these runs, "mark ADDRESS" and the counts so far). Must not
 * change what the guest does. Source of the declarations: QEMU 7.2 include/qemu/qemu-plugin.h, which
 * Debian does not package. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
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

void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *insn, int add_u64, void *counter,
                                                uint64_t by);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
                                            void (*cb)(unsigned cpu, void *data), int flags, void *data);

int qemu_plugin_version = 1;
int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv);

#define READ_AND_WRITE 3
#define LINE           2048u /* the most that the flash changes at once, aligned */
#define COMMANDS_MAX   2u    /* stores in a row that are commands alone; more of them carry data */
#define SHOWN_MAX      100u
#define CODE_LEN       0x400000u
#define MARKS_MAX      8u

static uint32_t flash_start, flash_end;
static uint64_t cut_at, operations;
static bool last_was_store;
static FILE *out;
static int journal = -1, flash_file = -1;
static unsigned stores_in_row;
static uint32_t last_address;
static uint64_t accesses, violations;
static FILE *profile;
static uint32_t code_start, marks[MARKS_MAX];
static size_t mark_count;
static uint64_t counts[CODE_LEN / 2]; /* no instruction is shorter than two bytes */

/* Data went to the flash, and the flash has taken it: writes down where, and what the whole line holds
 * now. */
static void note_change(void)
{
    struct {
        uint32_t offset;
        uint8_t bytes[LINE];
    } change = {.offset = (last_address - flash_start) & ~(LINE - 1)};
    if (pread(flash_file, change.bytes, LINE, change.offset) != LINE) _exit(43);
    if (write(journal, &change, sizeof change) != sizeof change) _exit(43);
}

/* An operation begins where a store to the flash follows a load from it: a status was polled, or data
 * read. So a cut comes before and after each time that the chip commits something. */
static void watch_flash(uint32_t address, bool store)
{
    if (address < flash_start || address >= flash_end) return;
    if (store && !last_was_store) {
        if (++operations == cut_at) _exit(42);
        if (journal >= 0 && stores_in_row > COMMANDS_MAX) note_change();
        stores_in_row = 0;
    }
    if (store) {
        stores_in_row++;
        last_address = address;
    }
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
    if (pc >= 0x4010B000u && pc < 0x40110000u)
        return; /* the boot stage, also its second: the stack is the ROM's */
    accesses++;
    const char *rule = broken_rule(address, store, size);
    if (rule == NULL || violations++ >= SHOWN_MAX) return;
    fprintf(out, "violation: pc %08x %s of %u bytes at %08x: %s\n", pc, store ? "store" : "load", size,
            address, rule);
    (void)fflush(out);
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

static void on_mark(unsigned cpu, void *address)
{
    (void)cpu;
    fprintf(profile, "mark %08x\n", (uint32_t)(uintptr_t)address);
    for (uint32_t i = 0; i < CODE_LEN / 2; i++) {
        if (counts[i] != 0)
            fprintf(profile, "%08x %llu\n", code_start + 2 * i, (unsigned long long)counts[i]);
    }
    fprintf(profile, "end\n");
    (void)fflush(profile);
}

static void count(struct qemu_plugin_insn *insn, uint32_t address)
{
    if (address - code_start < CODE_LEN)
        qemu_plugin_register_vcpu_insn_exec_inline(insn, 0, &counts[(address - code_start) / 2], 1);
    for (size_t i = 0; i < mark_count; i++) {
        if (marks[i] == address)
            qemu_plugin_register_vcpu_insn_exec_cb(insn, on_mark, 0, (void *)(uintptr_t)address);
    }
}

static void on_translation(plugin_id id, struct qemu_plugin_tb *tb)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++) {
        struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
        if (profile != NULL) {
            count(insn, (uint32_t)qemu_plugin_insn_vaddr(insn));
            continue;
        }
        qemu_plugin_register_vcpu_mem_cb(insn, on_access, 0, READ_AND_WRITE,
                                         (void *)(uintptr_t)qemu_plugin_insn_vaddr(insn));
    }
}

static void read_marks(char *text)
{
    for (char *word = strtok(text, ":"); word != NULL && mark_count < MARKS_MAX; word = strtok(NULL, ":"))
        marks[mark_count++] = (uint32_t)strtoull(word, NULL, 16);
}

int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv)
{
    (void)info;
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "cut=", 4) == 0) cut_at = strtoull(argv[i] + 4, NULL, 0);
        if (strncmp(argv[i], "flash=", 6) == 0) flash_start = (uint32_t)strtoull(argv[i] + 6, NULL, 0);
        if (strncmp(argv[i], "out=", 4) == 0) out = fopen(argv[i] + 4, "w");
        if (strncmp(argv[i], "journal=", 8) == 0)
            journal = open(argv[i] + 8, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        if (strncmp(argv[i], "from=", 5) == 0) flash_file = open(argv[i] + 5, O_RDONLY | O_CLOEXEC);
    }
    for (int i = 0; i < argc; i++) {
        if (strncmp(argv[i], "profile=", 8) == 0) profile = fopen(argv[i] + 8, "w");
        if (strncmp(argv[i], "code=", 5) == 0) code_start = (uint32_t)strtoull(argv[i] + 5, NULL, 0);
        if (strncmp(argv[i], "marks=", 6) == 0) read_marks(argv[i] + 6);
    }
    flash_end = flash_start + 0x400000u;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    return 0;
}
