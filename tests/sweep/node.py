"""One element of a job array with a stand-in for its training, in a process of its own: node.py NAME [REQUEUES]."""
import sys

from openmix.sweep import slurm_element as element
from tests.sweep.drive import jobs, stub

if __name__ == "__main__":
    deaf = [sys.executable, "-c", "import time; time.sleep(60)"]  # has no handler for signals (yet)
    element.command = lambda job, *torchrun: deaf if job.config == "deaf" else stub(job)
    element.run(*jobs(sys.argv[1:2]), retries=1, requeues=int((sys.argv[2:] or [20])[0]))
