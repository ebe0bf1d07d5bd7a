"""The line that changes on a terminal."""

import contextlib
import io

from keras_patchpu.comparison import StatusLine


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_line_is_written_over_and_cut(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    with contextlib.redirect_stderr(Terminal()) as terminal:
        status = StatusLine(seconds=60)
        assert status.is_due
        status.show("0123456789" * 3)
        assert terminal.getvalue() == "\r0123456789012345678\x1b[K"
        assert not status.is_due
        status.clear()
        assert terminal.getvalue().endswith("\r\x1b[K")


def test_nothing_where_there_is_no_terminal():
    with contextlib.redirect_stderr(io.StringIO()) as file:
        status = StatusLine()
        assert not status.is_due
        status.clear()
        assert file.getvalue() == ""
