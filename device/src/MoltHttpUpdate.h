/* MoltHttpUpdate.h - the calls of ESPhttpUpdate (ESP8266) and httpUpdate (ESP32), for a sketch that has them already. One line
 * changes:
 *
 *     #include <MoltHttpUpdate.h> // was: #include <ESP8266httpUpdate.h>, or <HTTPUpdate.h>
 *
 * update() asks the same server with the same headers, waits, and restarts into the new firmware; what comes is checked before it
 * may start, and a download goes on after a power cut. getLastError() is a reason of molt's, getLastErrorString() its sentence.
 *
 * Different: a sketch asks one url, the first one; another comes to MOLT_ARG. Callbacks are functions, or lambdas without captures.
 * After rebootOnUpdate(false) and HTTP_UPDATE_OK call update() again once the device may restart, with rebootOnUpdate(true).
 * A user and a password go into the url. setClientTimeout() is heeded as far as molt's own bounds go: not at all. updateFS() is
 * not there: Molt.enableFileSystem() takes file systems along. https: over the client that is given, with whom it trusts.
 * The rest of molt is there as well, before the first update(): Molt.onBusy(), Molt.onHealth(), MOLT_FIRMWARE ...
 * Include it in one file of the sketch. Tests: sdk-sketches runs device/examples/DropIn. */
#ifndef MOLT_HTTP_UPDATE_H
#define MOLT_HTTP_UPDATE_H

#include <string.h>

#include "ports/arduino.h"

enum t_httpUpdate_return { HTTP_UPDATE_FAILED, HTTP_UPDATE_NO_UPDATES, HTTP_UPDATE_OK };

class MoltHttpUpdate
{
  public:
    t_httpUpdate_return update(Client &client, const String &url, const String &currentVersion = "")
    {
        const bool isFirst = url_[0] == '\0';
        if (isFirst) {
            if (strlcpy(url_, url.c_str(), sizeof url_) >= sizeof url_ ||
                strlcpy(version_, currentVersion.c_str(), sizeof version_) >= sizeof version_) {
                url_[0] = '\0';
                return fail(MOLT_ARG);
            }
            Molt.config.source = MOLT_SOURCE_URL;
            if (version_[0] != '\0') Molt.config.version = version_;
            Molt.onProgress(tellProgress);
            Molt.mayRestart(mayRestart);
        }
        if (strcmp(url_, url.c_str()) != 0) return fail(MOLT_ARG);
        Molt.setClient(client); /* it need not outlive this call: nothing is open when a check is over */
        Molt.setSecureClient(client);
        if (isFirst && Molt.begin(url_) < 0) {
            url_[0] = '\0';
            return fail(Molt.lastReason());
        }
        isStarted_ = false;
        const int reason = Molt.run(UINT32_MAX, false);
        if (reason == MOLT_UP_TO_DATE) return HTTP_UPDATE_NO_UPDATES;
        return reason == MOLT_OFFERED ? HTTP_UPDATE_OK : fail(reason);
    }

    t_httpUpdate_return update(Client &client, const String &host, uint16_t port, const String &uri = "/",
                               const String &currentVersion = "")
    {
        char url[sizeof url_] = "http://", digits[7] = ":";
        size_t at = 1;
        for (uint16_t unit = 10000; unit > 0; unit = static_cast<uint16_t>(unit / 10)) {
            if (at > 1 || port / unit > 0) digits[at++] = static_cast<char>('0' + port / unit % 10);
        }
        digits[at] = '\0';
        const char *const parts[] = {host.c_str(), digits, uri.c_str()[0] == '/' ? "" : "/", uri.c_str()};
        at = strlen(url);
        for (const char *part : parts) {
            if (at >= sizeof url) break;
            at += strlcpy(url + at, part, sizeof url - at);
        }
        if (at >= sizeof url) return fail(MOLT_ARG);
        return update(client, String(url), currentVersion);
    }

    void rebootOnUpdate(bool reboot)
    {
        reboot_ = reboot;
    }
    void closeConnectionsOnUpdate(bool)
    {
    } /* the sketch's own end with the restart */
    void setClientTimeout(int)
    {
    }
    void setLedPin(int pin = -1, uint8_t on = HIGH)
    {
        led_ = pin;
        ledOn_ = on;
        if (pin >= 0) pinMode(static_cast<uint8_t>(pin), OUTPUT);
    }

    void onStart(void (*callback)())
    {
        on_start_ = callback;
    }
    void onEnd(void (*callback)())
    {
        on_end_ = callback;
    }
    void onProgress(void (*callback)(int done, int total))
    {
        on_progress_ = callback;
    }
    void onError(void (*callback)(int error))
    {
        on_error_ = callback;
    }

    int getLastError() const
    {
        return error_;
    }
    String getLastErrorString() const
    {
        return String(MoltClass::sentenceOf(error_));
    }

  private:
    static MoltHttpUpdate &the();

    t_httpUpdate_return fail(int reason)
    {
        error_ = reason;
        if (on_error_ != nullptr) on_error_(reason);
        return HTTP_UPDATE_FAILED;
    }

    static void tellProgress(uint32_t done, uint32_t total)
    {
        MoltHttpUpdate &me = the();
        if (!me.isStarted_ && me.on_start_ != nullptr) me.on_start_();
        me.isStarted_ = true;
        me.isLit_ = !me.isLit_;
        if (me.led_ >= 0) digitalWrite(static_cast<uint8_t>(me.led_), me.isLit_ ? me.ledOn_ : !me.ledOn_);
        if (me.on_progress_ != nullptr) me.on_progress_(static_cast<int>(done), static_cast<int>(total));
    }

    static bool mayRestart()
    {
        MoltHttpUpdate &me = the();
        if (me.isStarted_ && me.on_end_ != nullptr) me.on_end_();
        me.isStarted_ = false; /* said once */
        return me.reboot_;
    }

    char url_[200] = "", version_[40] = "";
    void (*on_start_)() = nullptr;
    void (*on_end_)() = nullptr;
    void (*on_progress_)(int, int) = nullptr;
    void (*on_error_)(int) = nullptr;
    int error_ = 0, led_ = -1;
    uint8_t ledOn_ = HIGH;
    bool reboot_ = true, isStarted_ = false, isLit_ = false;
};

/* One device, one updater, with the name that each core gave it. */
static MoltHttpUpdate ESPhttpUpdate;
static MoltHttpUpdate &httpUpdate __attribute__((unused)) = ESPhttpUpdate;

inline MoltHttpUpdate &MoltHttpUpdate::the()
{
    return ESPhttpUpdate;
}

#endif
