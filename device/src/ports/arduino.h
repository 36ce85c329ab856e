/* arduino.h - molt in an Arduino sketch, on ESP8266 (core 3.0 and later) and ESP32 (core 2.0 and later). Compiled when
 * ARDUINO is defined.
 *
 *     #include <Molt.h>
 *     MOLT_FIRMWARE("lamp", "1.4.2", 2017102501)
 *     void setup() { ...WiFi...; Molt.begin("http://192.168.1.10:8266"); }
 *     void loop()  { Molt.loop(); }
 *
 * loop() does a little and returns: at most one erase or write of flash (an erase of a sector takes some 50 ms, at
 * most 400), or a receive that does not wait, or 20 ms of reading flash and one step more. What takes longer is bounded,
 * announced to onBusy() with the bound, and put off when that returns false: connecting (name, TCP), a TLS handshake and the check
 * of a signature.
 *
 * There is one device, so there is one Molt. Its config may be written before begin() (agent.h says what is in it);
 * slots, hash, expect, mac, keep and reset come from the chip. Texts and objects that are passed in must outlive it.
 * Not for interrupts; one task only. Tests: test/sdk. */
#ifndef MOLT_PORT_ARDUINO_H
#define MOLT_PORT_ARDUINO_H

#if defined(ARDUINO) && defined(__cplusplus)

#include <Arduino.h>
#include <Client.h>

#include "../agent/agent.h"
#include "../molt_firmware.h"

#ifndef MOLT_ARDUINO_WINDOW
#define MOLT_ARDUINO_WINDOW 4096 /* bytes of RAM for gzip; 0: not taken, images come as they are */
#endif
#define MOLT_ARDUINO_BUFFER 536 /* bytes received at once */

#if defined(ARDUINO_ARCH_ESP8266)
namespace BearSSL
{
class X509List;
class PublicKey;
} // namespace BearSSL
#endif

/* What is about to take long. */
enum MoltBusy {
    MOLT_BUSY_CONNECT, /* name look-up and TCP */
    MOLT_BUSY_HANDSHAKE, /* the same, and TLS; the first to a host also asks for small records, and for the time */
    MOLT_BUSY_VERIFY, /* a signature: the processor's alone, some 0.5 s at 80 MHz */
};

class MoltClass
{
  public:
    struct molt_agent_config config; /* zeros are usable */

    /* Starts. url: of molt's server; other sources say so in config.source first (agent.h). Product, version and
     * version code are the sketch's MOLT_FIRMWARE, or what config says; with version_code given it wins. Call it once, again only after it failed;
     * the network need not be there yet: for 15 s after power-on the first check waits for Wi-Fi to join. 0, or a negative reason,
     * which lastReason() gives as well, and onResult() is told: -MOLT_BAD_URL, and when the chip is not fit for updates -MOLT_FLASH_SIZE
     * (the layout is for a larger flash), -MOLT_NO_SLOT, -MOLT_BAD_PARTITIONS, -MOLT_BAD_SEGMENT, -MOLT_FLASH_READ. Then loop()
     * does nothing, and the sketch runs on. */
    int begin(const char *url);
    int begin(const char *url, uint32_t version_code);

    /* As often as can be. True: there is more to do at once. */
    bool loop();

    /* For sketches that wait, as with ESPhttpUpdate, or that sleep: loops until one check has ended and nothing is
     * going on, at most timeout_ms. Returns the reason that the check ended with (MOLT_UP_TO_DATE ...), MOLT_TIMEOUT. An
     * update restarts the device from in here, unless mayRestart says no: then MOLT_OFFERED. */
    int runOnce(uint32_t timeout_ms);

    void checkNow(); /* from a button, a message, a timer */
    void confirm();  /* this firmware is good: ends its trial */
    void reject();   /* it is not: goes back where the boot stage can */

    /* An update, a trial or a request is going on: no time for deep sleep. */
    bool isBusy() const;
    bool isOnTrial() const;
    int lastReason() const; /* how the last check or trial ended; 0 before */
    /* "up-to-date", and a sentence for people: for Serial.println(). They lie in flash, where those of molt_reason_id()
     * would take 20 KB of an ESP8266's RAM. */
    static const __FlashStringHelper *idOf(int reason);
    static const __FlashStringHelper *sentenceOf(int reason);
    const struct molt_agent &agent() const;

    /* done and total: bytes of the file. Called at most once each loop(). */
    void onProgress(void (*callback)(uint32_t done, uint32_t total));
    void onResult(void (*callback)(int reason));
    /* Announces what takes longer than loop() should. ms: how long at most, by the bounds of the clients that the chip
     * has (not of those of setClient()), and without the name look-up, which the core bounds. false: not now, as
     * often as it must be: asked again at the next loop(), a signature each second. */
    void onBusy(bool (*callback)(MoltBusy what, uint32_t ms));
    /* false: not now. code: 0 when not known. */
    void mayInstall(bool (*callback)(uint32_t code));
    void mayRestart(bool (*callback)());
    /* Asked each second of a trial. Without it a firmware is healthy once the server has answered, or when confirm()
     * was called. With one that returns MOLT_HEALTH_UNKNOWN it is up to confirm() and reject(). */
    void onHealth(enum molt_health (*callback)());

    /* http and https over anything that is a Client: Ethernet, a GSM modem, an SSL client of the sketch's own. Without
     * it http goes over Wi-Fi, and https is refused until one of the calls below (ESP8266, ESP32) was made. */
    void setClient(Client &client);
    void setSecureClient(Client &client);
    /* Where to get the time from when the clock was never set (no SNTP, no battery) and https needs it: "http://host/",
     * whose answers have a Date. It sets the system's clock. Plain HTTP proves nothing: clock.h says what a
     * forged time can do, and that it never goes before the firmware's build. Better: configTime(). */
    void setTimeFrom(const char *url);
#if defined(ARDUINO_ARCH_ESP8266)
    /* molt-boot (doc/boot.md) in the place of Arduino's boot stage, for trial and going back. hasBoot(): it runs this
     * device, after begin(). installBoot(): puts it there; sector: moltBootSector of the header that `molt image boot-code`
     * makes for this flash layout. After begin(); restart when it returned 0. While it works (some 60 to 500 ms) there is no
     * boot stage: a power cut then leaves a chip that needs a cable. 0, or nothing was changed: -MOLT_BOOT_STRAP (the chip was
     * started for a serial upload), -MOLT_NO_SLOT (before begin()), or what molt_boot_sector_replace() returns, of which
     * -MOLT_FLASH_VERIFY alone means do not restart, try again.
     * setBootSecond(): before begin(); moltBootSecond of the same header, so that installs and trials are checked by SHA-256. */
    bool hasBoot() const;
    int installBoot(const uint32_t *sector);
    void setBootSecond(const uint32_t *second, uint32_t len);
    /* https by BearSSL. Anchors need the time (configTime(), setTimeFrom()); a pinned key does not. Records are 1 KB where the server
     * knows how (asked once), else 16 KB, and refused with MOLT_NO_MEMORY when the heap has no such piece. The last
     * session is taken up again. */
    void setTrustAnchors(const BearSSL::X509List *anchors);
    void setKnownKey(const BearSSL::PublicKey *key);
#else
    void setCACert(const char *pem); /* https by mbedTLS; needs the time (configTime(), setTimeFrom()) */
#endif
    /* Signed releases only: key is the maker's public key, 64 bytes (molt key show), vendor and class as it shows them.
     * next: a second key, or NULL. */
    void setMaker(const uint8_t key[MOLT_KEY_LEN], const uint8_t *next, const uint8_t vendor[MOLT_UUID_LEN],
                  const uint8_t class_id[MOLT_UUID_LEN]);
    /* Takes file systems as well. Mount it only when keep says that it is whole: fileSystemIsWhole(). unmount is called
     * before it is written: unmount it and return true, or false: not now. After begin(). 0 or -MOLT_ARG. */
    int enableFileSystem(bool (*unmount)());
    bool fileSystemIsWhole() const;

  private:
    void turn();
    int run(uint32_t timeout_ms, bool sees_trial_out);
    friend class MoltHttpUpdate;
    bool isJoining();
    void connect();
    void send();
    void receive();
    Client *pick(const char *host, uint16_t port, int *reason);
    bool announce(MoltBusy what, uint32_t ms);
    void takeTime(Client *client, const struct molt_url *url);
    static void askTime();
    uint64_t now();
    void tellProgress();

    static bool askInstall(void *ctx, uint32_t code);
    static bool askRestart(void *ctx);
    static bool askVerify(void *ctx);
    static enum molt_health askHealth(void *ctx);
    static void tellResult(void *ctx, int reason);
    static bool askUnmount(void *ctx);

    struct molt_agent agent_;
    struct molt_want want_;
    struct molt_trust trust_;
    uint8_t keys_[2][MOLT_KEY_LEN];
    Client *plain_, *secure_, *open_;
    /* https of the chip's own: makes a client ready, or says why not */
    Client *(*prepare_)(const char *host, uint16_t port, int *reason);
    int (*why_)(); /* ... and why its connection could not be made */
    void (*ask_time_)();
    const char *time_url_;
    void (*on_progress_)(uint32_t, uint32_t);
    void (*on_result_)(int);
    bool (*on_busy_)(MoltBusy, uint32_t);
    bool (*may_install_)(uint32_t);
    bool (*may_restart_)();
    enum molt_health (*on_health_)();
    bool (*unmount_)();
    uint32_t last_ms_, high_ms_; /* millis(), and how often it went round */
    uint32_t told_, reports_;
    enum molt_health verdict_;
    bool is_started_, joins_;
    uint8_t buffer_[MOLT_ARDUINO_BUFFER];
};

extern MoltClass Molt;

#endif
#endif
