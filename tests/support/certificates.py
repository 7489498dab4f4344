"""Certificates of a test's own, made with openssl as docs/security.md says."""

import pathlib
import subprocess


def openssl(*words, **more):
    subprocess.run(["openssl", *map(str, words)], check=True, capture_output=True, **more)


class Authority:
    """A certificate authority in a folder: `folder/NAME.crt` and `folder/NAME.key` for each that it has signed."""

    def __init__(self, folder, name="authority"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.certificate, self.key = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 30, "-subj",
                f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE", "-keyout", self.key, "-out", self.certificate)

    def sign(self, name, file=None, days=30, server=False, expired=False):
        """(certificate, key) of `name`."""
        file = file or name
        certificate, key, request = (self.folder / f"{file}.{kind}" for kind in ("crt", "key", "csr"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout",
                key, "-out", request)
        extensions = self.folder / f"{file}.ext"
        extensions.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nextendedKeyUsage=serverAuth\n" if server
                              else "extendedKeyUsage=clientAuth\n")
        if expired:  # `openssl x509 -req` cannot date back: `ca` can
            self._sign_by_ca(request, certificate, extensions)
        else:
            openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey", self.key, "-CAcreateserial", "-days",
                    days, "-extfile", extensions, "-out", certificate)
        return certificate, key

    def _sign_by_ca(self, request, certificate, extensions):
        (self.folder / "index.txt").touch()
        (self.folder / "serial").write_text("1001\n")
        config = self.folder / "ca.cnf"
        config.write_text(f"[ca]\ndefault_ca=it\n[it]\ndatabase={self.folder}/index.txt\nserial={self.folder}/serial\n"
                          f"new_certs_dir={self.folder}\ndefault_md=sha256\npolicy=any\nunique_subject=no\n[any]\n"
                          "commonName=supplied\n")
        openssl("ca", "-batch", "-notext", "-config", config, "-cert", self.certificate, "-keyfile", self.key, "-in",
                request, "-out", certificate, "-extfile", extensions, "-startdate", "20200101000000Z", "-enddate",
                "20200201000000Z")
