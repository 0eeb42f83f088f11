"""The command line. `main` is the one place where errors become a line on standard error and an exit code."""

from __future__ import annotations

import io
import os
import signal
import sys
from types import FrameType
from typing import NoReturn


class Terminated(BaseException):
    """SIGTERM arrived; unwinds like Ctrl-C, so that children are ended on the way out."""


_asked: list[int] = []  # signals that came


def _on_signal(signum: int, frame: FrameType | None) -> NoReturn:
    """Unwind at the first signal, so that workers are ended and told apart; at the second end everything at once."""
    _asked.append(signum)
    if len(_asked) > 1:
        if (ending := sys.modules.get("distbench.executors.ending")) is not None:  # else no worker was ever started
            ending.end_all_now()
        os.write(2, b"distbench: ended at once\n")
        os._exit(128 + signum)
    raise Terminated if signum == signal.SIGTERM else KeyboardInterrupt


def _hear_signals() -> None:
    """Take SIGTERM, and SIGINT unless it is ignored, as a shell has it for what runs in its background."""
    _asked.clear()
    signal.signal(signal.SIGTERM, _on_signal)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, _on_signal)


def main() -> NoReturn:
    """Run the command line and exit with the code of `distbench.errors.ExitCode`."""
    from distbench.errors import DistbenchError, ExitCode

    _hear_signals()
    _speak_utf8()
    debug = "--debug" in sys.argv
    try:
        from distbench.cli.app import app

        # Without standalone mode, `typer.Exit(code)` comes back as the return value.
        returned = app(standalone_mode=False, prog_name="distbench")
        code: int = returned if isinstance(returned, int) else ExitCode.OK
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else ExitCode.INTERNAL
    except KeyboardInterrupt:
        code = _say("interrupted", ExitCode.INTERRUPTED)
    except Terminated:
        code = _say("terminated", ExitCode.TERMINATED)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # the reader of our output is gone; nothing is left to say
        code = ExitCode.OK
    except DistbenchError as error:
        if debug:
            _trace()
        code = _say(f"error[E{int(error.exit_code):03}] {error}", error.exit_code)
    except Exception as error:  # noqa: BLE001 - the last resort: a line and exit code 70 instead of a traceback
        code = _other(error, debug=debug)
    sys.exit(int(code))


def _speak_utf8() -> None:
    """Write UTF-8 whatever the locale: a CI's is often C, and JSON, Markdown and our tables are not ASCII."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")


def _other(error: Exception, *, debug: bool) -> int:
    """Handle the command-line parser's own errors, and our bugs."""
    import click

    from distbench.errors import ExitCode

    codes = {"Exit": getattr(error, "exit_code", None), "Abort": ExitCode.INTERRUPTED}
    name = type(error).__name__
    if name in codes and codes[name] is not None:
        return int(codes[name])  # type: ignore[arg-type]
    if isinstance(error, click.ClickException) or hasattr(error, "format_message"):
        return _say(f"error[E002] {error.format_message()}", ExitCode.USAGE)
    if debug:
        _trace()
    text = str(error).strip().splitlines()[0] if str(error).strip() else ""
    return _say(f"error[E070] internal error: {name}: {text} (run again with --debug and report it)", ExitCode.INTERNAL)


def _trace() -> None:
    """Print the traceback without secrets. The exit code stays that of the error: Python's own means "gate failed"."""
    import traceback

    from distbench import secrets

    print(secrets.text(traceback.format_exc()), end="", file=sys.stderr)  # noqa: T201 - asked for with --debug


def _say(message: str, code: int) -> int:
    from distbench import secrets

    one_line = secrets.text(" ".join(message.splitlines()))
    print(f"distbench: {one_line}", file=sys.stderr)  # noqa: T201 - the error line itself
    return int(code)
