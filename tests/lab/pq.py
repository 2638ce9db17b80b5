"""A few calls of libpq through ctypes: enough to hold sessions open and to ask short questions.

The lab needs no Python package and no compiler: libpq is there because opsrun itself needs it.
"""

import ctypes

CONNECTION_OK = 0
COMMAND_OK, TUPLES_OK = 1, 2
PING_OK = 0

_lib = ctypes.CDLL("libpq.so.5")


def _declare(name, result, *arguments):
    function = getattr(_lib, name)
    function.restype, function.argtypes = result, list(arguments)
    return function


_text, _pointer, _int = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int
_connect = _declare("PQconnectdb", _pointer, _text)
_status = _declare("PQstatus", _int, _pointer)
_finish = _declare("PQfinish", None, _pointer)
_error = _declare("PQerrorMessage", _text, _pointer)
_exec = _declare("PQexec", _pointer, _pointer, _text)
_exec_params = _declare("PQexecParams", _pointer, _pointer, _text, _int, _pointer, _pointer,
                        _pointer, _pointer, _int)
_send = _declare("PQsendQuery", _int, _pointer, _text)
_consume = _declare("PQconsumeInput", _int, _pointer)
_is_busy = _declare("PQisBusy", _int, _pointer)
_get_result = _declare("PQgetResult", _pointer, _pointer)
_socket = _declare("PQsocket", _int, _pointer)
_backend_pid = _declare("PQbackendPID", _int, _pointer)
_result_status = _declare("PQresultStatus", _int, _pointer)
_clear = _declare("PQclear", None, _pointer)
_rows = _declare("PQntuples", _int, _pointer)
_columns = _declare("PQnfields", _int, _pointer)
_value = _declare("PQgetvalue", _text, _pointer, _int, _int)
_is_null = _declare("PQgetisnull", _int, _pointer, _int, _int)
_ping = _declare("PQping", _int, _text)


class Error(Exception):
    """What the server, or libpq, said."""


def is_up(conninfo):
    return _ping(conninfo.encode()) == PING_OK


class Session:
    """One connection. Raises Error when it cannot be opened."""

    def __init__(self, conninfo):
        self.handle = _connect(conninfo.encode())
        if _status(self.handle) != CONNECTION_OK:
            message = _error(self.handle).decode(errors="replace").strip()
            self.close()
            raise Error(message)

    def close(self):
        if self.handle:
            _finish(self.handle)
            self.handle = None

    def fileno(self):
        return _socket(self.handle)

    @property
    def pid(self):
        return _backend_pid(self.handle)

    def query(self, text, *values):
        """Runs one statement (several when there are no values); returns rows of text or None."""
        if values:
            array = (ctypes.c_char_p * len(values))(*[str(v).encode() for v in values])
            result = _exec_params(self.handle, text.encode(), len(values), None, array, None,
                                  None, 0)
        else:
            result = _exec(self.handle, text.encode())
        try:
            if _result_status(result) not in (COMMAND_OK, TUPLES_OK):
                raise Error(_error(self.handle).decode(errors="replace").strip())
            return [[None if _is_null(result, r, c) else _value(result, r, c).decode()
                     for c in range(_columns(result))] for r in range(_rows(result))]
        finally:
            _clear(result)

    def value(self, text, *values):
        return self.query(text, *values)[0][0]

    def send(self, text):
        """Starts a statement and does not wait for it."""
        if not _send(self.handle, text.encode()):
            raise Error(_error(self.handle).decode(errors="replace").strip())

    def drain(self):
        """Reads what arrived. Returns False when the server closed the connection, else True."""
        if not _consume(self.handle):
            return False
        while not _is_busy(self.handle):
            result = _get_result(self.handle)
            if not result:
                break
            _clear(result)
        return _status(self.handle) == CONNECTION_OK

    def is_idle(self):
        return not _is_busy(self.handle)
