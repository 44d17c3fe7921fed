"""bench/run.sh limit: what any client could do here, without an engine.

bench_limit sends flights made beforehand to the sink over 16 sessions: 4
round trips a message (no pipelining), 2, 1, and 1 with BDAT.  Nothing is
queued or written down but the sink's ledger.  The client only scans the
answers for line ends.  With --smtp-sink the same once against Postfix's
smtp-sink, which writes nothing down: `tests/e2e/private_root.sh postfix`
unpacks it into build/private/postfix, where it is looked for by default.
"""
import getpass
import pathlib
import socket
import subprocess

from rig import ROOT, Rig, must, yardstick

TRIPS = {"trips_4": ("--trips", "4"), "trips_2": ("--trips", "2"),
         "trips_1": ("--trips", "1"), "bdat_1": ("--bdat", "1")}
UNITS = dict.fromkeys(TRIPS, "messages/s")
UNITS |= {f"smtp_sink_{name}": "messages/s, into Postfix's smtp-sink"
          for name in TRIPS if name != "bdat_1"}     # it has no CHUNKING
SMOKE = {"messages": 5000}
PLOT = {"messages/s": [(name, name) for name in TRIPS]}
NOTES = []
UNPACKED = ROOT / "build/private/postfix"


def options(p):
    p.add_argument("--messages", type=int, default=300000)
    p.add_argument("--size", type=int, default=4096)
    p.add_argument("--sessions", type=int, default=16)
    p.add_argument("--smtp-sink", type=pathlib.Path,
                   default=UNPACKED / "usr/sbin/smtp-sink", metavar="FILE",
                   help=f"the program ({UNPACKED}/usr/sbin/smtp-sink)")


def measure(mtaq, a, server, how):
    return yardstick(mtaq, "limit", server, *how, "--messages", a.messages,
                     "--size", a.size, "--sessions", a.sessions)["messages_s"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class SmtpSink:
    """Postfix's, with the libraries that lie beside it."""

    def __init__(self, program):
        root = program.resolve().parents[2]
        folders = [str(p.parent) for p in root.glob("usr/lib/**/*.so*")]
        self.address = f"127.0.0.1:{free_port()}"
        self.process = subprocess.Popen(
            [str(program), "-u", getpass.getuser(), self.address, "1000"],
            env={"LD_LIBRARY_PATH": ":".join(sorted(set(folders)))},
            stderr=subprocess.PIPE, text=True, process_group=0)

    def __enter__(self):
        host, _, port = self.address.partition(":")
        while True:
            must(self.process.poll() is None, "smtp-sink ended: " +
                 (self.process.stderr.read() if self.process.poll() is not None
                  else ""))
            try:
                socket.create_connection((host, int(port)), 1).close()
                return self
            except ConnectionRefusedError:
                continue

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10)
        self.process.stderr.close()


def run(mtaq, a):
    out = {}
    with Rig(mtaq, "mtaq-limit", a) as box:
        box.start_sink("--ledger-ok-only", dns=False)
        for name, how in TRIPS.items():
            out[name] = measure(mtaq, a, box.sink_smtp, how)
        sent = box.stop_sink()
        must(sent["messages"] >= len(TRIPS) * a.messages, f"lost: {sent}")
    if not a.smtp_sink.exists():
        NOTES[:] = [f"smtp-sink: there is no {a.smtp_sink}"]
        return out
    with SmtpSink(a.smtp_sink) as other:
        for name, how in TRIPS.items():
            if name != "bdat_1":
                out[f"smtp_sink_{name}"] = measure(mtaq, a, other.address, how)
    return out
