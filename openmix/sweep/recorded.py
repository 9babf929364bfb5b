"""Which runs of a sweep others have trained already."""
from ..results.records import gather
from .jobs import Job


def missing(jobs: list[Job], folders) -> list[Job]:
    """The jobs that have no finished record, of the same config and seed, below ``folders``.

    Raises:
        FileNotFoundError: no such folder.
    """
    done = {(record.config_hash, record.seed) for record in gather(folders) if record.state == "done"}
    return [job for job in jobs if (job.config_hash, job.seed) not in done]
