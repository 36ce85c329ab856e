"""manifest_interop.py - an independent reader and writer of SUIT envelopes (cbor2, cryptography) and molt agree: each
accepts the other's, and both refuse every changed byte. usage: manifest_interop.py path/to/molt
Run by the Python of tools/requirements.txt's virtual environment."""

import hashlib
import os
import subprocess
import sys
import tempfile
import uuid

import cbor2
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

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


def read(envelope, public_key):
    """The manifest of an envelope as a dict; raises when anything is wrong."""
    outer = tagged(envelope, 107)
    assert list(outer) == [2, 3]
    digest_bytes, sign1_bytes = plain(outer[2])
    algorithm, digest = plain(digest_bytes)
    assert algorithm == -16
    assert digest == hashlib.sha256(cbor2.dumps(outer[3])).digest(), "digest of the manifest"
    protected, unprotected, payload, signature = tagged(sign1_bytes, 18)
    assert plain(protected) in ({1: -7}, {1: -9}) and unprotected == {} and payload is None
    signed = cbor2.dumps(["Signature1", protected, b"", digest_bytes])
    assert len(signature) == 64
    der = encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
    public_key.verify(der, signed, ec.ECDSA(hashes.SHA256()))
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

def write(private_key, algorithm, sequence, vendor, class_id, digest, size, version=None):
    wrapped = lambda value: cbor2.dumps(value, canonical=True)
    shared = [20, {1: vendor, 2: class_id, 3: wrapped([-16, digest]), 14: size}, 1, 15, 2, 15]
    manifest = {1: 1, 2: sequence, 3: wrapped({2: [[b"\0"]], 4: wrapped(shared)}), 7: wrapped([3, 15]),
                20: wrapped([20, {21: "fw.bin"}, 21, 2, 3, 15])}
    if version:
        manifest[6] = wrapped(version)
    manifest_bytes = wrapped(manifest)
    digest_bytes = wrapped([-16, hashlib.sha256(cbor2.dumps(manifest_bytes)).digest()])
    protected = wrapped({1: algorithm})
    r, s = decode_dss_signature(private_key.sign(cbor2.dumps(["Signature1", protected, b"", digest_bytes]),
                                                 ec.ECDSA(hashes.SHA256())))
    sign1 = cbor2.dumps(cbor2.CBORTag(18, [protected, {}, None, r.to_bytes(32, "big") + s.to_bytes(32, "big")]))
    return cbor2.dumps(cbor2.CBORTag(107, {2: wrapped([digest_bytes, sign1]), 3: manifest_bytes}))


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
    open("fs.bin", "wb").write(os.urandom(40000))
    must(molt("keygen", "k", "--no-passphrase"))
    public = serialization.load_pem_public_key(open("k.pub", "rb").read())
    private = serialization.load_pem_private_key(open("k", "rb").read(), None)
    maker = uuid.uuid5(uuid.NAMESPACE_DNS, "example.com")
    device = uuid.uuid5(maker, "door/esp8266")
    check_ours(public, maker.bytes, device.bytes)
    accepted = check_theirs(private, maker.bytes, device.bytes)
    refused = check_mutations(public, "one.suit", 3) + check_mutations(public, "two.suit", 10)
    print(f"manifest_interop: 2 of molt's accepted, {accepted} of the other writer's accepted, {refused} changed bytes refused")
    os.chdir("/")
