"""Prints what 30 secrets look like after common encoders have had them, for test_mask.c:
one line a text, "S HEX" a secret, "F FORM EXACT HEX" a form of the last one. EXACT 0: bytes at the
edges depend on the neighbours, so up to three characters on each side may stay."""
import base64
import html
import json
import re
import shlex
import urllib.parse
import xml.sax.saxutils

SECRETS = [
    "correct horse battery staple", "hunter2hunter2", "p@ss:w/rd?&=#%+", "it's a 'quoted' one",
    'say "hello" world', "back\\slash\\path", "dollar$HOME`id`!x", "tab\there\tand there",
    "pässwörd-ünïcode", "密码是一二三四五", "emoji😀😀pass", "<xml>&\"secret\"</xml>",
    "ends with backslash\\", "12345678", "aaaaaaaa", "abababababab", "SGVsbG8gV29ybGQh",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl", "xoxb-1234-5678-abcdefghijkl",
    "ghp_0123456789abcdefghijklmnopqrstuvwxyz", "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n-----END KEY-----\n",
    "line one of it\r\nline two of it\r\n", " leading and trailing ", "%41%42%43%44%45", "++++////++++////",
    "a\x01b\x02c\x1bd\x7fe", "''''''''", "postgres://ops:s3cr3t%2Fp%40ss@db.internal:5432/app?sslmode=require",
]


def php(text):
    return json.dumps(text).replace("/", "\\/")


def go(text):
    for char, code in (("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")):
        text = text.replace(char, code)
    return text


def c_string(data):
    out = ""
    for byte in data:
        named = {10: "\\n", 13: "\\r", 9: "\\t", 34: '\\"', 92: "\\\\"}
        out += named.get(byte) or (chr(byte) if 32 <= byte < 127 else "\\x%02x" % byte)
    return out


def octal(data):
    out = ""
    for byte in data:
        named = {10: "\\n", 13: "\\r", 9: "\\t", 34: '\\"', 92: "\\\\"}
        out += named.get(byte) or (chr(byte) if 32 <= byte < 127 else "\\%03o" % byte)
    return out


def forms(secret):
    data = secret.encode()
    inner = json.dumps(secret)[1:-1]
    raw_json = json.dumps(secret, ensure_ascii=False)[1:-1]
    yield "raw", 1, data
    for shift in range(3):
        text = b"abcd"[:shift] + data
        yield "base64+%d" % shift, 0, base64.b64encode(text)
        yield "base64url+%d" % shift, 0, base64.urlsafe_b64encode(text).rstrip(b"=")
    yield "hex", 1, data.hex()
    yield "HEX", 1, data.hex().upper()
    yield "url", 1, urllib.parse.quote(secret, safe="")
    yield "url path", 1, urllib.parse.quote(secret)
    yield "url lower", 1, re.sub("%..", lambda m: m[0].lower(), urllib.parse.quote(secret, safe=""))
    yield "form", 1, urllib.parse.quote_plus(secret)
    yield "json", 1, raw_json
    yield "json ascii", 1, inner
    yield "json php", 1, php(secret)[1:-1]
    yield "json go", 1, go(raw_json)
    yield "json twice", 1, json.dumps(inner)[1:-1]
    yield "xml", 1, xml.sax.saxutils.escape(secret)
    yield "html", 1, html.escape(secret)
    yield "xml attribute", 1, xml.sax.saxutils.escape(secret, {'"': "&quot;", "'": "&apos;"})
    yield "sql", 1, secret.replace("'", "''")
    yield "sql backslash", 1, secret.replace("\\", "\\\\").replace("'", "''")
    yield "csv", 1, secret.replace('"', '""')
    yield "shell", 1, shlex.quote(secret + " ")[1:-2]
    yield "shell close", 1, secret.replace("'", "'\\''")
    yield "shell double", 1, "".join("\\" + c if c in '\\$`"' else c for c in secret)
    yield "c", 1, c_string(data)
    yield "octal", 1, octal(data)
    yield "python", 1, repr(data)[2:-1]
    yield "crlf", 1, secret.replace("\r\n", "\n").replace("\n", "\r\n")
    yield "lf", 1, secret.replace("\r\n", "\n")
    for line in secret.splitlines():
        line = line.strip()
        if "\n" in secret and len(line.encode()) >= 8 and not line.startswith("-----"):
            yield "line", 1, line
    if "://" in secret:
        yield "leaf", 1, "s3cr3t%2Fp%40ss"
        yield "leaf decoded", 1, "s3cr3t/p@ss"


def main():
    for secret in SECRETS:
        print("S", secret.encode().hex())
        for name, exact, text in forms(secret):
            data = text if isinstance(text, bytes) else text.encode()
            print("F", name.replace(" ", "_"), exact, data.hex())


if __name__ == "__main__":
    main()
