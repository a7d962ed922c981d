"""Plays a job of a sweep, as its options say: what the program that starts it must cope with."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

job = json.loads(sys.stdin.buffer.readline())
print(f"begins with {os.environ.get('OMP_NUM_THREADS')} threads", flush=True)
match job["options"]["do"]:
    case "fail":
        print("ptheta: the loss is not finite", file=sys.stderr)
        sys.exit(2)
    case "leave":
        print("ptheta: it is in use", file=sys.stderr)
        sys.exit(75)
    case "fill":
        print("ptheta: cannot write x: No space left on device", file=sys.stderr)
        sys.exit(74)
    case "die":
        os.kill(os.getpid(), signal.SIGKILL)
    case "wait":  # until it is asked to end
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        os.mkdir(job["out"])
        time.sleep(60)
    case "ignore":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.mkdir(job["out"])
        time.sleep(60)
