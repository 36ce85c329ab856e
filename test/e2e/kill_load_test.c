/* kill_load_test.c - kill -9 while many devices report at once, again and again: no result that was acknowledged is lost, none
 * goes back, and the server starts each time. KILLS is set by the build: a few by default, 1000 for --full.
 * MOLT_SEED repeats the numbers of reports between kills; the seed is printed. */
#include "cmocka_all.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>
#include <unistd.h>

#include "agent/checkin.h"
#include "postgres.h"
#include "serve_case.h"
#include "serve_process.h"

#define THREADS 4
#define DEVICES 16 /* fewer than an address may make in a minute */

static struct load {
    uint16_t port;
    atomic_bool stop;
    atomic_uint acks;
    pthread_mutex_t lock;
    pthread_cond_t more;
    uint32_t sent[DEVICES], acked[DEVICES]; /* each written by the thread that the device belongs to */
} load = {.lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER};

static void id_of(int device, char id[MODEL_ID_LEN])
{
    snprintf(id, MODEL_ID_LEN, "240ac40000%02x", device);
}

/* The status of the answer, 0 when there is none: the server may be killed at any byte. */
static int ask(const void *request, size_t len)
{
    char answer[1024];
    size_t got = 0;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(load.port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), status = 0;
    if (fd < 0) return 0;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
        send(fd, request, len, MSG_NOSIGNAL) == (ssize_t)len) {
        ssize_t n;
        while (got < sizeof answer - 1 && (n = recv(fd, answer + got, sizeof answer - 1 - got, 0)) > 0)
            got += (size_t)n;
        answer[got] = '\0';
        (void)sscanf(answer, "HTTP/1.1 %d", &status); /* only a whole head counts */
        if (strstr(answer, "\r\n\r\n") == NULL) status = 0;
    }
    close(fd);
    return status;
}

/* The device says that it runs `code` since an update: an answer is given once that is kept. */
static int report(int device, uint32_t code)
{
    struct molt_checkin said = {.chip = MOLT_CHIP_ESP32C3,
                                .version_code = code,
                                .flash_size = 4u << 20,
                                .can = MOLT_CAN_RAW,
                                .result = MOLT_CONFIRMED,
                                .result_code = code};
    uint8_t request[MOLT_CHECKIN_MAX + 256], body[MOLT_CHECKIN_MAX];
    id_of(device, said.id);
    int len = molt_checkin_encode(&said, body, sizeof body);
    int head = snprintf((char *)request, 256,
                        "POST " MOLT_CHECKIN_PATH
                        " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n",
                        len);
    memcpy(request + head, body, (size_t)len);
    return ask(request, (size_t)(head + len));
}

static void *client(void *arg)
{
    int first = (int)(intptr_t)arg;
    for (int device = first; !atomic_load(&load.stop);) {
        uint32_t code = ++load.sent[device];
        if (report(device, code) == 200) {
            load.acked[device] = code;
            pthread_mutex_lock(&load.lock);
            atomic_fetch_add(&load.acks, 1);
            pthread_cond_signal(&load.more);
            pthread_mutex_unlock(&load.lock);
        }
        device = device + THREADS < DEVICES ? device + THREADS : first;
    }
    return NULL;
}

static void wait_for_acks(uint32_t wanted)
{
    pthread_mutex_lock(&load.lock);
    while (atomic_load(&load.acks) < wanted)
        pthread_cond_wait(&load.more, &load.lock);
    pthread_mutex_unlock(&load.lock);
}

static void check_devices(const struct serve_case *c, uint32_t round)
{
    for (int device = 0; device < DEVICES; device++) {
        char id[MODEL_ID_LEN];
        id_of(device, id);
        uint32_t runs = (uint32_t)strtoul(device_text(c, id, "running.code"), NULL, 10);
        if (runs < load.acked[device] || runs > load.sent[device])
            fail_msg("kill %u: %s runs %u, acknowledged was %u, the last sent %u", round, id, runs,
                     load.acked[device], load.sent[device]);
        load.sent[device] = load.acked[device] = runs;
    }
}

static void no_acknowledged_result_is_lost_however_often_it_is_killed(void **state)
{
    static struct serve_case c;
    struct serve_process p;
    (void)state;
    serve_case_make(&c);
    for (uint32_t round = 0; round < KILLS; round++) {
        pthread_t threads[THREADS];
        serve_process_start(&p, &c);
        check_devices(&c, round);
        load.port = p.port;
        atomic_store(&load.acks, 0);
        atomic_store(&load.stop, false);
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_create(&threads[i], NULL, client, (void *)(intptr_t)i), 0);
        wait_for_acks(1 + (uint32_t)rand() % 60);
        assert_int_equal(kill(p.pid, SIGKILL), 0);
        atomic_store(&load.stop, true);
        for (int i = 0; i < THREADS; i++)
            pthread_join(threads[i], NULL);
        assert_int_equal(serve_process_end(&p), -1);
    }
    serve_process_start(&p, &c);
    check_devices(&c, KILLS);
    assert_int_equal(serve_process_stop(&p, SIGTERM), 0);
    for (int device = 0; device < DEVICES; device++)
        assert_true(load.acked[device] > 0);
    serve_case_remove(&c);
}

/* On PostgreSQL its cluster goes on: what is killed is molt. */
static struct postgres cluster;

static int begin(void **state)
{
    char url[320];
    (void)state;
    if (!on_postgres()) return 0;
    postgres_make(&cluster);
    postgres_url(&cluster, "load", url, sizeof url);
    return setenv("MOLT_TEST_STORE_URL", url, 1);
}

static int end(void **state)
{
    (void)state;
    if (on_postgres()) postgres_remove(&cluster);
    return 0;
}

int main(int argc, char **argv)
{
    int status = 0;
    if (serve_process_is_child(argc, argv, &status)) return status;
    const char *given = getenv("MOLT_SEED");
    unsigned seed = given != NULL ? (unsigned)strtoul(given, NULL, 10) : (unsigned)time(NULL);
    printf("MOLT_SEED=%u\n", seed);
    srand(seed);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_acknowledged_result_is_lost_however_often_it_is_killed),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
