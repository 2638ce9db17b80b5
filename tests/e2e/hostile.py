"""Texts that would steer a terminal, or make a person read what is not there."""

CONTROL = [bytes([code]) for code in range(1, 0x20) if code not in (9, 10)] + [b"\x7f"]
ESCAPES = [b"\x1b" + bytes([code]) for code in b"cDEHMNOZ78=>%#()*+^_P]X\\6|}~"]
CSI = [b"\x1b[" + rest for rest in (
    b"A", b"999B", b"10C", b"5D", b"2E", b"2F", b"1G", b"1;1H", b"2J", b"3J", b"K", b"1K", b"2K", b"5L", b"5M",
    b"9P", b"9X", b"9S", b"9T", b"b", b"c", b">c", b"=c", b"5n", b"6n", b"?6n", b"s", b"u", b"1;1f", b"3g",
    b"?25l", b"?25h", b"?47h", b"?1049h", b"?1049l", b"?2004h", b"?1000h", b"?1003h", b"?5h", b"?7l", b"20h",
    b"4h", b"2;5r", b"!p", b"31m", b"0m", b"8m", b"30;40m", b"38;5;1m", b"38;2;1;2;3m", b"5m", b"7m",
    b"21t", b"14t", b"8;1;1t", b"3;9;9t", b"9;1t", b" q", b"?", b"\"p", b"1337h", b"99999999999999999A",
    b";;;;;;;;;;;;;;;;;;;;m", b"200~", b"201~", b"1", b"")]
OSC = [b"\x1b]" + rest for rest in (
    b"0;title\x07", b"0;title\x1b\\", b"1;icon\x07", b"2;t\x07", b"4;1;rgb:ff/00/00\x07", b"7;file:///etc\x07",
    b"8;;http://x.test\x07text\x1b]8;;\x07", b"8;;http://x.test\x1b\\text", b"9;note\x07", b"10;?\x07", b"11;?\x07",
    b"52;c;cm0gLXJm\x07", b"52;c;?\x07", b"52;p;eA==\x1b\\", b"104\x07", b"112\x07", b"133;A\x07", b"777;notify;a;b\x07",
    b"1337;File=name=eA==:eA==\x07", b"50;font\x07", b"0;never ended", b"L\x07", b"lname\x07", b"\x07")]
STRINGS = [b"\x1bP" + rest for rest in (b"q#0\x1b\\", b"$qm\x1b\\", b"+q544e\x1b\\", b"1$r0m\x1b\\", b"tmux;\x1b\x1b[2J\x1b\\")]
STRINGS += [b"\x1b_Gf=24;AAAA\x1b\\", b"\x1b_x\x1b\\", b"\x1b^pm\x1b\\", b"\x1bXsos\x1b\\", b"\x1bk name\x1b\\"]
C1_RAW = [bytes([code]) + b"2J" for code in range(0x80, 0xA0)]
C1_UTF8 = [chr(code).encode() + b"2J" for code in range(0x80, 0xA0)]
OVERWRITE = [b"rm -rf /\rsafe    ", b"bad\b\b\bok ", b"x\r\x1b[Ky", b"a\x0bb", b"a\x0cb", b"yes\r\n", b"\r"]
BIDI = [b"a" + chr(code).encode() + b"b" for code in
        (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))]
UNSEEN = [b"a" + chr(code).encode() + b"b" for code in
          (0xAD, 0x34F, 0x115F, 0x17B4, 0x180E, 0x200B, 0x200C, 0x200D, 0x2028, 0x2029, 0x2060, 0x2061, 0x2064,
           0x206A, 0x206F, 0x3164, 0xFEFF, 0xFFA0, 0xFFF9, 0xFFFB, 0x1D173, 0xE0001, 0xE0020, 0xE0041, 0xE007F,
           0xE0100, 0xF0000, 0x10FFFD)]
INVALID = [b"\xff", b"\xfe", b"\xc0\xaf", b"\xc1\x9b", b"\xe0\x80\x9b", b"\xf0\x80\x80\x9b", b"\xed\xa0\x80",
           b"\xed\xbf\xbf", b"\xf4\x90\x80\x80", b"\xf8\x88\x80\x80\x80", b"\xc3", b"\xe2\x82", b"\xf0\x9f\x98",
           b"\xc2\x1b[2J", b"\xe2\x1b]0;x\x07", b"\xf0\x9f\x1bc", b"ok\x80", b"\xbf\xbf\xbf", b"\xc3\x28", b"\xe2\x28\xa1"]

SEQUENCES = (CONTROL + ESCAPES + CSI + OSC + STRINGS + C1_RAW + C1_UTF8 + OVERWRITE + BIDI + UNSEEN + INVALID)

HIDDEN = {0x7F, 0xAD, 0x34F, 0x61C, 0x115F, 0x17B4, 0x180E, 0x3164, 0xFEFF, 0xFFA0, *range(0x80, 0xA0),
          *range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070), *range(0xFFF0, 0xFFFC),
          *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000), *range(0xF0000, 0x110000)}


def lua(text):
    """The bytes as a Lua string."""
    return '"' + "".join(f"\\{byte:03d}" for byte in text) + '"'


def steers(data):
    """What of it is not plain: [(offset, character)]. A line end of the terminal is \\r\\n."""
    text = data.replace(b"\r\n", b"\n").decode("utf-8", errors="surrogateescape")
    return [(at, char) for at, char in enumerate(text)
            if ord(char) in HIDDEN or (ord(char) < 0x20 and char != "\n") or 0xD800 <= ord(char) < 0xE000]
