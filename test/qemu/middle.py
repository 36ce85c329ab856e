#!/usr/bin/env python3
"""middle - a server between device and molt that misbehaves in one way, and a time server.

    middle.py UPSTREAM-PORT [--tls CERT KEY] [--without-mfln CERT KEY] [--image-at http | --image-at CERT KEY] [--file FILE]
              [--corrupt] [--endless] [--cut N [--gone | --hold]] [--ntp SECONDS]

Every request goes on to molt at 127.0.0.1:UPSTREAM-PORT and its answer back, but for:
  --tls           it speaks https, by this certificate
  --without-mfln  the same, by a server that has never heard of max_fragment_length (tlslite-ng), in records of 4096 bytes
  --image-at      check-ins are answered with an image at another port: plain, or https by this certificate
  --file          the image is this file, announced with its own length and digest
  --corrupt       one byte of the image is another one
  --endless       the image has no length and no end
  --cut N         the connection ends after N bytes of the first answer with an image that is longer
  --gone          and with it the server
  --hold          and the next answer with an image does not come, nor end
  --ntp           a time server says that it is SECONDS since 1970
Prints "listening http://127.0.0.1:PORT", "image-at PORT", "ntp PORT", then a line a request. Ends when it is killed."""

import argparse
import hashlib
import os
import socket
import ssl
import struct
import sys
import threading

import cbor2

HEAD_MAX = 8192
RAW, URL, ENCODING, FILE_LEN, FILE_DIGEST, IMAGE_LEN, IMAGE_DIGEST = 0, 6, 7, 8, 9, 10, 11
SECONDS_1900_TO_1970 = 2208988800


def say(text):
    print(text, flush=True)


def read_message(receive):
    """Head and body of a request or answer with a length; b"" when nothing came."""
    data = b""
    while b"\r\n\r\n" not in data and len(data) < HEAD_MAX:
        more = receive(4096)
        if not more:
            return b"", b""
        data += more
    head, body = data.split(b"\r\n\r\n", 1)
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        more = receive(65536)
        if not more:
            break
        body += more
    return head, body


def with_length(head, body):
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
    return b"\r\n".join(lines + [b"Content-Length: %d" % len(body)]) + b"\r\n\r\n" + body


class Middle:
    def __init__(self, options):
        self.options = options
        self.image_at = None
        self.is_cut = self.is_held = False
        self.file = open(options.file, "rb").read() if options.file else None

    def upstream(self, head, body):
        with socket.create_connection(("127.0.0.1", self.options.upstream)) as molt:
            molt.sendall(head + b"\r\n\r\n" + body)
            return read_message(molt.recv)

    def check_in(self, head, body):
        """The answer to a check-in, with another image in it."""
        answer = cbor2.loads(body)
        if URL not in answer:
            return with_length(head, body)
        if self.image_at:
            answer[URL] = self.image_at + answer[URL]
        if self.file is not None:
            digest = hashlib.sha256(self.file).digest()
            answer.update({ENCODING: RAW, FILE_LEN: len(self.file), FILE_DIGEST: digest,
                           IMAGE_LEN: len(self.file), IMAGE_DIGEST: digest})
        return with_length(head, cbor2.dumps(answer, canonical=True))

    def image(self, head, body, send):
        if self.file is not None:
            body = self.file
        if self.options.corrupt:
            at = len(body) // 2
            body = body[:at] + bytes([body[at] ^ 0x10]) + body[at + 1:]
        if self.options.endless:
            send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            while True:
                send(body)
        answer = with_length(head, body)
        if self.options.cut and not self.is_cut and len(body) > self.options.cut:
            self.is_cut = True
            send(answer[:answer.index(b"\r\n\r\n") + 4 + self.options.cut])
            if self.options.gone:
                os._exit(0)
            return
        if self.options.hold and not self.is_held:
            self.is_held = True
            threading.Event().wait()
        send(answer)

    def serve(self, receive, send):
        head, body = read_message(receive)
        if not head:
            return
        answer_head, answer_body = self.upstream(head, body)
        ranges = [line.decode() for line in head.split(b"\r\n") if line.lower().startswith(b"range:")]
        say(f"{head.split()[0].decode()} {answer_head.split()[1].decode()} {len(answer_body)} bytes {' '.join(ranges)}")
        if b"/check-in" in head.split(b"\r\n")[0]:
            send(self.check_in(answer_head, answer_body))
        else:
            self.image(answer_head, answer_body, send)


def plain(connection, middle):
    middle.serve(connection.recv, connection.sendall)


def openssl(cert, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)

    def talk(connection, middle):
        with context.wrap_socket(connection, server_side=True) as tls:
            middle.serve(tls.recv, tls.sendall)
            tls.unwrap()
    return talk


def tlslite(cert, key):
    import tlslite.tlsconnection
    tlslite.tlsconnection.is_valid_hostname = lambda name: True  # an address stands there, as BearSSL's client writes it
    from tlslite.api import HandshakeSettings, SessionCache, TLSConnection, X509CertChain, parsePEMKey
    chain = X509CertChain()
    chain.parsePemList(open(cert).read())
    private = parsePEMKey(open(key).read(), private=True)
    settings = HandshakeSettings()
    settings.maxVersion = (3, 3)
    sessions = SessionCache()

    def talk(connection, middle):
        tls = TLSConnection(connection)
        tls.handshakeServer(certChain=chain, privateKey=private, settings=settings, sessionCache=sessions)
        tls.recordSize = 4096
        middle.serve(lambda n: tls.recv(n), tls.sendall)
        tls.close()
    return talk


def listen(talk, middle):
    """Serves connections in threads; the port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=16)

    def one(connection):
        try:
            talk(connection, middle)
        except Exception as problem:  # pylint: disable=broad-except # the device goes away as it likes
            say(f"connection ended: {problem!r}")
        finally:
            connection.close()

    def accept():
        while True:
            threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def tell_time(seconds):
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def answer():
        while True:
            request, peer = server.recvfrom(512)
            if len(request) < 48:
                continue
            now = struct.pack(">II", (seconds + SECONDS_1900_TO_1970) & 0xFFFFFFFF, 0)
            server.sendto(bytes([0x24, 2, 6, 0xEC]) + bytes(12) + now + request[40:48] + now + now, peer)

    threading.Thread(target=answer, daemon=True).start()
    return server.getsockname()[1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("upstream", type=int)
    parser.add_argument("--tls", nargs=2)
    parser.add_argument("--without-mfln", nargs=2)
    parser.add_argument("--image-at", nargs="+")
    parser.add_argument("--file")
    parser.add_argument("--corrupt", action="store_true")
    parser.add_argument("--endless", action="store_true")
    parser.add_argument("--cut", type=int)
    parser.add_argument("--gone", action="store_true")
    parser.add_argument("--hold", action="store_true")
    parser.add_argument("--ntp", type=int)
    options = parser.parse_args()
    middle = Middle(options)
    if options.image_at:
        is_plain = options.image_at == ["http"]
        port = listen(plain if is_plain else openssl(*options.image_at), middle)
        middle.image_at = f"{'http' if is_plain else 'https'}://10.0.2.2:{port}"
        say(f"image-at {port}")
    if options.ntp is not None:
        say(f"ntp {tell_time(options.ntp)}")
    talk = openssl(*options.tls) if options.tls else tlslite(*options.without_mfln) if options.without_mfln else plain
    scheme = "http" if talk is plain else "https"
    say(f"listening {scheme}://127.0.0.1:{listen(talk, middle)}")
    threading.Event().wait()


if __name__ == "__main__":
    sys.exit(main())
