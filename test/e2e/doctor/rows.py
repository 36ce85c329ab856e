"""rows - the table of broken servers: how each misbehaves, what it must be called, what the real clients printed."""

import gzip
import hashlib
import ssl

from broken_server import AT_ONCE, READ, RESET

MAC8266, MAC32 = "5CCF7F0A0B0C", "240AC4000001"


class Row:
    """behaviour: a function of the lab that gives a function of the request; codes: client -> observed number, or (number, text);
    variants: (client, beginning of the setting) -> number; numbers: client -> BearSSL's or mbedTLS's number."""

    def __init__(self, name, cause, behaviour, codes=None, url="http://127.0.0.1:PORT/x.bin", options=(), tls=None, works=False,
                 variants=None, numbers=None, evidence=""):
        self.name, self.cause, self.behaviour, self.codes = name, cause, behaviour, codes or {}
        self.url, self.options, self.tls, self.works = url, options, tls, works
        self.variants, self.numbers, self.evidence = variants or {}, numbers or {}, evidence


def both(code):
    return {"esp8266": code, "esp32": code}


def head(status="200 OK", *lines, length=None):
    text = [f"HTTP/1.1 {status}", "Connection: close", *lines]
    if length is not None:
        text.append(f"Content-Length: {length}")
    return ("\r\n".join(text) + "\r\n\r\n").encode()


def plain(body_of, *lines, status="200 OK"):
    """Always this body, with its length; {MD5} in a header is the body's."""
    def behaviour(lab):
        body = body_of(lab)
        md5 = hashlib.md5(body).hexdigest()
        filled = [line.replace("{MD5}", md5).replace("{MD5-UPPER}", md5.upper()) for line in lines]

        def answer(request):
            yield head(status, *filled, length=len(body)) + (b"" if request.method == "HEAD" else body)
        return answer
    return behaviour


def raw(data):
    def behaviour(lab):
        def answer(request):
            yield data
        return answer
    return behaviour


def status(code, *lines, body=b""):
    return raw(head(code, *lines, length=len(body)) + body)


def with_version(text, body_of, *lines):
    """text as .version, body_of as .bin."""
    def behaviour(lab):
        body = body_of(lab)

        def answer(request):
            if request.path.endswith(".version"):
                yield head(length=len(text)) + text
            else:
                yield head("200 OK", *lines, length=len(body)) + body
        return answer
    return behaviour


def beside(text, body_of):
    """text as the list of builds, body_of as the image beside it; with ranges."""
    def behaviour(lab):
        body = body_of(lab)

        def answer(request):
            if request.path.endswith(".json"):
                yield head(length=len(text)) + text
            else:
                yield head(length=len(body)) + (b"" if request.method == "HEAD" else body)
        return answer
    return behaviour


def steps(*parts):
    """Each part a function of the lab that gives bytes, a number of seconds, READ or RESET."""
    def behaviour(lab):
        ready = [part(lab) if callable(part) else part for part in parts]

        def answer(request):
            yield from ready
        return answer
    return behaviour


def esp8266(lab):
    return lab.esp8266


def esp32(lab):
    return lab.esp32


def chunks(body):
    return f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"


def only_if(condition, refusal, body_of=esp8266):
    """The file when the condition on the request holds, else the refusal's bytes."""
    def behaviour(lab):
        body = body_of(lab)

        def answer(request):
            yield head(length=len(body)) + body if condition(request) else refusal
        return answer
    return behaviour


def drip(lab):
    def answer(request):
        yield head(length=len(lab.esp8266)) + lab.esp8266[:600]
        for i in range(600, len(lab.esp8266)):
            yield 0.05
            yield lab.esp8266[i:i + 1]
    return answer


def elsewhere_404(page):
    """The page for x.bin alone."""
    def behaviour(lab):
        def answer(request):
            if request.path == "/x.bin":
                yield head(length=len(page)) + page
            else:
                yield head("404 Not Found", length=0)
        return answer
    return behaviour


def merged(lab):
    image = bytearray(b"\xff" * 0x10000 + lab.esp32c3)
    image[0:24] = lab.esp32c3[0:24]
    image[0x8000:0x8020] = b"\xaa\x50\x01\x02" + (0x9000).to_bytes(4, "little") + (0x5000).to_bytes(4, "little") + b"nvs".ljust(20, b"\0")
    return bytes(image)


def damaged(lab):
    image = bytearray(lab.esp32)
    image[-40] ^= 1
    return bytes(image)


def bootloader(lab):
    image = bytearray(lab.esp32)
    image[24:28] = (0x3FFF0030).to_bytes(4, "little")  # not where an application's first segment is mapped
    image[0x20:0x70] = b"\x50\0\0\0" + (1).to_bytes(4, "little") + b"v5.1.2".ljust(32, b"\0") + b"Nov 25 2026 00:00:00".ljust(24, b"\0") + b"\0" * 16
    return bytes(image)


def ranges_wrong(lab):
    body = lab.esp32

    def answer(request):
        if "range" in request.headers:
            piece = body[4096:8192]
            yield head("206 Partial Content", f"Content-Range: bytes 4096-8191/{len(body)}", length=len(piece)) + piece
        else:
            yield head(length=len(body)) + (b"" if request.method == "HEAD" else body)
    return answer


def head_shorter(lab):
    def answer(request):
        if request.method == "HEAD":
            yield head(length=0)
        else:
            yield head(length=len(lab.esp32)) + lab.esp32
    return answer


def patient_http(lab):
    """Plain HTTP that reads on until it sees an empty line, which a TLS hello never has."""
    return lambda server, connection: server.answer(connection.recv, connection.sendall, connection)


def spiffs(lab):
    """Eight blocks of 8 KiB with pages of 256 bytes; the first page of each ends with the magic of both sizes."""
    block = bytearray(b"\xff" * 8192)
    block[0:4] = b"\x01\x80\x01\x00"
    block[252:254] = ((0x20140529 ^ 256 ^ 8) & 0xFFFF).to_bytes(2, "little")
    return bytes(block) * 8


def signed8266(lab):
    """As signing.py of the core writes it: the image, a signature of an RSA-2048 key, its length."""
    return lab.esp8266 + b"\x5a" * 256 + (256).to_bytes(4, "little")


def redirect_to_404(lab):
    def answer(request):
        yield head("302 Found", "Location: /gone.bin", length=0) if request.path == "/x.bin" else head("404 Not Found", length=0)
    return answer


def redirect_to_itself(lab):
    """To another address of the same server, written in full."""
    def answer(request):
        if request.path == "/x.bin":
            yield head("301 Moved Permanently", f"Location: http://{request.headers['host']}/y.bin", length=0)
        else:
            yield head(length=len(lab.esp8266)) + lab.esp8266
    return answer


FOLLOW = "setFollowRedirects"
HTTPS = "https://localhost:PORT/x.bin"
HTML = b"<!DOCTYPE html><html><body><h1>It works!</h1></body></html>"
PORTAL = b"<html><head><title>Captive Portal</title></head><body>Please log in</body></html>"
WARNING = b"<br />\n<b>Warning</b>:  filesize(): stat failed in <b>/var/www/ota.php</b> on line <b>12</b><br />\n"

PLAIN = [
    # -- reaching it
    Row("nothing listens", "connect-failed", None, both(-1)),
    Row("no such name", "no-such-host", None, both(-1), url="http://no-such-host.invalid:PORT/x.bin"),
    Row("closed without an answer", "connection-lost", raw(b""), both(-5)),
    Row("closed before it is asked", "connection-lost", plain(esp8266), both(-2), tls=lambda lab: AT_ONCE, variants={("esp8266", "the close comes while"): -4, ("esp32", "the close comes while"): -4, ("esp8266", "the close comes behind"): -5}),
    Row("reset without an answer", "connection-lost", steps(RESET), both(-5)),
    Row("another protocol", "not-http", raw(b"hello\r\n\r\n"), both(-7)),
    Row("SSH", "not-http", raw(b"SSH-2.0-OpenSSH_9.2p1\r\n"), both(-5)),
    Row("no answer in time", "timeout", steps(600), both(-11), options=("--timeout", "5000")),
    Row("https to an http port", "https-to-http-port", plain(esp8266), both(-1), url=HTTPS, numbers={"esp8266": 3, "esp32": -29184}),
    Row("https to an http port that waits for more", "https-to-http-port", plain(esp8266), both(-1), url=HTTPS, tls=patient_http, options=("--timeout", "5000")),
    # -- statuses
    Row("404", "http-not-found", status("404 Not Found"), both(-102)),
    Row("403", "http-forbidden", status("403 Forbidden"), both(-103)),
    Row("401", "unauthorized", status("401 Unauthorized"), {"esp8266": -108, "esp32": -104}),
    Row("wrong password", "unauthorized", only_if(lambda r: r.headers.get("authorization") == "Basic dTpw", head("401 Unauthorized", length=0)), {"esp8266": -108, "esp32": -104}, url="http://u:q@127.0.0.1:PORT/x.bin"),
    Row("401, core 2.7.4", "unauthorized", status("401 Unauthorized"), {"esp8266": -104}, options=("--core", "2.7.4")),
    Row("500", "server-error", status("500 Internal Server Error"), both(-104)),
    Row("502 of a gateway", "gateway-error", status("502 Bad Gateway"), both(-104)),
    Row("503", "server-busy", status("503 Service Unavailable", "Retry-After: 60"), both(-104)),
    Row("206 to a plain GET", "http-status", lambda lab: plain(esp8266, status="206 Partial Content")(lab), both(-104)),
    Row("HTTP/1.0 refused with 505", "http-1.0-refused", only_if(lambda r: r.protocol == "HTTP/1.1", head("505 HTTP Version Not Supported", length=0)), both(-104)),
    Row("HTTP/1.0 refused with 426", "http-1.0-refused", only_if(lambda r: r.protocol == "HTTP/1.1", head("426 Upgrade Required", "Upgrade: HTTP/1.1", length=0)), both(-104)),
    Row("User-Agent refused", "user-agent-refused", only_if(lambda r: "Mozilla" in r.headers.get("user-agent", ""), head("403 Forbidden", length=0)), both(-103)),
    Row("a proxy strips the x-headers", "headers-stripped", status("403 Forbidden", body=b"only for ESP8266 updater!\n"), both(-103)),
    # -- redirects
    Row("302 to a path", "redirect", only_if(lambda r: r.path != "/x.bin", head("302 Found", "Location: /y.bin", length=0)), both(-104), variants={("esp8266", FOLLOW): 0}),
    Row("302 to a path, ESP32", "redirect", only_if(lambda r: r.path != "/x.bin", head("302 Found", "Location: /y.bin", length=0), esp32), both(-104) | {"idf": 0}, options=("--chip", "esp32"), variants={("esp32", FOLLOW): 0}),
    Row("302 with a body", "redirect", only_if(lambda r: r.path != "/x.bin", head("302 Found", "Location: /y.bin", length=13) + b"see elsewhere"), both(-104), variants={("esp8266", FOLLOW): 0, ("esp32", FOLLOW): -2}),
    Row("302 to a page that is missing", "redirect", redirect_to_404, both(-104), variants={("esp8266", FOLLOW): -102, ("esp32", FOLLOW): -102}),
    Row("301 to another server's address", "redirect", redirect_to_itself, both(-104), variants={("esp8266", FOLLOW): 0}),
    Row("307 to another address", "redirect", status("307 Temporary Redirect", "Location: http://127.0.0.1:1/y.bin"), both(-104)),
    Row("301 from http to https", "redirect-to-https", status("301 Moved Permanently", "Location: https://ota.example.org/x.bin"), both(-104), variants={("esp8266", FOLLOW): -104, ("esp32", FOLLOW): -104}),
    Row("308", "redirect-308", only_if(lambda r: r.path != "/x.bin", head("308 Permanent Redirect", "Location: /y.bin", length=0)), both(-104), variants={("esp8266", FOLLOW): -104, ("esp32", FOLLOW): -104}),
    Row("relative Location", "redirect-relative", only_if(lambda r: r.path != "/x.bin", head("302 Found", "Location: files/y.bin", length=0)), both(-104), variants={("esp8266", FOLLOW): -104, ("esp32", FOLLOW): -104}),
    Row("redirect loop", "redirect-loop", status("302 Found", "Location: /x.bin"), both(-104), variants={("esp8266", FOLLOW): -104, ("esp32", FOLLOW): -104}),
    Row("redirect without a Location", "redirect-refused", status("302 Found"), both(-104)),
    Row("captive portal redirects", "captive-portal", status("302 Found", "Location: http://login.hotel.example/guest?dst=x"), both(-104)),
    Row("captive portal answers", "captive-portal", raw(head(length=len(PORTAL)) + PORTAL), both(-106)),
    # -- length and encoding
    Row("chunked", "chunked", lambda lab: raw(head("200 OK", "Transfer-Encoding: chunked") + chunks(lab.esp8266))(lab), both(-101)),
    Row("no length", "no-content-length", lambda lab: raw(head() + lab.esp8266)(lab), both(-101)),
    Row("length 0", "zero-length", raw(head(length=0)), both(-101)),
    Row("chunked and length", "chunked-and-length", lambda lab: raw(head("200 OK", "Transfer-Encoding: chunked", length=len(chunks(lab.esp8266))) + chunks(lab.esp8266))(lab), both(-106)),
    Row("Transfer-Encoding: gzip", "transfer-encoding", plain(esp8266, "Transfer-Encoding: gzip"), both(-9)),
    Row("Transfer-Encoding: identity", "transfer-encoding", plain(esp8266, "Transfer-Encoding: identity"), {"esp8266": -9}),
    Row("Content-Encoding: gzip to an ESP32", "content-encoded", plain(lambda lab: gzip.compress(lab.esp32), "Content-Encoding: gzip"), {"esp32": -106}),
    Row("a .gz to an ESP32", "content-encoded", plain(lambda lab: gzip.compress(lab.esp32)), {"esp32": -106}, options=("--chip", "esp32")),
    # -- x-MD5
    Row("wrong x-MD5", "wrong-md5", plain(esp8266, "x-MD5: " + "0" * 32), {"esp8266": 7}),
    Row("wrong x-MD5, ESP32", "wrong-md5", plain(esp32, "x-MD5: " + "0" * 32), {"esp32": 7}),
    Row("x-MD5 of 30 digits", "bad-md5-header", plain(esp8266, "x-MD5: " + "0" * 30), both(-105), variants={("esp8266", "a second update()"): 15}),
    Row("x-MD5 of 30 digits, ESP32", "bad-md5-header", plain(esp32, "x-MD5: " + "0" * 30), {"esp32": -105}, variants={("esp32", "a second update()"): 0}),
    Row("x-MD5 of 30 digits, core 2.7.4", "bad-md5-header", plain(esp8266, "x-MD5: " + "0" * 30), {"esp8266": -105}, options=("--core", "2.7.4"), variants={("esp8266", "a second update()"): 0}),
    Row("x-MD5 in quotes", "bad-md5-header", plain(esp8266, 'x-MD5: "{MD5}"'), {"esp8266": -105}),
    Row("x-MD5 twice", "two-md5-headers", plain(esp8266, "x-MD5: {MD5}", "x-MD5: {MD5}"), {"esp8266": -105}),
    Row("x-MD5 in capitals", "md5-in-capitals", plain(esp32, "X-MD5: {MD5-UPPER}"), {"esp32": 7}),
    Row("x-MD5 of the unpacked image", "wrong-md5", lambda lab: plain(lambda l: gzip.compress(l.esp8266), "x-MD5: " + hashlib.md5(lab.esp8266).hexdigest())(lab), both(7) | {"esp32": -106}),
    # -- how it comes
    Row("the head is flushed alone", "late-first-byte", steps(lambda lab: head(length=len(lab.esp32)), READ, 2, esp32), {"esp32": -106}, options=("--chip", "esp32")),
    Row("late first byte of one packet", "late-first-byte", steps(lambda lab: head("200 OK", "x-MD5: " + hashlib.md5(lab.esp32).hexdigest(), length=len(lab.esp32)), READ, 2, lambda lab: lab.esp32[:1], lambda lab: lab.esp32[1:]), {"esp32": -106}, options=("--chip", "esp32")),
    Row("nothing behind the head", "empty-body", raw(head(length=40000)), {"esp8266": -106}, options=("--timeout", "5000", "--chip", "esp8266")),
    Row("a file of one byte", "empty-file", plain(lambda lab: lab.esp32[:1]), {"esp8266": -106, "esp32": (1, "Update error: Flash Write Failed"), "idf": -1}, options=("--timeout", "5000")),
    Row("half, then closed", "body-cut", steps(lambda lab: head(length=len(lab.esp8266)) + lab.esp8266[:30000]), {"esp8266": 6}),
    Row("half, then closed, ESP32", "body-cut", steps(lambda lab: head(length=len(lab.esp32)) + lab.esp32[:30000]), {"esp32": 6}),
    Row("half, then reset", "body-cut", steps(lambda lab: head(length=len(lab.esp8266)) + lab.esp8266[:30000], READ, RESET), {"esp8266": 6}),
    Row("half, then silence", "stalled-body", steps(lambda lab: head(length=len(lab.esp8266)) + lab.esp8266[:30000], 600), {"esp8266": 6}, options=("--timeout", "5000")),
    Row("slow drip", "slow-body", drip, {}, options=("--timeout", "2500")),
    # -- the file
    Row("soft 404", "soft-404", raw(head(length=len(HTML)) + HTML), both(-106)),
    Row("an error page was uploaded", "text-not-firmware", elsewhere_404(HTML), both(-106)),
    Row("a PHP warning before the binary", "text-before-image", plain(lambda lab: WARNING + lab.esp8266), both(-106)),
    Row("a byte order mark before the binary", "text-before-image", plain(lambda lab: b"\xef\xbb\xbf" + lab.esp8266), both(-106)),
    Row("image for another chip", "wrong-chip", plain(esp32), {"esp8266": 0}, options=("--chip", "esp8266")),
    Row("C3 image for an ESP32", "wrong-chip", plain(lambda lab: lab.esp32c3), {"esp32": 9}, options=("--chip", "esp32")),
    Row("ESP8266 image for an ESP32", "wrong-chip", plain(esp8266), {"esp32": 9}, options=("--chip", "esp32")),
    Row("merged image", "merged-image", plain(merged), {"esp32": 9}, options=("--chip", "esp32c3")),
    Row("bootloader", "bootloader-image", plain(bootloader), {"esp32": 9}),
    Row("begins as gzip and is none", "unknown-file", plain(lambda lab: b"\x1f\x9d" + lab.esp8266[2:]), {"esp8266": (10, "Update error: ERROR[10]: Magic byte is not 0xE9"), "esphome": 0x84}),
    Row("not an image, esp32FOTA", "unknown-file", plain(lambda lab: b"\x00" + lab.esp32[1:]), {"esp32": -106, "esp32fota": 8}, options=("--chip", "esp32")),
    Row("too big for an ESP32", "too-large-for-device", plain(lambda lab: lab.esp32 + b"\xff" * (2000000 - len(lab.esp32))), {"esp32": -100, "esp32fota": 5, "idf": 0x104, "esphome": 0x89}, options=("--chip", "esp32")),
    Row("signed by the Arduino core", "signed-image", plain(signed8266), {"esp8266": 0}, works=True),
    Row("ELF", "elf-not-bin", plain(lambda lab: b"\x7fELF\x01\x01\x01" + b"\0" * 4000), both(-106)),
    Row("Intel HEX", "hex-not-bin", plain(lambda lab: b":020000040000FA\r\n" * 100), both(-106)),
    Row("LittleFS image", "filesystem-image", plain(lambda lab: b"\x01\0\0\0\xf0\x0f\xff\xf7littlefs" + b"\xff" * 8176), both(-106) | {"esphome": 0x84}),
    Row("SPIFFS image", "filesystem-image", plain(spiffs), both(-106)),
    Row("partition table", "partition-table", plain(lambda lab: b"\xaa\x50\x01\x02" + b"\0" * 28 + b"\xff" * 3040), both(-106)),
    Row("too big", "too-large-for-device", plain(lambda lab: lab.esp8266 + b"\xff" * (3000000 - len(lab.esp8266))), both(-100)),
    Row("too big for 1M64", "too-large-for-device", plain(lambda lab: lab.middle), {"esp8266": -100}, options=("--layout", "1M64", "--sketch-size", "600000")),
    Row("too big for the free space that is left", "too-large-for-device", plain(esp8266), {"esp8266": -100}, options=("--chip", "esp8266", "--free-space", "57344")),
    Row("fits, and the copy would write over it", "too-large-for-device", plain(lambda lab: lab.middle), {"esp8266": 0}, options=("--chip", "esp8266", "--free-space", "413696", "--sketch-size", "50000")),
    Row("built for 16 MB of flash", "flash-too-small", plain(lambda lab: lab.big_flash), {"esp8266": -107}),
    Row("built for 4 MB, the chip has 1", "flash-too-small", plain(esp8266), {"esp8266": -107}, options=("--layout", "1M64",)),
    Row("the same as gzip", "flash-too-small", plain(lambda lab: gzip.compress(lab.esp8266)), {"esp8266": 0}, options=("--layout", "1M64",), works=True),
    Row("damaged image", "bad-checksum", plain(damaged), {"esp32": 9}),
    Row("cut image under its own length", "truncated-image", plain(lambda lab: lab.esp32[:50000]), {"esp32": 9}),
    Row("cut gzip", "bad-gzip", plain(lambda lab: gzip.compress(lab.esp8266)[:-2000]), {"esp8266": 0}),
    # -- the version file
    Row("version with BOM", "version-with-bom", with_version(b"\xef\xbb\xbf1002\n", esp8266), {"esp8266": 0}, url="http://127.0.0.1:PORT/x.version", evidence="ef bb bf 31 30 30 32 0a"),
    Row("version in UTF-16", "version-with-bom", with_version("\ufeff1002\r\n".encode("utf-16-le"), esp8266), {"esp8266": (0, "- Already on latest version")}, url="http://127.0.0.1:PORT/x.version", evidence="ff fe 31 00 30 00"),
    Row("version in UTF-16, big end first", "version-with-bom", with_version("\ufeff1002\n".encode("utf-16-be"), esp8266), {"esp8266": 0}, url="http://127.0.0.1:PORT/x.version", evidence="fe ff 00 31"),
    Row("version of 5 kB of blanks", "version-not-digits", with_version(b" " * 5000 + b"1002\n", esp8266), url="http://127.0.0.1:PORT/x.version", evidence="20 20 20"),
    Row("version v1002", "version-not-digits", with_version(b"v1002\n", esp8266), {"esp8266": (0, "- Already on latest version")}, url="http://127.0.0.1:PORT/x.version", evidence="76 31 30 30 32 0a"),
    Row("version is a page", "version-is-a-page", with_version(HTML, esp8266), {"esp8266": 0}, url="http://127.0.0.1:PORT/x.version", evidence="3c 21 44 4f"),
    Row("version of twelve digits", "version-too-large", with_version(b"202611251200\n", esp8266), {"esp8266": (0, "")}, url="http://127.0.0.1:PORT/x.version", options=("--version", "1000"), evidence="32 30 32 36"),
    Row("version file missing", "http-not-found", status("404 Not Found"), {"esp8266": 404}, url="http://127.0.0.1:PORT/x.version"),
    Row("version file redirected", "redirect", only_if(lambda r: r.path == "/y", head("302 Found", "Location: /y", length=0)), {"esp8266": 302}, url="http://127.0.0.1:PORT/x.version"),
    Row("loop back to the old bin", "bin-older-than-version", with_version(b"1002\n", esp8266), url="http://127.0.0.1:PORT/x.version"),
    Row("the .version was not raised", "version-older-than-bin", with_version(b"1000\n", esp8266), {"esp8266": (0, "- Already on latest version")}, url="http://127.0.0.1:PORT/x.version", options=("--version", "1000")),
    Row("the .version was not raised, for an older device", "version-older-than-bin", with_version(b"1000\n", esp8266), {"esp8266": 0}, url="http://127.0.0.1:PORT/x.version", options=("--version", "999"), works=True),
    Row("a cache keeps the old bin", "cached-old-file", with_version(b"1002\n", esp8266, "Age: 86400", "X-Cache: HIT"), url="http://127.0.0.1:PORT/x.version"),
    Row("missing slash", "missing-slash", only_if(lambda r: r.path.startswith("/fota/"), head("404 Not Found", length=0)), {"esp8266": 404}, url="http://127.0.0.1:PORT/fota", options=("--mac", MAC8266)),
    # -- esp_https_ota and lists of builds
    Row("HEAD says another length", "head-refused", head_shorter, {"idf": 0, "esp32": 0}),
    Row("HEAD and ranges are refused", "head-refused", only_if(lambda r: r.method == "GET" and "range" not in r.headers, head("405 Method Not Allowed", length=0), esp32), {"idf": 0, "idf-partial": -1, "esp32": 0}),
    Row("ranges are answered with other bytes", "range-mismatch", ranges_wrong, {"idf": 0, "esp32": 0}),
    Row("manifest in chunks", "unreadable-manifest", raw(head("200 OK", "Transfer-Encoding: chunked") + chunks(b'{"type":"x","version":2,"url":"/x.bin"}')), url="http://127.0.0.1:PORT/x.json"),
    Row("manifest is a page", "unreadable-manifest", raw(head(length=len(HTML)) + HTML), url="http://127.0.0.1:PORT/x.json"),
]

# ---- TLS ----------------------------------------------------------------------------------------------------



def certificate(name, change=None, **how):
    return lambda lab: lab.context(name, change, **how)


def only_camellia(context):
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("CAMELLIA256-SHA256:ECDHE-ECDSA-CAMELLIA256-SHA384")


def only_13(context):
    context.minimum_version = ssl.TLSVersion.TLSv1_3


def split_record(count):
    """The record of 512 bytes that ends the head holds count bytes of the file."""
    def behaviour(lab):
        body = lab.esp8266
        bare = len(head("200 OK", "x-pad: ", length=len(body)))
        first = head("200 OK", "x-pad: " + "." * (512 - count - bare), length=len(body))

        def answer(request):
            yield first + body[:count]
            yield body[count:]
        return answer
    return behaviour


def without_mfln(record_size):
    """A TLS server that has never heard of max_fragment_length (tlslite-ng), with records of this size."""
    def tls_of(lab):
        from tlslite.api import HandshakeSettings, TLSConnection, X509CertChain, parsePEMKey
        chain, key = lab.authority.server(f"rsa{record_size}", key=("rsa:2048",))
        certificates = X509CertChain()
        certificates.parsePemList(open(chain).read())
        private = parsePEMKey(open(key).read(), private=True)
        settings = HandshakeSettings()
        settings.maxVersion = (3, 3)

        def serve(server, connection):
            tls = TLSConnection(connection)
            tls.handshakeServer(certChain=certificates, privateKey=private, settings=settings)
            tls.recordSize = record_size
            server.answer(lambda n: tls.recv(n), lambda data: tls.sendall(data), connection)
            tls.close()
        return serve
    return tls_of


TLS = [
    Row("TLS 1.3 only", "tls-1.3-only", plain(esp8266), both(-1), url=HTTPS, tls=certificate("only13", only_13), numbers={"esp8266": 70, "esp32": -30592, "idf": -30592}),
    Row("expired", "certificate-expired", plain(esp8266), both(-1), url=HTTPS, tls=certificate("expired", days=(-60, -1)), numbers={"esp8266": 54, "esp32": -9984}),
    Row("not yet valid", "certificate-not-yet-valid", plain(esp8266), both(-1), url=HTTPS, tls=certificate("early", days=(1, 60)), numbers={"esp8266": 54, "esp32": -9984}),
    Row("another name", "certificate-name", plain(esp8266), both(-1), url=HTTPS, tls=certificate("other", san="DNS:other.example"), numbers={"esp8266": 56, "esp32": -9984}),
    Row("IP number in the address", "ip-address-in-https", plain(esp8266), both(-1), url="https://127.0.0.1:PORT/x.bin", tls=certificate("address", san="IP:127.0.0.1,DNS:localhost"), numbers={"esp8266": 56, "esp32": -9984, "esphome": 0}),
    Row("intermediate not sent", "certificate-chain", plain(esp8266), both(-1), url=HTTPS, tls=certificate("lone", extra=("authorityInfoAccess=caIssuers;URI:http://ca.example/ca.crt",))),
    Row("no cipher in common", "tls-failed", plain(esp8266), both(-1), url=HTTPS, tls=certificate("cbc", only_camellia), numbers={"esp8266": 40, "esp32": -30592}),
    Row("intermediate not sent, root on this machine", "certificate-expires-soon", plain(esp8266), {"esp8266": 0}, url=HTTPS, tls=certificate("soonlone", days=(-80, 5), extra=("authorityInfoAccess=caIssuers;URI:http://ca.example/ca.crt",)), works=True, options=("--here",)),
    Row("RSA-4096", "certificate-key-too-large", plain(esp8266), {"esp8266": 0}, url=HTTPS, tls=certificate("rsa4096", key=("rsa:4096",)), works=True),
    Row("expires in five days", "certificate-expires-soon", plain(esp8266), {"esp8266": 0}, url=HTTPS, tls=certificate("soon", days=(-80, 5)), works=True),
    Row("http to an https port", "http-to-https-port", plain(esp8266), both(-5), tls=certificate("plain")),
    Row("1 byte of the file in the head's record", "split-tls-record", split_record(1), {"esp8266": -106}, url=HTTPS, tls=certificate("split1")),
    Row("2 bytes of the file in the head's record", "split-tls-record", split_record(2), {"esp8266": -106}, url=HTTPS, tls=certificate("split2")),
    Row("3 bytes of the file in the head's record", "split-tls-record", split_record(3), {"esp8266": -106}, url=HTTPS, tls=certificate("split3")),
    Row("no max_fragment_length, small records", "no-mfln", plain(esp8266), {"esp8266": 0}, url=HTTPS, tls=without_mfln(1024), options=("--tls-buffer", "4096", "--chip", "esp8266"), works=True),
    Row("no max_fragment_length, big records", "tls-record-too-large", plain(esp8266), {"esp8266": -5}, url=HTTPS, tls=without_mfln(16384), options=("--tls-buffer", "4096", "--chip", "esp8266"), numbers={"esp8266": 6}),
    Row("chunked over TLS", "chunked", lambda lab: raw(head("200 OK", "Transfer-Encoding: chunked") + chunks(lab.esp8266))(lab), both(-101), url=HTTPS, tls=certificate("chunked")),
    Row("wrong x-MD5 over TLS", "wrong-md5", plain(esp8266, "x-MD5: " + "0" * 32), {"esp8266": 7}, url=HTTPS, tls=certificate("md5")),
]

# ---- good servers, and sketches that are set otherwise ------------------------------------------------------

VARIANTS = [
    Row("getAvailableVersion() without x-version", None, plain(esp8266), variants={("esp8266", "getAvailableVersion()"): -109}),
    Row("a sketch with a signing key", None, plain(esp8266), variants={("esp8266", "the sketch has a signing key"): 12}),
    Row("a sketch with a signing key, ESP32", None, plain(esp32), variants={("esp32", "the sketch has a signing key"): 14}, options=("--core", "esp32-3.x")),
]

# ---- the clients' bytes -------------------------------------------------------------------------------------

# As the unmodified libraries were seen to send them ({...}: what depends on the chip), ESP-IDF, ESPHome and Tasmota as their
# sources write them. Every line ends with CR LF, an empty line ends the head.
X8266 = ["x-ESP8266-Chip-ID: 658188", "x-ESP8266-STA-MAC: 5C:CF:7F:0A:0B:0C", "x-ESP8266-AP-MAC: 5E:CF:7F:0A:0B:0C", "x-ESP8266-free-space: 1695744",
         "x-ESP8266-sketch-size: 400000", "x-ESP8266-sketch-md5: {32}", "x-ESP8266-chip-size: 4194304", "x-ESP8266-sdk-version: 2.2.2-dev(38a443e)"]
X32 = ["x-ESP32-STA-MAC: 5C:CF:7F:0A:0B:0C", "x-ESP32-AP-MAC: 5C:CF:7F:0A:0B:0D", "x-ESP32-free-space: 1310720", "x-ESP32-sketch-size: 400000",
       "x-ESP32-sketch-md5: {32}", "x-ESP32-sketch-sha256: {64}", "x-ESP32-chip-size: 4194304", "x-ESP32-sdk-version: v4.4.1-472-gc9140caf8c"]
ACCEPT = "Accept-Encoding: identity;q=1,chunked;q=0.1,*;q=0"
BYTES8266 = {
    "the .version": ["GET /x.version HTTP/1.1", "Host: {host}", "User-Agent: ESP8266HTTPClient", ACCEPT, "Connection: keep-alive", "Content-Length: 0"],
    "esp8266": ["GET /x.bin HTTP/1.0", "Host: {host}", "User-Agent: ESP8266-http-Update", "Connection: close", *X8266, "x-ESP8266-mode: sketch", "Content-Length: 0"],
    "getAvailableVersion()": ["GET /x.bin HTTP/1.0", "Host: {host}", "User-Agent: ESP8266-http-Update", "Connection: close", *X8266, "x-ESP8266-mode: version", "Content-Length: 0"],
    "esphome": ["GET /x.bin HTTP/1.1", "Host: {host}", "User-Agent: ESPHome/2024.11.0 (https://esphome.io)", ACCEPT, "Connection: keep-alive", "Content-Length: 0"],
    "tasmota": ["GET /x.bin HTTP/1.0", "Host: {host}", "User-Agent: ESP8266-http-Update", "Connection: close", *X8266, "x-ESP8266-mode: sketch", "x-ESP8266-version: 14.6.0(tasmota)", "Content-Length: 0"],
}
BYTES32 = {
    "the .version": ["GET /x.version HTTP/1.1", "Host: {host}", "User-Agent: ESP32HTTPClient", "Connection: keep-alive", ACCEPT],
    "esp32": ["GET /x.bin HTTP/1.0", "Host: {host}", "User-Agent: ESP32-http-Update", "Connection: close", "Cache-Control: no-cache", *X32, "x-ESP32-mode: sketch"],
    "idf": ["GET /x.bin HTTP/1.1", "User-Agent: ESP32 HTTP Client/1.0", "Host: {host}"],
    "idf-partial, HEAD": ["HEAD /x.bin HTTP/1.1", "User-Agent: ESP32 HTTP Client/1.0", "Host: {host}"],
    "idf-partial, a piece": ["GET /x.bin HTTP/1.1", "User-Agent: ESP32 HTTP Client/1.0", "Host: {host}", "Range: bytes=0-65535"],
    "esp32fota": ["GET /x.bin HTTP/1.1", "Host: {host}", "User-Agent: ESP32HTTPClient", "Connection: keep-alive", ACCEPT],
    "esphome": ["GET /x.bin HTTP/1.1", "User-Agent: ESPHome/2024.11.0 (https://esphome.io)", "Host: {host}"],
    "tasmota": ["GET /x.bin HTTP/1.0", "Host: {host}", "User-Agent: ESP32-http-Update", "Connection: close", "Cache-Control: no-cache", *X32, "x-ESP32-mode: sketch", "x-ESP32-version: 14.6.0(tasmota)"],
}
