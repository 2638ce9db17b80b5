"""Certificates for TLS peers, good and bad, made with the openssl command in a given directory.

make(directory) -> {name: (certificate chain file, key file)}, and the trusted authority's file.
"""

import os
import ssl
import subprocess
import warnings

CONFIG = """
[ca]
default_ca = ours
[ours]
database = index.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
copy_extensions = none
[any]
commonName = supplied
[authority]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
[no_authority]
basicConstraints = critical,CA:FALSE
subjectAltName = DNS:middle.test
[named]
basicConstraints = CA:FALSE
subjectAltName = DNS:localhost,IP:127.0.0.1,DNS:named.test
[other]
basicConstraints = CA:FALSE
subjectAltName = DNS:elsewhere.test
[unnamed]
basicConstraints = CA:FALSE
"""

# name: common name, extensions, signed by, valid from and to (YYYYMMDDHHMMSSZ)
ALWAYS = ("20200101000000Z", "20491231235959Z")
PEERS = {
    "good": ("localhost", "named", "authority", ALWAYS),
    "expired": ("localhost", "named", "authority", ("20200101000000Z", "20210101000000Z")),
    "not_yet": ("localhost", "named", "authority", ("20400101000000Z", "20491231235959Z")),
    "wrong_host": ("elsewhere.test", "other", "authority", ALWAYS),
    "no_san": ("localhost", "unnamed", "authority", ALWAYS),
    "unknown_ca": ("localhost", "named", "stranger", ALWAYS),
    "bad_chain": ("localhost", "named", "middle", ALWAYS),
    "cut_chain": ("localhost", "named", "branch", ALWAYS),
    "weak_key": ("localhost", "named", "authority", ALWAYS),
}
# Peers with the good certificate and nothing newer than this.
OLD = {"tls10": ssl.TLSVersion.TLSv1, "tls11": ssl.TLSVersion.TLSv1_1}


def openssl(directory, *words):
    subprocess.run(["openssl", *words], cwd=directory, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE)


def new_key(directory, name):
    if name == "weak_key":
        openssl(directory, "genrsa", "-out", f"{name}.key", "1024")
        return
    openssl(directory, "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", f"{name}.key")


def new_root(directory, name, extensions="authority"):
    new_key(directory, name)
    openssl(directory, "req", "-new", "-x509", "-config", "ca.cnf", "-extensions", extensions,
            "-key", f"{name}.key", "-subj", f"/CN={name}", "-days", "3650", "-out", f"{name}.pem")


def sign(directory, name, common_name, extensions, issuer, dates):
    new_key(directory, name)
    openssl(directory, "req", "-new", "-config", "ca.cnf", "-key", f"{name}.key",
            "-subj", f"/CN={common_name}", "-out", f"{name}.csr")
    openssl(directory, "ca", "-batch", "-notext", "-config", "ca.cnf", "-in", f"{name}.csr",
            "-cert", f"{issuer}.pem", "-keyfile", f"{issuer}.key", "-extensions", extensions,
            "-startdate", dates[0], "-enddate", dates[1], "-out", f"{name}.pem")


def make(directory):
    with open(os.path.join(directory, "ca.cnf"), "w", encoding="utf-8") as file:
        file.write(CONFIG + "[req]\ndistinguished_name = dn\n[dn]\n")
    with open(os.path.join(directory, "index.txt"), "w", encoding="utf-8"):
        pass
    new_root(directory, "authority")
    new_root(directory, "stranger")
    new_root(directory, "self_signed", "named")
    # An end certificate that signs others: trusted authority, but it may not.
    sign(directory, "middle", "middle.test", "no_authority", "authority", ALWAYS)
    # One that may sign: fine, if only its certificate were sent along.
    sign(directory, "branch", "branch.test", "authority", "authority", ALWAYS)
    pairs = {"self_signed": "self_signed"}
    for name, (common_name, extensions, issuer, dates) in PEERS.items():
        sign(directory, name, common_name, extensions, issuer, dates)
        pairs[name] = name
    with open(os.path.join(directory, "bad_chain.pem"), "a", encoding="utf-8") as chain:
        with open(os.path.join(directory, "middle.pem"), encoding="utf-8") as middle:
            chain.write(middle.read())
    files = {name: (os.path.join(directory, f"{name}.pem"), os.path.join(directory, f"{name}.key"))
             for name in pairs}
    return files, os.path.join(directory, "authority.pem")


def contexts(files):
    """{name: the server's side of it}, of what make() made and of OLD."""
    made = {}
    for name in [*files, *OLD]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if name in OLD or name == "weak_key":
            context.set_ciphers("ALL:@SECLEVEL=0")
        if name in OLD:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")      # that they are old is the point
                context.minimum_version = context.maximum_version = OLD[name]
        context.load_cert_chain(*files["good" if name in OLD else name])
        made[name] = context
    return made
