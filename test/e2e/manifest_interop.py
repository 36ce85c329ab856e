"""manifest_interop.py - an independent reader and writer of SUIT envelopes (cbor2, cryptography) and molt agree: each
accepts the other's, and both refuse every changed byte. usage: manifest_interop.py path/to/molt
Run by the Python of tools/requirements.txt's virtual environment."""

import functools
import hashlib
import http.server
import os
import subprocess
import sys
import tempfile
import threading
import uuid

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MOLT = os.path.abspath(sys.argv[1])


def molt(*args):
    return subprocess.run([MOLT, *args], capture_output=True, text=True, stdin=subprocess.DEVNULL)


def must(result):
    assert result.returncode == 0, (result.args, result.stdout, result.stderr)
    return result


# ---- reading, from the draft and RFC 9052 ----

def tagged(data, tag):
    value = cbor2.loads(data)
    assert isinstance(value, cbor2.CBORTag) and value.tag == tag
    assert cbor2.dumps(value, canonical=True) == data, "not deterministic"
    return value.value


def plain(data):
    value = cbor2.loads(data)
    assert cbor2.dumps(value, canonical=True) == data, "not deterministic"
    return value


def check_sign1(data, public_key, detached=None):
    """A COSE_Sign1 by the key; its payload."""
    protected, unprotected, payload, signature = tagged(data, 18)
    assert plain(protected) in ({1: -7}, {1: -9}) and unprotected == {}
    assert (payload is None) == (detached is not None)
    payload = detached if payload is None else payload
    signed = cbor2.dumps(["Signature1", protected, b"", payload])
    assert len(signature) == 64
    der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    public_key.verify(der, signed, ec.ECDSA(hashes.SHA256()))
    return payload


def read(envelope, *public_keys):
    """The manifest of an envelope as a dict; raises when anything is wrong."""
    outer = tagged(envelope, 107)
    assert list(outer) == [2, 3]
    digest_bytes, *signatures = plain(outer[2])
    algorithm, digest = plain(digest_bytes)
    assert algorithm == -16
    assert digest == hashlib.sha256(cbor2.dumps(outer[3])).digest(), "digest of the manifest"
    assert len(signatures) == len(public_keys)
    for sign1, public_key in zip(signatures, public_keys):
        check_sign1(sign1, public_key, digest_bytes)
    manifest = plain(outer[3])
    assert manifest[1] == 1
    common = plain(manifest[3])
    shared = plain(common[4])
    components, index = [{} for _ in common[2]], 0
    for command, argument in zip(shared[0::2], shared[1::2]):
        if command == 12:
            index = argument
        elif command == 20:
            components[index].update(argument)
    return {"sequence": manifest[2], "ids": common[2], "version": plain(manifest[6]) if 6 in manifest else None,
            "components": [{"digest": plain(c[3])[1], "size": c[14], "vendor": c.get(1), "class": c.get(2)}
                           for c in components],
            "validate": plain(manifest[7]), "install": plain(manifest[20])}


# ---- writing ----

def sign1(private_key, algorithm, payload, attached):
    protected = cbor2.dumps({1: algorithm})
    r, s = decode_dss_signature(private_key.sign(cbor2.dumps(["Signature1", protected, b"", payload]),
                                                 ec.ECDSA(hashes.SHA256())))
    return cbor2.dumps(cbor2.CBORTag(18, [protected, {}, payload if attached else None,
                                          r.to_bytes(32, "big") + s.to_bytes(32, "big")]))


def write(private_key, algorithm, sequence, vendor, class_id, digest, size, version=None, encryption=None):
    wrapped = lambda value: cbor2.dumps(value, canonical=True)
    shared = [20, {1: vendor, 2: class_id, 3: wrapped([-16, digest]), 14: size}, 1, 15, 2, 15]
    manifest = {1: 1, 2: sequence, 3: wrapped({2: [[b"\0"]], 4: wrapped(shared)}), 7: wrapped([3, 15]),
                20: wrapped([20, {19: encryption, 21: "fw.bin"} if encryption else {21: "fw.bin"}, 21, 2, 3, 15])}
    if version:
        manifest[6] = wrapped(version)
    manifest_bytes = wrapped(manifest)
    digest_bytes = wrapped([-16, hashlib.sha256(cbor2.dumps(manifest_bytes)).digest()])
    signature = sign1(private_key, algorithm, digest_bytes, False)
    return cbor2.dumps(cbor2.CBORTag(107, {2: wrapped([digest_bytes, signature]), 3: manifest_bytes}))


# ---- draft-ietf-suit-firmware-encryption: ECDH-ES+A256KW, A256CTR ----

def coordinates(public_key):
    numbers = public_key.public_numbers()
    return numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")


def key_encryption_key(private_key, public_key, protected):
    context = cbor2.dumps([-5, [None] * 3, [None] * 3, [256, protected, b"SUIT Payload Encryption"]])
    return HKDF(hashes.SHA256(), 32, None, context).derive(private_key.exchange(ec.ECDH(), public_key))


def stream(key, iv, data):
    return Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor().update(data)


def decrypt(info, private_key, data):
    protected, unprotected, payload, recipients = tagged(info, 96)
    assert protected == b"" and payload is None and unprotected[1] == -65532 and list(unprotected) == [1, 5]
    (header, ephemeral, wrapped), = recipients
    assert plain(header) == {1: -31} and list(ephemeral) == [-1]
    point = ephemeral[-1]
    assert point[1] == 2 and point[-1] == 1
    public = ec.EllipticCurvePublicNumbers(int.from_bytes(point[-2], "big"), int.from_bytes(point[-3], "big"),
                                           ec.SECP256R1()).public_key()
    key = keywrap.aes_key_unwrap(key_encryption_key(private_key, public, header), wrapped)
    return stream(key, unprotected[5], data)


def encrypt(public_key, data):
    ephemeral, key, iv, header = ec.generate_private_key(ec.SECP256R1()), os.urandom(32), os.urandom(16), cbor2.dumps({1: -31})
    iv = iv[:12] + bytes(4)
    x, y = coordinates(ephemeral.public_key())
    wrapped = keywrap.aes_key_wrap(key_encryption_key(ephemeral, public_key, header), key)
    info = cbor2.dumps(cbor2.CBORTag(96, [b"", {1: -65532, 5: iv}, None,
                                          [[header, {-1: {1: 2, -1: 1, -2: x, -3: y}}, wrapped]]]))
    return info, stream(key, iv, data)


def refuses(function):
    try:
        function()
    except (AssertionError, InvalidSignature, cbor2.CBORDecodeError, ValueError, TypeError, KeyError, IndexError,
            OverflowError):
        return True
    return False


def check_ours(public_key, vendor, class_id):
    must(molt("sign", "door.bin", "--key", "k", "--product", "door", "--vendor", "example.com", "--out", "one.suit"))
    must(molt("sign", "door.bin", "--key", "k", "--product", "door", "--vendor", "example.com", "--fs", "fs.bin",
              "--sequence", str(2**40), "--out", "two.suit"))
    image, fs = open("door.bin", "rb").read(), open("fs.bin", "rb").read()
    one = read(open("one.suit", "rb").read(), public_key)
    assert one["sequence"] == 1004000 and one["ids"] == [[b"\0"]] and one["version"] == [1, 4, 0]
    assert one["components"] == [{"digest": hashlib.sha256(image).digest(), "size": len(image), "vendor": vendor,
                                  "class": class_id}]
    assert one["validate"] == [3, 15] and one["install"] == [20, {21: "door.bin"}, 21, 2, 3, 15]
    two = read(open("two.suit", "rb").read(), public_key)
    assert two["sequence"] == 2**40 and two["ids"] == [[b"\0"], [b"\1"]]
    assert two["components"][0]["digest"] == hashlib.sha256(image).digest()
    assert two["components"][1]["digest"] == hashlib.sha256(fs).digest() and two["components"][1]["size"] == len(fs)


def check_theirs(private_key, vendor, class_id):
    image = open("door.bin", "rb").read()
    digest = hashlib.sha256(image).digest()
    good = 0
    for algorithm in (-7, -9):
        for sequence, versions in ((0, (None, [1], [1, 4, 0], [2, 0, 0, -1, 3])), (23, (None,)), (24, (None,)),
                                   (255, ([1],)), (256, ([1, 4, 0],)), (65536, (None,)), (2**32, (None,)),
                                   (2**63 - 1, ([2, 0, 0, -1, 3],))):
            for version in versions:
                data = write(private_key, algorithm, sequence, vendor, class_id, digest, len(image), version)
                open("theirs.suit", "wb").write(data)
                must(molt("verify", "door.bin", "--manifest", "theirs.suit", "--key", "k.pub", "--product", "door"))
                good += 1
    for algorithm in (-35, -8, -19, 5):  # not in the profile, however well signed
        open("theirs.suit", "wb").write(write(private_key, algorithm, 5, vendor, class_id, digest, len(image)))
        assert molt("verify", "door.bin", "--manifest", "theirs.suit", "--key", "k.pub", "--product",
                    "door").returncode == 1
    return good


def load(name):
    with open(name + ".pub", "rb") as public, open(name, "rb") as private:
        return serialization.load_pem_public_key(public.read()), serialization.load_pem_private_key(private.read(), None)


def content(path):
    with open(path, "rb") as file:
        return file.read()


def check_approval(public_key, approver):
    must(molt("sign", "door.bin", "--key", "k", "--product", "door", "--vendor", "example.com", "--out", "two-keys.suit"))
    must(molt("sign", "two-keys.suit", "--approve", "--key", "approver"))
    assert read(content("two-keys.suit"), public_key, approver[0])["sequence"] == 1004000
    assert refuses(lambda: read(content("two-keys.suit"), public_key, public_key))


def check_statements(private_key, root, vendor, class_id):
    """Of the root's: ours for them, theirs for us."""
    must(molt("key", "rotate", "ours.keys", "--key", "root", "--to", "k.pub", "--to", "approver.pub", "--epoch", "258",
              "--product", "door", "--chip", "esp8266", "--vendor", "example.com"))
    epoch, product, keys = plain(check_sign1(content("ours.keys"), root[0]))
    assert epoch == b"\1\2" and product == class_id
    assert keys == b"".join(b"".join(coordinates(load(name)[0])) for name in ("k", "approver"))
    theirs = sign1(root[1], -7, cbor2.dumps([b"\0\1", class_id, b"".join(coordinates(private_key.public_key()))]), True)
    image = content("door.bin")
    manifest = write(private_key, -7, 5, vendor, class_id, hashlib.sha256(image).digest(), len(image))
    verify = ("verify", "door.bin", "--manifest", "theirs.suit", "--key", "root.pub", "--product", "door")
    for statement, status in ((theirs, 0), (b"", 1), (theirs[:-1] + bytes([theirs[-1] ^ 1]), 1)):
        with open("theirs.suit", "wb") as file:
            file.write(manifest + statement)
        assert molt(*verify).returncode == status


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


def check_encryption(private_key, fleet):
    """Ours is decrypted by them; theirs is installed by a virtual device."""
    image = content("door.bin")
    must(molt("sign", "door.bin", "--key", "k", "--product", "door", "--encrypt-for", "fleet.pub", "--out", "sealed.suit"))
    manifest = plain(tagged(content("sealed.suit"), 107)[3])
    info = plain(manifest[20])[1][19]
    assert decrypt(info, fleet[1], content("door.bin.enc")) == image
    maker = uuid.uuid5(uuid.NAMESPACE_DNS, "molt")
    info, data = encrypt(fleet[0], image)
    os.mkdir("www")
    files = {"version": b"1004000", "bin": data,
             "suit": write(private_key, -7, 1004000, maker.bytes, uuid.uuid5(maker, "door/esp8266").bytes,
                           hashlib.sha256(image).digest(), len(image), encryption=info)}
    for suffix, what in files.items():
        with open(f"www/5ccf7f000001.{suffix}", "wb") as file:
            file.write(what)
    must(molt("sim", "build", "old.bin", "--chip", "esp8266", "--code", "1", "--product", "door"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory="www")) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        result = must(molt("sim", "--mac", "5ccf7f000001", "--source", "version-file", "--server",
                           f"http://127.0.0.1:{server.server_address[1]}", "--firmware", "old.bin", "--trust", "k.pub",
                           "--device-key", "fleet", "--json"))
        server.shutdown()
    assert '"version_code":1004000' in result.stdout.splitlines()[-1], result.stdout


def check_mutations(public_key, path, stride):
    """Every byte for the other reader; every stride-th for molt, whose own tests change every byte in one process."""
    data = bytearray(open(path, "rb").read())
    for at in range(len(data)):
        was = data[at]
        data[at] = was ^ (1 << at % 8)
        changed = bytes(data)
        assert refuses(lambda: read(changed, public_key)), at
        data[at] = was
        if at % stride != 0:
            continue
        open("changed.suit", "wb").write(changed)
        result = molt("verify", "door.bin", "--manifest", "changed.suit", "--key", "k.pub", "--product", "door")
        assert result.returncode == 1, (at, result.stdout)
    return len(data)


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    must(molt("sim", "build", "door.bin", "--chip", "esp8266", "--code", "1004000", "--version", "1.4.0", "--product",
              "door", "--size", "60000"))
    open("fs.bin", "wb").write(b"no firmware" + os.urandom(39989))
    for name in ("k", "root", "approver", "fleet"):
        must(molt("keygen", name, "--no-passphrase"))
    public = serialization.load_pem_public_key(open("k.pub", "rb").read())
    private = serialization.load_pem_private_key(open("k", "rb").read(), None)
    maker = uuid.uuid5(uuid.NAMESPACE_DNS, "example.com")
    device = uuid.uuid5(maker, "door/esp8266")
    check_ours(public, maker.bytes, device.bytes)
    check_approval(public, load("approver"))
    check_statements(private, load("root"), maker.bytes, device.bytes)
    check_encryption(private, load("fleet"))
    accepted = check_theirs(private, maker.bytes, device.bytes)
    refused = check_mutations(public, "one.suit", 3) + check_mutations(public, "two.suit", 10)
    print(f"manifest_interop: 2 of molt's accepted, {accepted} of the other writer's accepted, {refused} changed bytes refused")
    os.chdir("/")
