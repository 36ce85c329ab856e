#!/usr/bin/python3
"""sbom_test.py - the bill of materials of a package: every library that is linked in, every npm package of the dashboard and
whose it is, and nothing that hangs in the air; the same bytes from the same build. usage: sbom_test.py"""

import json
import os
import re
import subprocess
import sys
import tempfile

ROOT = os.path.abspath(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
LOCK = os.path.join(ROOT, "dash/package-lock.json")
DIGEST = "3f" * 32
BUILDINFO = f"""Format: 1.0
Source: molt
Architecture: arm64
Version: 0.1.0
Checksums-Sha256:
 {'00' * 32} 1446528 molt-dbgsym_0.1.0_arm64.deb
 {DIGEST} 639416 molt_0.1.0_arm64.deb
Build-Date: Thu, 26 Nov 2026 01:26:33 +0000
Installed-Build-Depends:
 gcc-12 (= 12.2.0-14+deb12u1),
 libuv1-dev:arm64 (= 1.44.2-1+deb12u1),
 libssl-dev:arm64 (= 3.0.17-1~deb12u2),
 node-llhttp (= 9.0.1~really6.0.10-1)
"""


INSIDE = {path.split("node_modules/")[-1]: entry for path, entry in json.load(open(LOCK, encoding="utf-8"))["packages"].items()
          if path and not entry.get("dev") and not entry.get("optional")}
NOTICES = "What is inside:\n" + "".join(f"\n== {name} {entry['version']} (MIT)\n\nMIT\n\nCopyright (c) 2026 {name}'s\n and Copyright laws\n"
                                      for name, entry in INSIDE.items())


def sbom(path, notices=NOTICES):
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as licences:
        licences.write(notices)
        licences.flush()
        return subprocess.run([os.path.join(ROOT, "tools/package/sbom"), path, LOCK, licences.name], capture_output=True, text=True)


def main():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "molt.buildinfo")
        with open(path, "w", encoding="utf-8") as out:
            out.write(BUILDINFO)
        first, second = sbom(path), sbom(path)
        silent, strange = sbom(path, NOTICES.replace("== uqr", "== other")), sbom(path, NOTICES + "\n== more 1.0.0 (MIT)\n\nCopyright me\n")
        with open(path, "w", encoding="utf-8") as out:
            out.write(re.sub(r".* molt_0.*\n", "", BUILDINFO))
        refused = sbom(path)
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout, "the same build made two bills"
    assert refused.returncode != 0 and "no checksum" in refused.stderr, refused.stderr
    assert silent.returncode != 0 and "no notice of uqr" in silent.stderr, silent.stderr
    assert strange.returncode != 0 and "does not lock more 1.0.0" in strange.stderr, strange.stderr
    document = json.loads(first.stdout)
    # what SPDX 2.3 asks for (its JSON schema's required fields)
    for field in ("spdxVersion", "dataLicense", "SPDXID", "name", "documentNamespace", "creationInfo", "packages", "relationships"):
        assert document.get(field), f"no {field}"
    assert document["spdxVersion"] == "SPDX-2.3" and document["dataLicense"] == "CC0-1.0"
    assert document["creationInfo"]["created"] == "2026-11-26T01:26:33Z", document["creationInfo"]
    packages = {one["SPDXID"]: one for one in document["packages"]}
    assert len(packages) == len(document["packages"]), "an SPDXID twice"
    for spdxid, one in packages.items():
        assert re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", spdxid), spdxid
        assert one["name"] and one["downloadLocation"] and one["versionInfo"], one
    kinds = {}
    for relation in document["relationships"]:
        for end in (relation["spdxElementId"], relation["relatedSpdxElement"]):
            assert end in packages or end == "SPDXRef-DOCUMENT", f"{end} is nowhere"
        kinds.setdefault(relation["relationshipType"], set()).add((relation["spdxElementId"], relation["relatedSpdxElement"]))
    names = {kind: {packages[end]["name"] for pair in pairs for end in pair if end in packages} for kind, pairs in kinds.items()}
    assert names["DEPENDS_ON"] == {"molt", "libuv1-dev", "libssl-dev", "node-llhttp"}, names["DEPENDS_ON"]
    assert "gcc-12" in names["BUILD_TOOL_OF"] and "esbuild" in names["BUILD_TOOL_OF"], names["BUILD_TOOL_OF"]
    assert names["CONTAINS"] == {"molt", *INSIDE} and "preact" in INSIDE, names["CONTAINS"]
    for one in document["packages"]:
        if one["name"] in INSIDE:
            assert one["copyrightText"] == f"Copyright (c) 2026 {one['name']}'s" and one["licenseDeclared"] == "MIT", one
    (molt,) = [one for one in document["packages"] if one["name"] == "molt"]
    assert molt["checksums"] == [{"algorithm": "SHA256", "checksumValue": DIGEST}], molt["checksums"]
    return 0


if __name__ == "__main__":
    sys.exit(main())
