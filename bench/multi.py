"""bench/run.sh multi: one body for many recipients.

The same number of recipients three times, submitted while their campaign is
paused, then let go: 100 recipients of one domain a message (`together`: one
transaction), 100 recipients in 100 domains a message (`spread`: a body, and a
transaction for each), and a message for each (`single`).
"""
from rig import Lines, Rig, alive, all_there, must, rate, times_ms, wait_lines

RCPTS = 100
WAYS = {"together": ("--rcpts", RCPTS),
        "spread": ("--rcpts", RCPTS, "--spread"),
        "single": ()}
UNITS = {f"{name}_per_s": "recipients/s" for name in WAYS}
UNITS |= {f"{name}_accepted_per_s": "recipients/s, accepted" for name in WAYS}
UNITS |= {f"{name}_rcpts": "recipients/transaction, of the sink"
          for name in WAYS}
SMOKE = {"recipients": 1000}
PLOT = {"recipients/s": [(name, f"{name}_per_s") for name in WAYS]}


def options(p):
    p.add_argument("--recipients", type=int, default=200000)
    p.add_argument("--size", type=int, default=4096)


def one(mtaq, a, how):
    per = RCPTS if how else 1
    with Rig(mtaq, "mtaq-multi", a) as box:
        box.start_sink("--domains", RCPTS, "--ledger-ok-only",
                       listen=f"127.0.1.1-127.0.1.{RCPTS}")
        box.configure_from("deliver.yaml", grouping="auto").start_daemon()
        box.run("campaign", "pause", "news", "-c", box.conf)
        done = box.load("--messages", a.recipients // per, "--size", a.size,
                        "--domains", RCPTS, "--clients", 4, "--campaign",
                        "news", *how, timeout=600)
        must(done["recipients"] == a.recipients, str(done))
        box.run("campaign", "resume", "news", "-c", box.conf)
        wait_lines(Lines(box.ledger_file), a.recipients, 600, alive(box))
        delivered = rate(times_ms(box.ledger_file))
        s = all_there(box, a.recipients)
        return (delivered, done["rate"] * per,
                s["recipients"] / s["messages"])


def run(mtaq, a):
    out = {}
    for name, how in WAYS.items():
        (out[f"{name}_per_s"], out[f"{name}_accepted_per_s"],
         out[f"{name}_rcpts"]) = one(mtaq, a, how)
    must(out["together_rcpts"] == RCPTS and out["spread_rcpts"] == 1,
         f"not as many transactions as were meant: {out}")
    return out
