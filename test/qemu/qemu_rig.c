/* qemu_rig.c - processes, flash contents and waiting for the QEMU tests (qemu_rig.h). */
#include "qemu_rig.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util/bytes.h"

#define ARGS_MAX  40
#define RV32_BANK (32L << 20)
#define FED       "xp /1wx 0x600012c0" /* boards/qemu_lx106/target.h */
#define FEED_MS   5000                 /* a device that did not feed for so long is reset */
#define LOOK_MS   500                  /* ... and is looked at so often */

#define RESULT_LINES 50 /* of a device's agent, until the server has its report */

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- processes ---- */

void rig_start(struct rig *rig, struct rig_talker *talker, const char *const args[])
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    (void)fflush(stdout);
    talker->pid = fork();
    assert_true(talker->pid >= 0);
    if (talker->pid == 0) {
        int null = open("/dev/null", O_RDONLY);
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that is killed leaves nothing running */
        if (dup2(null, 0) < 0 || dup2(ends[1], 1) < 0 || dup2(ends[1], 2) < 0) _exit(3);
        execvp(args[0], (char *const *)(uintptr_t)args);
        _exit(3);
    }
    close(ends[1]);
    talker->fd = ends[0];
    if (talker->log == NULL) talker->log = calloc(1, 1);
    for (size_t i = 0; i < rig->talker_count; i++) {
        if (rig->talkers[i] == talker) return;
    }
    assert_true(rig->talker_count < RIG_TALKERS_MAX);
    rig->talkers[rig->talker_count++] = talker;
}

/* Reads what is there. false: the stream has ended. */
static bool talker_read(struct rig_talker *talker)
{
    char buf[4096];
    ssize_t n = read(talker->fd, buf, sizeof buf);
    if (n < 0 && errno == EINTR) return true;
    if (n <= 0) return false;
    talker->log = realloc(talker->log, talker->len + (size_t)n + 1);
    assert_non_null(talker->log);
    for (ssize_t i = 0; i < n; i++) {
        if (buf[i] != '\0' && buf[i] != '\r') talker->log[talker->len++] = buf[i];
    }
    talker->log[talker->len] = '\0';
    return true;
}

static int talker_end(struct rig_talker *talker, int signal)
{
    int status = 0;
    if (talker->pid == 0) return 0;
    if (signal != 0) (void)kill(talker->pid, signal);
    while (talker_read(talker)) {
    }
    close(talker->fd);
    (void)waitpid(talker->pid, &status, 0);
    talker->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Reads from all for at most wait_ms, until something came. A talker whose stream ended is left alone. */
static void read_all(struct rig *rig, int wait_ms, const struct rig_talker *wanted)
{
    struct pollfd fds[RIG_TALKERS_MAX];
    nfds_t count = 0;
    struct rig_talker *who[RIG_TALKERS_MAX];
    for (size_t i = 0; i < rig->talker_count; i++) {
        if (rig->talkers[i]->pid == 0) continue;
        who[count] = rig->talkers[i];
        fds[count++] = (struct pollfd){.fd = rig->talkers[i]->fd, .events = POLLIN};
    }
    if (poll(fds, count, wait_ms) <= 0) return;
    for (nfds_t i = 0; i < count; i++) {
        if (fds[i].revents == 0 || talker_read(who[i])) continue;
        (void)talker_end(who[i], 0);
        if (who[i] == wanted) return;
    }
}

const char *rig_try_line(struct rig *rig, struct rig_talker *talker, const char *text, int64_t limit_ms)
{
    const int64_t until = now_ms() + limit_ms;
    for (;;) {
        char *end;
        while (talker->log != NULL && (end = strchr(talker->log + talker->seen, '\n')) != NULL) {
            const char *line = talker->log + talker->seen;
            snprintf(rig->scratch, sizeof rig->scratch, "%.*s", (int)(end - line), line);
            talker->seen = (size_t)(end - talker->log) + 1;
            if (strstr(rig->scratch, text) != NULL) return rig->scratch;
        }
        int64_t left = until - now_ms();
        if (left <= 0 || talker->pid == 0) return NULL;
        read_all(rig, (int)left, talker);
    }
}

const char *rig_wait_line(struct rig *rig, struct rig_talker *talker, const char *text)
{
    const char *line = rig_try_line(rig, talker, text, RIG_WAIT_MS);
    if (line == NULL) {
        print_error("--- the process said:\n%s\n--- the server said:\n%s\n", talker->log, rig->server.log);
        fail_msg("it never said \"%s\"", text);
    }
    return line;
}

/* Looks whether the device feeds its watchdog, and resets it when it has not for too long. */
static void watch(struct rig_device *device)
{
    const char *said = strstr(rig_monitor(device, FED), ": 0x");
    uint32_t fed = said != NULL ? (uint32_t)strtoul(said + 2, NULL, 16) : 0;
    if (fed != device->fed) device->fed_ms = now_ms();
    device->fed = fed;
    if (now_ms() - device->fed_ms < FEED_MS) return;
    print_message("watchdog: reset\n");
    (void)rig_monitor(device, "system_reset");
    device->fed_ms = now_ms();
}

const char *rig_hear(struct rig *rig, struct rig_device *device, const char *text)
{
    const int64_t until = now_ms() + RIG_WAIT_MS;
    device->fed_ms = now_ms();
    while (device->watched && device->machine.pid != 0 && now_ms() < until) {
        const char *line = rig_try_line(rig, &device->machine, text, LOOK_MS);
        if (line != NULL) return line;
        if (device->machine.len > device->silent_until) watch(device);
    }
    return rig_wait_line(rig, &device->machine, text);
}

void rig_said(const struct rig_talker *talker, const char *text)
{
    if (strstr(talker->log, text) == NULL) fail_msg("\"%s\" is not in what was said:\n%s", text, talker->log);
}

void rig_not_said(const struct rig_talker *talker, const char *text)
{
    if (strstr(talker->log, text) != NULL) fail_msg("\"%s\" is in what was said:\n%s", text, talker->log);
}

/* Runs a command to its end; *said is what it said. Returns its exit status. */
int rig_run(struct rig *rig, const char *const args[], const char **said)
{
    static struct rig_talker command;
    free(command.log);
    command = (struct rig_talker){0};
    rig_start(rig, &command, args);
    rig->talker_count--; /* nobody else waits for it */
    int status = talker_end(&command, 0);
    *said = command.log;
    return status;
}

static int begin(void **state, enum rig_tls tls)
{
    struct rig *rig = calloc(1, sizeof *rig);
    char data[96];
    assert_non_null(rig);
    *state = rig;
    rig->tls = tls;
    snprintf(rig->folder, sizeof rig->folder, "%s/molt-qemu-XXXXXX",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp");
    assert_non_null(mkdtemp(rig->folder));
    snprintf(data, sizeof data, "%s/data", rig->folder);
    assert_int_equal(setenv("MOLT_DATA", data, 1), 0);
    assert_int_equal(chdir(rig->folder), 0);
    if (tls != RIG_PLAIN) rig_make_certificates(rig);
    rig_serve(rig);
    return 0;
}

int rig_begin(void **state)
{
    return begin(state, RIG_PLAIN);
}

int rig_begin_ec(void **state)
{
    return begin(state, RIG_EC);
}

int rig_begin_rsa(void **state)
{
    return begin(state, RIG_RSA);
}

int rig_end(void **state)
{
    struct rig *rig = *state;
    const char *const args[] = {"rm", "-rf", rig->folder, NULL};
    struct rig_talker remover = {0};
    for (size_t i = 0; i < rig->talker_count; i++) {
        (void)talker_end(rig->talkers[i], SIGKILL);
        free(rig->talkers[i]->log);
        rig->talkers[i]->log = NULL;
    }
    rig->talker_count = 0;
    rig_start(rig, &remover, args);
    (void)talker_end(&remover, 0);
    free(remover.log);
    free(rig);
    return 0;
}

const char *rig_molt(struct rig *rig, ...)
{
    const char *args[ARGS_MAX] = {RIG_MOLT}, *said;
    va_list list;
    va_start(list, rig);
    for (size_t i = 1; i < ARGS_MAX - 1; i++) {
        args[i] = va_arg(list, const char *);
        if (args[i] == NULL) break;
    }
    va_end(list);
    int status = rig_run(rig, args, &said);
    if (status != 0) fail_msg("molt %s ended with %d: %s", args[1], status, said);
    return said;
}

void rig_forget(struct rig *rig, const struct rig_device *device)
{
    const char *const args[] = {RIG_MOLT, "device", "forget", device->id, NULL}, *said;
    (void)rig_run(rig, args, &said);
}

static const char *board_name(enum rig_board board)
{
    return board == RIG_RV32 ? "qemu_rv32" : "qemu_lx106";
}

static void firmware_path(char path[512], enum rig_board board, const char *file)
{
    snprintf(path, 512, RIG_FIRMWARE "/%s/%s.bin", board_name(board), file);
}

/* The file that a maker flashes and publishes: on the ESP8266 with molt-boot in sector 0. */
void rig_image_path(struct rig *rig, char path[512], enum rig_board board, const char *name)
{
    char file[64], with_boot[80];
    snprintf(file, sizeof file, "app-%s", name);
    firmware_path(path, board, file);
    if (board != RIG_LX106 || strncmp(name, "stock-", 6) == 0) return;
    snprintf(with_boot, sizeof with_boot, "%s.bin", file);
    if (access(with_boot, R_OK) != 0)
        (void)rig_molt(rig, "image", "set-boot", path, "--layout", "4M2M", "--out", with_boot, NULL);
    snprintf(path, 512, "%s", with_boot);
}

void rig_publish(struct rig *rig, enum rig_board board, const char *name)
{
    char path[512];
    rig_image_path(rig, path, board, name);
    (void)rig_molt(rig, "publish", path, "--product", "molt-reference", "--adopt", NULL);
}

/* What the server has of the device under "attempt"; to be given back. */
static json_t *attempt_of(struct rig *rig, const struct rig_device *device)
{
    json_error_t err;
    json_t *root = json_loads(rig_molt(rig, "device", "show", device->id, "--json", NULL), 0, &err);
    assert_non_null(root);
    json_t *attempt = json_incref(json_object_get(root, "attempt"));
    assert_non_null(attempt);
    json_decref(root);
    return attempt;
}

static const char *text_in(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

const char *rig_attempt_state(struct rig *rig, const struct rig_device *device)
{
    static char state[64];
    json_t *attempt = attempt_of(rig, device);
    snprintf(state, sizeof state, "%s", text_in(attempt, "state"));
    json_decref(attempt);
    return state;
}

void rig_expect_state(struct rig *rig, const struct rig_device *device, const char *state)
{
    assert_string_equal(rig_attempt_state(rig, device), state);
}

void rig_expect_result(struct rig *rig, struct rig_device *device, const char *result)
{
    char is[130] = "";
    for (int line = 0; line < RESULT_LINES; line++) {
        json_t *attempt = attempt_of(rig, device);
        const json_t *ended = json_object_get(attempt, "result");
        snprintf(is, sizeof is, "%.63s, %.63s", text_in(ended, "state"),
                 text_in(json_object_get(ended, "reason"), "id"));
        json_decref(attempt);
        if (strcmp(is, result) == 0) return;
        rig_hear(rig, device, "agent: ");
    }
    fail_msg("the server says \"%s\" of %s, not \"%s\"", is, device->id, result);
}

/* ---- devices ---- */

static size_t read_file(const char *path, uint8_t *into, size_t cap)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) fail_msg("%s is missing; run tools/firmware", path);
    size_t len = fread(into, 1, cap, file);
    assert_true(len > 0 && len < cap);
    (void)fclose(file);
    return len;
}

static void fill(struct rig *rig, uint8_t *flash, enum rig_board board, const char *name)
{
    char path[512];
    const struct sim_layout *layout = sim_layout_find("esp32-4M");
    rig_image_path(rig, path, board, name);
    (void)read_file(path, flash + (board == RIG_RV32 ? 0x10000 : 0), 0x100000);
    if (board != RIG_RV32) return;
    sim_partition_table(layout->partitions, layout->partition_count, flash + 0x8000);
    firmware_path(path, board, "boot");
    (void)read_file(path, flash, 0x8000);
}

/* The maker's sector: settings, and the CA behind them. */
static void write_settings(struct rig *rig, uint8_t *sector, const struct rig_device *device,
                           const char *settings)
{
    int len = snprintf((char *)sector, 1024, "%surl=%s\nmac=%s\ntime=%lld\n", settings, rig->url, device->id,
                       (long long)time(NULL));
    assert_true(len > 0 && len < 1024);
    sector[len] = '\n';
    if (rig->tls == RIG_PLAIN) return;
    size_t der_len = read_file("ca.der", sector + 1024 + 4, 2048);
    molt_store32le(sector + 1024, (uint32_t)der_len);
}

void rig_set_flash(const struct rig_device *device, const uint8_t *flash)
{
    int fd = open(device->flash, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, flash, RIG_FLASH_LEN), RIG_FLASH_LEN);
    if (device->board == RIG_RV32) assert_int_equal(ftruncate(fd, RV32_BANK), 0);
    close(fd);
}

void rig_reflash(struct rig *rig, struct rig_device *device, const char *name, const char *settings)
{
    static uint8_t flash[RIG_FLASH_LEN];
    const enum rig_board board = device->board;
    memset(flash, 0xFF, sizeof flash);
    fill(rig, flash, board, name);
    write_settings(rig, flash + (board == RIG_RV32 ? 0x9000 : 0x3FB000), device, settings);
    rig_set_flash(device, flash);
}

struct rig_device *rig_flash(struct rig *rig, enum rig_board board, const char *name, const char *settings)
{
    assert_true(rig->device_count < RIG_DEVICES_MAX);
    struct rig_device *device = &rig->devices[rig->device_count++];
    const unsigned number = (unsigned)rig->device_count;
    device->board = board;
    snprintf(device->id, sizeof device->id, "5254000000%02x", number);
    snprintf(device->flash, sizeof device->flash, "%02x.flash", number);
    snprintf(device->monitor, sizeof device->monitor, "%02x.mon", number);
    rig_reflash(rig, device, name, settings);
    return device;
}

/* Appends the words of text, which stays as it was but for its spaces. */
static size_t add_words(const char **args, size_t count, char *text)
{
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " "))
        args[count++] = word;
    return count;
}

void rig_power_on(struct rig *rig, struct rig_device *device)
{
    char rv32[] = "qemu-system-riscv32 -M virt -cpu lowrisc-ibex -m 4M -bios none -device i6300esb"
                  " -global virtio-mmio.force-legacy=false -netdev user,id=n0,hostfwd=tcp:127.0.0.1:0-:80"
                  " -device virtio-net-device,netdev=n0,bus=virtio-mmio-bus.0";
    char lx106[] = "qemu-system-xtensa -M lx60 -cpu lx106 -m 1M -nic "
                   "user,id=n0,model=open_eth,hostfwd=tcp:127.0.0.1:0-:80";
    char common[] = "-display none -serial stdio -monitor";
    char drive[64], monitor[64], plugin[700], filter[80];
    const char *args[ARGS_MAX] = {NULL};
    size_t count = add_words(args, 0, device->board == RIG_RV32 ? rv32 : lx106);
    count = add_words(args, count, common);
    snprintf(monitor, sizeof monitor, "unix:%s,server,nowait", device->monitor);
    args[count++] = monitor;
    snprintf(drive, sizeof drive, "if=pflash,format=raw,unit=0,file=%s", device->flash);
    args[count++] = "-drive";
    args[count++] = drive;
    if (device->board == RIG_LX106) {
        args[count++] = "-device";
        args[count++] = "loader,file=" RIG_FIRMWARE "/qemu_lx106/rom.elf,cpu-num=0";
    }
    if (device->plugin[0] != '\0') {
        const char *start = device->board == RIG_RV32 ? "0x20000000" : "0xF8000000";
        snprintf(plugin, sizeof plugin, RIG_PLUGIN ",flash=%s,%s", start, device->plugin);
        args[count++] = "-plugin";
        args[count++] = plugin;
    }
    if (device->slow_ms != 0) {
        snprintf(filter, sizeof filter, "filter-buffer,id=slow,netdev=n0,interval=%u",
                 device->slow_ms * 1000);
        args[count++] = "-object";
        args[count++] = filter;
    }
    assert_int_equal(device->machine.pid, 0);
    device->silent_until = device->machine.len;
    (void)unlink(device->monitor);
    rig_start(rig, &device->machine, args);
}

void rig_stop(struct rig *rig, struct rig_talker *talker)
{
    (void)rig;
    (void)talker_end(talker, SIGKILL);
    talker->seen = talker->len;
}

void rig_power_off(struct rig *rig, struct rig_device *device)
{
    rig_stop(rig, &device->machine);
}

void rig_wait_end(struct rig *rig, struct rig_device *device)
{
    const int64_t until = now_ms() + RIG_WAIT_MS;
    while (device->machine.pid != 0 && now_ms() < until)
        read_all(rig, LOOK_MS, &device->machine);
    if (device->machine.pid != 0) fail_msg("it did not end; it said:\n%s", device->machine.log);
    device->machine.seen = device->machine.len;
}

/* All that comes until the other end closes. */
static const char *read_to_end(int fd, char *answer, size_t cap)
{
    size_t len = 0;
    ssize_t n;
    while (len < cap - 1 && (n = read(fd, answer + len, cap - 1 - len)) > 0)
        len += (size_t)n;
    answer[len] = '\0';
    close(fd);
    return answer;
}

const char *rig_status_page(struct rig *rig, struct rig_device *device)
{
    static char page[1024];
    static const char request[] = "GET / HTTP/1.0\r\n\r\n";
    (void)rig;
    /* "TCP[HOST_FORWARD]  12  127.0.0.1  39215  10.0.2.15  80 ..." */
    const char *line = strstr(rig_monitor(device, "info usernet"), "HOST_FORWARD");
    assert_non_null(line);
    line = strstr(line, "127.0.0.1");
    assert_non_null(line);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                  .sin_port = htons((uint16_t)strtoul(line + 9, NULL, 10))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(write(fd, request, sizeof request - 1), sizeof request - 1);
    return read_to_end(fd, page, sizeof page);
}

const char *rig_monitor(struct rig_device *device, const char *command)
{
    static char answer[4096];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char line[128];
    snprintf(address.sun_path, sizeof address.sun_path, "%s", device->monitor);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    int len = snprintf(line, sizeof line, "%s\n", command);
    assert_int_equal(write(fd, line, (size_t)len), len);
    (void)shutdown(fd, SHUT_WR);
    return read_to_end(fd, answer, sizeof answer);
}

/* ---- chance ---- */

uint32_t rig_seed(void)
{
    const char *text = getenv("MOLT_SEED");
    uint32_t seed = text != NULL ? (uint32_t)strtoul(text, NULL, 10) : (uint32_t)now_ms();
    print_message("MOLT_SEED=%u\n", seed);
    return seed | 1;
}

uint32_t rig_random(uint32_t *seed)
{
    uint32_t x = *seed;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *seed = x;
}
