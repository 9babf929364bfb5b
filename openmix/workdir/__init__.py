"""A run on disk: its files, lock, status, result and identity. Only this package knows them; imports no torch."""
from .environment import describe_machine, hardware, version
from .files import DISK, check_writable, last_checkpoint, last_log, naming, sync_folder, write_atomic, write_json
from .identity import RESUMABLE, canonical, config_difference, config_hash, kernels, refuse_secrets
from .lock import InUse, Lock
from .status import STATES, TERMINAL, holds_run, is_alive, read_result, read_status, state, write_status

__all__ = [
    "DISK", "RESUMABLE", "STATES", "TERMINAL", "InUse", "Lock", "canonical", "check_writable", "config_difference",
    "config_hash", "describe_machine", "hardware", "holds_run", "is_alive", "kernels", "last_checkpoint", "last_log",
    "naming", "read_result", "read_status", "refuse_secrets", "state", "sync_folder", "version", "write_atomic",
    "write_json", "write_status",
]
