"""Run an embedseg command on one thread, with its times counted in processor time.

A training of 15 minutes then takes the steps that one core makes in 15 minutes of its own, whatever
else the machine does meanwhile: on a core that does nothing else, the two clocks agree.

    python tests/benchmarks/one_core.py benchmark DATA -o DIR --time-limit 15m --seeds 3
"""

import os

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"

import time  # noqa: E402

# Also in the processes that the command starts, which read this file again.
time.monotonic = time.perf_counter = time.process_time

if __name__ == "__main__":
    from embedseg.cli import main

    main()
