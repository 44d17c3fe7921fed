"""What a test that is ended from outside leaves behind: nothing.

	start()     a process that dies with this one, however this one ends
	undo()      what is to be done when SIGTERM or SIGINT comes: mounts,
	            folders; give it back to undone() when it has been done
	until_ended()   from now on those two signals undo and exit

Python would unwind the main thread alone, and not before the pool of threads
that it waits for is through.
"""
import ctypes
import os
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1
libc = ctypes.CDLL(None, use_errno=True)
todo = []


def die_with_parent():
    """In the child, before it becomes another program."""
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def start(args, preexec_fn=None, **kw):
    """subprocess.Popen.  The thread that calls this must outlive the process:
    the kernel means a thread by "parent"."""
    def before():
        die_with_parent()
        if preexec_fn is not None:
            preexec_fn()
    return subprocess.Popen([str(a) for a in args], preexec_fn=before, **kw)


def undo(what):
    todo.append(what)
    return what


def undone(what):
    if what in todo:
        todo.remove(what)


def end(number, _):
    for what in reversed(list(todo)):
        try:
            what()
        except Exception as e:  # the others must have their turn
            print(f"at the end: {e}", file=sys.stderr)
    try:
        sys.stdout.flush()
    except RuntimeError:    # the signal came in the middle of a flush
        pass
    os._exit(128 + number)


def until_ended():
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, end)
