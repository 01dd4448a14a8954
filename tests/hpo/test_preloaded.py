"""What children are forked from has trained once, and shows nothing of it."""

import json
import subprocess
import sys


def test_a_warm_up_leaves_nothing_that_a_trial_could_see() -> None:
    program = """
import json, os, random, sys, warnings
import numpy as np
import pandas, sklearn.datasets, torch, torchmetrics.functional
import hpo.child, hpo.inside
from hpo import preloaded  # has warmed up once: what imports bring is there

def seen():
    files = (os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd"))
    return {
        "random": random.getstate()[1][:9],
        "numpy": np.random.get_state()[1][:9].tolist(),
        "torch": torch.get_rng_state().tolist(),
        "threads": len(os.listdir("/proc/self/task")),
        "threads of torch": torch.get_num_threads(),
        "dtype": str(torch.get_default_dtype()),
        "gradients": [torch.is_grad_enabled(), torch.is_inference_mode_enabled()],
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "mkldnn": torch._C._get_mkldnn_enabled(),
        "filters": [str(one) for one in warnings.filters],
        "environment": dict(os.environ),
        "files": sorted(file for file in files if os.path.exists(file)),
        "data": len(hpo.child._prepared),
    }

random.seed(1), np.random.seed(2), torch.manual_seed(3)
before = seen()
preloaded.warm_up()
after = seen()
print(json.dumps([name for name in before if before[name] != after[name]]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == []


def test_what_children_are_forked_from_says_nothing_and_starts_no_thread() -> None:
    """Threads of those libraries alone are there that put them right after a fork themselves."""
    program = """
import os
import numpy, pandas, scipy.linalg, sklearn.datasets, torch, torchmetrics.functional
import hpo.child, hpo.inside
before = len(os.listdir("/proc/self/task"))
import hpo.preloaded
print(len(os.listdir("/proc/self/task")) - before)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")


def test_the_warm_up_trains_to_its_end() -> None:
    program = """
import hpo.preloaded as preloaded
carry_out, ends = preloaded.carry_out, []
preloaded.carry_out = lambda *given: ends.append(carry_out(*given)) or ends[-1]
preloaded.warm_up()
print(ends[0].outcome, ends[0].what)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("result \n", "")
