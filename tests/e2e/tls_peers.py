"""TLS peers nobody may trust, and one good one, for tests that speak a protocol behind the handshake."""

import os
import ssl
import sys
import warnings

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "http"))
import certificates  # noqa: E402

OLD = {"tls10": ssl.TLSVersion.TLSv1, "tls11": ssl.TLSVersion.TLSv1_1}


def contexts(directory):
    """{name: the server's side of it}, and the path of the authority that signed the good one."""
    files, authority = certificates.make(directory)
    made = {}
    for name in [*files, *OLD]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*files["good" if name in OLD else name])
        if name in OLD:
            context.set_ciphers("ALL:@SECLEVEL=0")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")      # that they are old is the point
                context.minimum_version = context.maximum_version = OLD[name]
        made[name] = context
    return made, authority
