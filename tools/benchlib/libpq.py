"""As much of libpq as a probe needs: a connection that stays open, statements and their rows as text."""

import ctypes
import ctypes.util

from .common import Failure


def _load():
    library = ctypes.CDLL(ctypes.util.find_library("pq") or "libpq.so.5")
    for name, result, arguments in (
            ("PQconnectdb", ctypes.c_void_p, [ctypes.c_char_p]), ("PQstatus", ctypes.c_int, [ctypes.c_void_p]),
            ("PQerrorMessage", ctypes.c_char_p, [ctypes.c_void_p]),
            ("PQexec", ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_char_p]),
            ("PQresultStatus", ctypes.c_int, [ctypes.c_void_p]), ("PQntuples", ctypes.c_int, [ctypes.c_void_p]),
            ("PQnfields", ctypes.c_int, [ctypes.c_void_p]),
            ("PQgetvalue", ctypes.c_char_p, [ctypes.c_void_p, ctypes.c_int, ctypes.c_int]),
            ("PQclear", None, [ctypes.c_void_p]), ("PQfinish", None, [ctypes.c_void_p])):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


class Connection:
    library = None

    def __init__(self, port, user="abc", password="abc", database="postgres"):
        Connection.library = Connection.library or _load()
        text = f"host=127.0.0.1 port={port} user={user} password={password} dbname={database} sslmode=disable"
        self.handle = self.library.PQconnectdb(text.encode())
        if self.library.PQstatus(self.handle) != 0:
            raise Failure(f"no connection to port {port}: {self.message()}")

    def message(self):
        return self.library.PQerrorMessage(self.handle).decode().strip()

    def execute(self, sql):
        """The rows of a statement."""
        result = self.library.PQexec(self.handle, sql.encode())
        try:
            # Commands and rows are what is expected of a statement; all else is an error.
            if self.library.PQresultStatus(result) not in (1, 2):
                raise Failure(f"{sql}: {self.message()}")
            columns = range(self.library.PQnfields(result))
            return [
                [self.library.PQgetvalue(result, row, column).decode() for column in columns]
                for row in range(self.library.PQntuples(result))]
        finally:
            self.library.PQclear(result)

    def close(self):
        self.library.PQfinish(self.handle)
