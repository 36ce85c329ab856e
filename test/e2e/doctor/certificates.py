"""certificates - a private authority and server certificates for the lab, made anew each time by openssl."""

import datetime
import os
import subprocess


def run(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Authority:
    """Signs with `openssl ca`, the only command of OpenSSL 3.0 that sets both dates."""

    def __init__(self, folder):
        self.folder = folder
        self.made = {}
        os.makedirs(os.path.join(folder, "new"))
        open(os.path.join(folder, "index.txt"), "w").close()
        with open(os.path.join(folder, "serial"), "w") as serial:
            serial.write("1000\n")
        with open(self.path("ca.cnf"), "w") as config:
            config.write(f"[ca]\ndefault_ca=x\n[x]\ndatabase={self.path('index.txt')}\nserial={self.path('serial')}\n"
                         f"new_certs_dir={self.path('new')}\ncertificate={self.path('ca.pem')}\n"
                         f"private_key={self.path('ca.key')}\ndefault_md=sha256\npolicy=p\nunique_subject=no\n"
                         "copy_extensions=copy\n[p]\ncommonName=supplied\n")
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "400",
            "-subj", "/CN=lab authority", "-keyout", self.path("ca.key"), "-out", self.path("ca.pem"))

    def path(self, name):
        return os.path.join(self.folder, name)

    def server(self, name, san="DNS:localhost", key=("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), days=(-10, 365),
               extra=()):
        """(chain file, key file) of a certificate that is valid from days[0] to days[1] from now."""
        now = datetime.datetime.now(datetime.timezone.utc)
        dates = [(now + datetime.timedelta(days=d)).strftime("%Y%m%d%H%M%SZ") for d in days]
        csr, key_path, leaf, chain = (self.path(f"{name}.{end}") for end in ("csr", "key", "leaf", "pem"))
        more = [word for line in extra for word in ("-addext", line)]
        run("openssl", "req", "-new", "-newkey", *key, "-nodes", "-subj", f"/CN={name}", "-addext", f"subjectAltName={san}",
            *more, "-keyout", key_path, "-out", csr)
        run("openssl", "ca", "-config", self.path("ca.cnf"), "-batch", "-notext", "-in", csr, "-out", leaf, "-startdate",
            dates[0], "-enddate", dates[1])
        with open(chain, "w") as out:
            out.write(open(leaf).read())
            if not extra:
                out.write(open(self.path("ca.pem")).read())
        return chain, key_path
