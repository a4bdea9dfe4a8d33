"""The command: parsing and printing only.

Exit status: 0 done, 1 training was stopped by the guard or at a number that is not finite, 2 bad input, 130 Ctrl-C, 129
and 143 the same by SIGHUP and SIGTERM, 141 nobody reads the output any more.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import warnings

from downslope.errors import ExplosionError, InputError, MissingExtraError, RuleError
from downslope.interrupt import Terminated, terminations

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> None:
    """Run the command; every error is one sentence on stderr and an exit status."""
    try:
        status = _done(arguments)
    except KeyboardInterrupt as interrupt:  # a further one, or one before there was anything to stop
        status = _status(interrupt)
    if status in {129, 130, 143}:
        if arguments is None:  # this process is the command: what it is told now comes too late
            signal.signal(signal.SIGINT, signal.SIG_IGN)
        # An interrupt that came inside an exec, as when an import makes a named tuple, would have `python -m` end by
        # the signal, whatever status it is given; another exec takes that back.
        exec("")
    sys.exit(status)


def _done(arguments: list[str] | None) -> int:  # noqa: PLR0911 - one for each way to end
    """Do what the arguments ask for; return the exit status."""
    import click

    from downslope.cli.group import downslope
    from downslope.cli.output import InterruptedCommandError, ReaderLeftError

    warnings.showwarning = _show_warning
    for stream in (sys.stdout, sys.stderr):  # an encoding without θ or ← shows ? there
        if isinstance(stream, io.TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):  # that of LC_ALL=C
            stream.reconfigure(errors="replace")
    try:
        with terminations():
            status = downslope.main(arguments, prog_name="downslope", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message())
        return 0
    except click.ClickException as error:
        return _say(_sentence(error), 2)
    except (InterruptedCommandError, click.exceptions.Abort) as stop:  # the command has said what it kept
        return _status(stop.__cause__)
    except ExplosionError as error:
        return _say(str(error), 1)
    except (InputError, MissingExtraError, RuleError) as error:
        return _say(str(error), 2)
    except MemoryError as error:
        return _say(f"this machine does not have the memory that it would take: {error}", 2)
    except Warning as warning:  # where Python was told to treat warnings as errors
        return _say(str(warning), 2)
    except ReaderLeftError:
        # Python must not complain about it again when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        return _say(f"{error.filename or 'standard output'} could not be used: {error.strerror or error}", 2)
    return status if isinstance(status, int) else 0


def _status(interrupt: BaseException | None) -> int:
    return 128 + (interrupt.number if isinstance(interrupt, Terminated) else signal.SIGINT)


def _say(sentence: str, status: int) -> int:
    from downslope.cli.output import tell

    tell(f"downslope: {' '.join(sentence.split())}")
    return status


def _sentence(error: object) -> str:
    """Return click's complaint with where to look next."""
    message = error.format_message()  # type: ignore[attr-defined] # every ClickException has it
    context = getattr(error, "ctx", None)
    return f"{message} See '{context.command_path} --help'." if context is not None else message


def _show_warning(message: Warning | str, *_: object, **__: object) -> None:
    _say(f"warning: {message}", 0)
