/* arduino.cpp - the agent in a sketch's loop(). Must never wait for the network, nor change flash twice in one loop().
 * Tests: test/sdk. */
#if defined(ARDUINO)

#include "arduino.h"
#include "arduino_chip.h"

#define STEPS_A_LOOP 16 /* of the agent that change nothing in flash: reads, parsing */
#define CONNECT_MS   15000u
#define HANDSHAKE_MS 20000u
#define VERIFY_MS    1000u

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
    return self->may_restart_ == nullptr || self->may_restart_();
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

uint32_t MoltClass::verifyAnnounced(const uint8_t *digest, const uint8_t *key, const uint8_t *signature)
{
    (void)Molt.announce(MOLT_BUSY_VERIFY, VERIFY_MS);
    return molt_arduino_chip_verify(digest, key, signature);
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

void MoltClass::setMaker(const uint8_t key[MOLT_KEY_LEN], const uint8_t *next,
                         const uint8_t vendor[MOLT_UUID_LEN], const uint8_t class_id[MOLT_UUID_LEN])
{
    static const struct molt_signature_ops signature = {verifyAnnounced};
    memcpy(keys_[0], key, MOLT_KEY_LEN);
    if (next != nullptr) memcpy(keys_[1], next, MOLT_KEY_LEN);
    trust_.signature = &signature;
    trust_.keys = keys_;
    trust_.key_count = next != nullptr ? 2 : 1;
    memcpy(trust_.vendor, vendor, MOLT_UUID_LEN);
    memcpy(trust_.class_id, class_id, MOLT_UUID_LEN);
    config.trust = &trust_;
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

struct word {
    uint32_t number;
    const char *text;
};

/* Two tables: a sketch that shows ids only does not carry the sentences. */
static const struct word ids[] PROGMEM = {
#define MOLT_REASON(symbol, number, id, who, sentence) {number, id_##symbol},
#include "../molt_reason.def"
#undef MOLT_REASON
    {MOLT_OK, id_ok},
};

static const struct word sentences[] PROGMEM = {
#define MOLT_REASON(symbol, number, id, who, sentence) {number, sentence_##symbol},
#include "../molt_reason.def"
#undef MOLT_REASON
};

static const __FlashStringHelper *find(const struct word *words, size_t count, int reason, const char *text)
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
    if (rc < 0) agent_.last_reason = -rc;
    is_started_ = rc == 0;
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
    uint32_t before = molt_arduino_chip_changes();
    for (unsigned i = 0; i < STEPS_A_LOOP; i++) {
        if (want_.kind == MOLT_WANT_WAIT && now() < want_.until_ms && now() < agent_.next_check_ms)
            return false;
        turn();
        if (want_.kind != MOLT_WANT_STEP || molt_arduino_chip_changes() != before) break;
    }
    tellProgress();
    return want_.kind != MOLT_WANT_WAIT;
}

int MoltClass::runOnce(uint32_t timeout_ms)
{
    uint32_t start = millis(), reports = reports_;
    if (!is_started_) return lastReason();
    checkNow();
    while (millis() - start < timeout_ms) {
        bool more = loop();
        if (reports_ != reports && (!isBusy() || agent_.phase == MOLT_AGENT_RESTARTING)) return lastReason();
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
    return prepare_ != nullptr ? prepare_(host, port, reason) : nullptr;
}

void MoltClass::connect()
{
    int reason = 0;
    if (!announce(want_.tls ? MOLT_BUSY_HANDSHAKE : MOLT_BUSY_CONNECT, want_.tls ? HANDSHAKE_MS : CONNECT_MS))
        return; /* the agent asks again, until its own time-out */
    Client *client = pick(want_.host, want_.port, &reason);
    if (client == nullptr) {
        molt_agent_failed(&agent_, reason);
    } else if (molt_arduino_chip_connect(client, want_.host, want_.port)) {
        open_ = client;
        molt_agent_connected(&agent_);
    } else {
        client->stop();
        molt_agent_failed(&agent_, want_.tls ? MOLT_TLS : MOLT_CONNECT);
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
    if (open_->available() > 0) {
        int n = open_->read(buffer_, sizeof buffer_);
        if (n > 0) molt_agent_received(&agent_, buffer_, static_cast<size_t>(n));
    } else if (!open_->connected()) {
        molt_agent_closed(&agent_);
    }
}

#endif
