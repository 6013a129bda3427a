"""A CSV file to which finished work is added row by row, so that a program cut off goes on after its last row."""

import csv
import io
import os

from training.errors import InputError


class Ledger:
    """Rows of `columns` in the file at `path`, of which the first `identity` tell what was done.

    Values come back as the strings in the file. A last row cut short by a kill is taken off.

    Raises:
        InputError: the file has other columns.
    """

    def __init__(self, path, columns, identity):
        self.path = path
        self.columns = columns
        self.identity = identity
        path.parent.mkdir(parents=True, exist_ok=True)
        data = path.read_bytes() if path.exists() else b""
        whole = data[: data.rfind(b"\n") + 1]
        if whole != data:
            os.truncate(path, len(whole))
        reader = csv.DictReader(io.StringIO(whole.decode(), newline=""))
        self.rows = list(reader)
        if whole and tuple(reader.fieldnames) != tuple(columns):
            raise InputError(
                f"{path} has the columns {', '.join(reader.fieldnames)}; expected {', '.join(columns)}. "
                "Move it away to start a new one."
            )

    def find(self, key):
        """The row whose identity is `key`, {column: value}; None where that is not done yet."""
        wanted = [str(key[name]) for name in self.identity]
        return next((row for row in self.rows if [row[name] for name in self.identity] == wanted), None)

    def add(self, row):
        """Adds `row`, {column: value}, to the file: whole, and on the disk when this returns."""
        with open(self.path, "a", encoding="utf-8", newline="") as file:
            lines = io.StringIO()
            writer = csv.DictWriter(lines, self.columns, lineterminator="\n")
            if file.tell() == 0:
                writer.writeheader()
            writer.writerow(row)
            file.write(lines.getvalue())
            file.flush()
            os.fsync(file.fileno())
        self.rows.append({name: str(row[name]) for name in self.columns})
