import subprocess
import sys

PROBE = """
from gevent import monkey
monkey.patch_all()
import faulthandler, signal, subprocess, sys
faulthandler.enable()
from stevie.adapters.signals import signals_kept

def caught():
    with open("/proc/self/status") as status:
        return next(line for line in status if line.startswith("SigCgt"))

subprocess.run(["true"], check=True)
before = caught()
with signals_kept():
    import cppyy
    cppyy.cppdef("int stevie_signal_probe() { return 1; }")
print(before == caught(), before.strip(), caught().strip())
subprocess.run(["true"], check=True, timeout=5)
"""


def test_loading_cppyy_leaves_the_signals_of_the_process_alone() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE], capture_output=True, text=True, timeout=60, check=False
    )

    assert done.stdout.startswith("True"), done.stdout + done.stderr
    assert done.returncode == 0, done.stderr
