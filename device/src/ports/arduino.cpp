/* arduino.cpp - the agent in a sketch's loop(). Must never wait for the network, nor change flash twice in one loop().
 * Tests: test/sdk. */
#if defined(ARDUINO)

#include <sys/time.h>

#include "arduino.h"
#include "arduino_chip.h"
#include "clock.h"

#define STEPS_MS                                                                                             \
    20u /* steps that change nothing in flash, until then: one hashes up to a sector, 6 ms at 80 MHz */
#define CONNECT_MS   5000u /* what TCP may take */
#define HANDSHAKE_MS (CONNECT_MS + MOLT_ARDUINO_TLS_MS)
#define VERIFY_MS    2000u  /* of an ESP8266 at 80 MHz, when the root's statement is checked as well */
#define TIME_MS      5000u  /* for the head that has the time */
#define JOIN_MS      15000u /* after power-on, in which Wi-Fi may still be joining */

MoltClass Molt;

#if MOLT_ARDUINO_WINDOW > 0
static uint8_t window[MOLT_ARDUINO_WINDOW];
#endif

/* ---- callbacks ---- */

bool MoltClass::askInstall(void *ctx, uint32_t code)
{
    MoltClass *self = static_cast<MoltClass *>(ctx);
    return self->may_install_ == nullptr || self->may_install_(code);
}

bool MoltClass::askRestart(void *ctx)
{
    MoltClass *self = static_cast<MoltClass *>(ctx);
    if (self->may_restart_ == nullptr || self->may_restart_()) return true;
    self->reports_++; /* runOnce() has its answer: still MOLT_OFFERED */
    return false;
}

enum molt_health MoltClass::askHealth(void *ctx)
{
    MoltClass *self = static_cast<MoltClass *>(ctx);
    if (self->verdict_ != MOLT_HEALTH_UNKNOWN) return self->verdict_;
    if (self->on_health_ != nullptr) return self->on_health_();
    return self->agent_.http_status != 0 ? MOLT_HEALTH_GOOD : MOLT_HEALTH_UNKNOWN;
}

void MoltClass::tellResult(void *ctx, int reason)
{
    MoltClass *self = static_cast<MoltClass *>(ctx);
    self->reports_++;
    if (self->on_result_ != nullptr) self->on_result_(reason);
}

bool MoltClass::askUnmount(void *ctx)
{
    MoltClass *self = static_cast<MoltClass *>(ctx);
    return self->unmount_ == nullptr || self->unmount_();
}

bool MoltClass::announce(MoltBusy what, uint32_t ms)
{
    return on_busy_ == nullptr || on_busy_(what, ms);
}

bool MoltClass::askVerify(void *ctx)
{
    return static_cast<MoltClass *>(ctx)->announce(MOLT_BUSY_VERIFY, VERIFY_MS);
}

/* ---- settings ---- */

void MoltClass::onProgress(void (*callback)(uint32_t done, uint32_t total))
{
    on_progress_ = callback;
}

void MoltClass::onResult(void (*callback)(int reason))
{
    on_result_ = callback;
}

void MoltClass::onBusy(bool (*callback)(MoltBusy what, uint32_t ms))
{
    on_busy_ = callback;
}

void MoltClass::mayInstall(bool (*callback)(uint32_t code))
{
    may_install_ = callback;
}

void MoltClass::mayRestart(bool (*callback)())
{
    may_restart_ = callback;
}

void MoltClass::onHealth(enum molt_health (*callback)())
{
    on_health_ = callback;
}

void MoltClass::setClient(Client &client)
{
    plain_ = &client;
}

void MoltClass::setSecureClient(Client &client)
{
    secure_ = &client;
}

void MoltClass::setTimeFrom(const char *url)
{
    time_url_ = url;
    ask_time_ = askTime; /* only sketches that come here link it */
}

void MoltClass::setMaker(const uint8_t key[MOLT_KEY_LEN], const uint8_t *next,
                         const uint8_t vendor[MOLT_UUID_LEN], const uint8_t class_id[MOLT_UUID_LEN])
{
    static const struct molt_signature_ops signature = {molt_arduino_chip_verify};
    memcpy(keys_[0], key, MOLT_KEY_LEN);
    if (next != nullptr) memcpy(keys_[1], next, MOLT_KEY_LEN);
    trust_.signature = &signature;
    trust_.keys = keys_;
    trust_.key_count = next != nullptr ? 2 : 1;
    memcpy(trust_.vendor, vendor, MOLT_UUID_LEN);
    memcpy(trust_.class_id, class_id, MOLT_UUID_LEN);
    config.trust = &trust_;
    config.may_verify = askVerify;
}

int MoltClass::enableFileSystem(bool (*unmount)())
{
    unmount_ = unmount;
    config.may_write_fs = askUnmount;
    return molt_arduino_chip_take_fs(&config);
}

/* ---- words: texts and table lie in flash, which an ESP8266 reads in whole words; a switch's table would be RAM ---- */

#define MOLT_REASON(symbol, number, id, who, sentence)                                                       \
    static const char id_##symbol[] PROGMEM = id;                                                            \
    static const char sentence_##symbol[] PROGMEM = sentence;
#include "../molt_reason.def"
#undef MOLT_REASON
static const char id_ok[] PROGMEM = "ok";
static const char id_unknown[] PROGMEM = "unknown-reason";
static const char sentence_none[] PROGMEM = "";

struct text_row {
    uint32_t number;
    const char *text;
};

/* Two tables: a sketch that shows ids only does not carry the sentences. */
static const struct text_row ids[] PROGMEM = {
#define MOLT_REASON(symbol, number, id, who, sentence) {number, id_##symbol},
#include "../molt_reason.def"
#undef MOLT_REASON
    {MOLT_OK, id_ok},
};

static const struct text_row sentences[] PROGMEM = {
#define MOLT_REASON(symbol, number, id, who, sentence) {number, sentence_##symbol},
#include "../molt_reason.def"
#undef MOLT_REASON
};

static const __FlashStringHelper *find(const struct text_row *words, size_t count, int reason,
                                       const char *text)
{
    for (size_t i = 0; i < count; i++) {
        if (words[i].number == static_cast<uint32_t>(reason)) text = words[i].text;
    }
    return reinterpret_cast<const __FlashStringHelper *>(text);
}

const __FlashStringHelper *MoltClass::idOf(int reason)
{
    return find(ids, sizeof ids / sizeof ids[0], reason, id_unknown);
}

const __FlashStringHelper *MoltClass::sentenceOf(int reason)
{
    return find(sentences, sizeof sentences / sizeof sentences[0], reason, sentence_none);
}

/* ---- life ---- */

int MoltClass::begin(const char *url)
{
    uint32_t code = config.version_code;
    if (code == 0 && &molt_firmware != nullptr) code = molt_firmware.code;
    return begin(url, code);
}

int MoltClass::begin(const char *url, uint32_t version_code)
{
    if (&molt_firmware != nullptr) {
        if (config.product == nullptr) config.product = molt_firmware.product;
        if (config.version == nullptr) config.version = molt_firmware.version;
    }
    config.url = url;
    config.version_code = version_code;
    config.ctx = this;
    config.may_install = askInstall;
    config.may_restart = askRestart;
    config.health = askHealth;
    config.report = tellResult;
#if MOLT_ARDUINO_WINDOW > 0
    config.window = window;
    config.window_len = sizeof window;
#endif
    int rc = molt_arduino_chip_begin(&config);
    trust_.hash = config.hash;
    if (rc == 0) rc = molt_agent_begin(&agent_, &config);
    is_started_ = rc == 0;
    if (rc < 0) agent_.last_reason = -rc;
    if (rc < 0) tellResult(this, -rc); /* a sketch that does not look at rc would never know */
    return rc;
}

uint64_t MoltClass::now()
{
    uint32_t ms = millis();
    if (ms < last_ms_) high_ms_++;
    last_ms_ = ms;
    return static_cast<uint64_t>(high_ms_) << 32 | ms;
}

void MoltClass::tellProgress()
{
    if (agent_.phase != MOLT_AGENT_FETCHING || agent_.received == told_) return;
    told_ = agent_.received;
    if (on_progress_ != nullptr && agent_.file_len > 0) on_progress_(agent_.received, agent_.file_len);
}

bool MoltClass::loop()
{
    if (!is_started_) return false;
    const uint32_t start = millis(), before = molt_arduino_chip_changes();
    for (;;) {
        if (want_.kind == MOLT_WANT_WAIT && now() < want_.until_ms && now() < agent_.next_check_ms)
            return false;
        turn();
        if (want_.kind != MOLT_WANT_STEP || molt_arduino_chip_changes() != before) break;
        if (millis() - start >= STEPS_MS) break;
    }
    tellProgress();
    return want_.kind != MOLT_WANT_WAIT && !joins_;
}

int MoltClass::runOnce(uint32_t timeout_ms)
{
    return run(timeout_ms, true);
}

/* Until the check is over: for good, a trial included, or only as far as it can be now. */
int MoltClass::run(uint32_t timeout_ms, bool sees_trial_out)
{
    uint32_t start = millis(), reports = reports_;
    if (!is_started_) return lastReason();
    checkNow();
    while (millis() - start < timeout_ms) {
        bool more = loop();
        bool is_over = !isBusy() || agent_.phase == MOLT_AGENT_RESTARTING;
        if (!sees_trial_out && agent_.phase == MOLT_AGENT_IDLE && open_ == nullptr && agent_.http_status == 0)
            is_over = true; /* only the server, which is away, could end this trial */
        if (reports_ != reports && is_over) return lastReason();
        delay(more ? 0 : 10);
    }
    return MOLT_TIMEOUT;
}

void MoltClass::checkNow()
{
    if (is_started_) molt_agent_check_now(&agent_);
}

void MoltClass::confirm()
{
    verdict_ = MOLT_HEALTH_GOOD;
}

void MoltClass::reject()
{
    verdict_ = MOLT_HEALTH_BAD;
}

bool MoltClass::isBusy() const
{
    return is_started_ && (agent_.phase != MOLT_AGENT_IDLE || agent_.on_trial || open_ != nullptr);
}

bool MoltClass::isOnTrial() const
{
    return agent_.on_trial;
}

int MoltClass::lastReason() const
{
    return agent_.last_reason;
}

const struct molt_agent &MoltClass::agent() const
{
    return agent_;
}

bool MoltClass::fileSystemIsWhole() const
{
    return config.keep != nullptr &&
           (config.keep->data.fs_state == MOLT_FS_UNKNOWN || config.keep->data.fs_state == MOLT_FS_WHOLE);
}

/* ---- what the agent wants ---- */

void MoltClass::turn()
{
    joins_ = false;
    molt_agent_step(&agent_, now(), &want_);
    switch (want_.kind) {
    case MOLT_WANT_CONNECT:
        connect();
        break;
    case MOLT_WANT_SEND:
        send();
        break;
    case MOLT_WANT_RECEIVE:
        receive();
        break;
    case MOLT_WANT_CLOSE:
        if (open_ != nullptr) open_->stop();
        open_ = nullptr;
        break;
    case MOLT_WANT_RESTART:
        ESP.restart();
        break;
    case MOLT_WANT_STEP:
    case MOLT_WANT_WAIT:
        break;
    }
}

/* The client for what is wanted, or NULL and why. */
Client *MoltClass::pick(const char *host, uint16_t port, int *reason)
{
    *reason = MOLT_TLS_TRUST;
    if (!want_.tls) return plain_ != nullptr ? plain_ : molt_arduino_chip_client();
    if (secure_ != nullptr) return secure_;
    if (prepare_ == nullptr) return nullptr;
    Client *client = prepare_(host, port, reason);
    if (client != nullptr || *reason != MOLT_TLS_TIME || ask_time_ == nullptr) return client;
    ask_time_();
    return prepare_(host, port, reason);
}

/* Never asks for more than has come: clients of modems wait for all that is asked, or give nothing. */
static int take(Client *client, uint8_t *buffer, size_t room)
{
    const int there = client->available();
    if (there <= 0) return 0;
    return client->read(buffer, static_cast<size_t>(there) < room ? static_cast<size_t>(there) : room);
}

/* Asks over client, which is connected, and believes what clock.h believes. */
void MoltClass::takeTime(Client *client, const struct molt_url *url)
{
    size_t fill = 0;
    uint32_t start = millis(), now = 0;
    client->print(F("HEAD / HTTP/1.1\r\nConnection: close\r\nHost: "));
    client->write(reinterpret_cast<const uint8_t *>(url->host.at), url->host.len);
    client->print(F("\r\n\r\n"));
    while (now == 0 && fill < sizeof buffer_ && millis() - start < TIME_MS) {
        int n = take(client, buffer_ + fill, sizeof buffer_ - fill);
        if (n <= 0 && !client->connected()) break;
        if (n <= 0) delay(1);
        if (n > 0) fill += static_cast<size_t>(n);
        now = molt_clock_from_head(reinterpret_cast<const char *>(buffer_), fill);
    }
    struct timeval tv = {};
    tv.tv_sec = static_cast<time_t>(now);
    if (now != 0) (void)settimeofday(&tv, nullptr);
}

void MoltClass::askTime()
{
    char host[MOLT_HOST_MAX + 1];
    struct molt_url url;
    Client *client = Molt.plain_ != nullptr ? Molt.plain_ : molt_arduino_chip_client();
    if (molt_url_parse(&url, Molt.time_url_) != 0 || url.tls) return;
    memcpy(host, url.host.at, url.host.len);
    host[url.host.len] = '\0';
    if (molt_arduino_chip_connect(client, host, url.port, CONNECT_MS)) Molt.takeTime(client, &url);
    client->stop();
}

/* Over Wi-Fi that has not joined yet, just after power-on? (A chip with Ethernet of its own waits as well, and goes on then.) */
bool MoltClass::isJoining()
{
    const Client *own = want_.tls ? secure_ : plain_;
    return own == nullptr && now() < JOIN_MS && !molt_arduino_chip_has_joined();
}

void MoltClass::connect()
{
    int reason = 0;
    joins_ = isJoining();
    if (joins_) return; /* the agent wants the same again, for longer than this can last */
    uint32_t ms = CONNECT_MS;
    if (want_.tls) ms = 2 * HANDSHAKE_MS; /* a probe for small records before it */
    if (want_.tls && ask_time_ != nullptr) ms += CONNECT_MS + TIME_MS;
    if (!announce(want_.tls ? MOLT_BUSY_HANDSHAKE : MOLT_BUSY_CONNECT, ms)) {
        molt_agent_put_off(&agent_);
        return;
    }
    Client *client = pick(want_.host, want_.port, &reason);
    if (client == nullptr) {
        molt_agent_failed(&agent_, reason);
    } else if (molt_arduino_chip_connect(client, want_.host, want_.port, CONNECT_MS)) {
        open_ = client;
        molt_agent_connected(&agent_);
    } else {
        reason = want_.tls ? MOLT_TLS : MOLT_CONNECT;
        if (want_.tls && secure_ == nullptr && why_ != nullptr) reason = why_();
        client->stop();
        molt_agent_failed(&agent_, reason);
    }
}

void MoltClass::send()
{
    size_t n = open_ != nullptr ? open_->write(static_cast<const uint8_t *>(want_.data), want_.len) : 0;
    if (n > 0) {
        molt_agent_sent(&agent_, n);
    } else {
        molt_agent_failed(&agent_, MOLT_CONNECTION_LOST);
    }
}

void MoltClass::receive()
{
    if (open_ == nullptr) {
        molt_agent_failed(&agent_, MOLT_CONNECTION_LOST);
        return;
    }
    int n = take(open_, buffer_, sizeof buffer_);
    if (n > 0) {
        molt_agent_received(&agent_, buffer_, static_cast<size_t>(n));
    } else if (open_->available() <= 0 && !open_->connected()) {
        molt_agent_closed(&agent_);
    }
}

#endif
