"""Finding, downloading and unpacking archives, safely: nothing is left half done, nothing leaves the folder."""
import gzip
import os
import shutil
import socket
import tarfile
import threading
import urllib.error
import urllib.request
import warnings
import zlib
from contextlib import contextmanager
from pathlib import Path

from .options import local_path

TIMEOUT = 5  # seconds for one network operation
PATIENCE = 9  # seconds until a server that does not answer at all is given up, name resolution included
MAX_BYTES = 2 * 1024**3  # more than this in an archive is no data set of ours
BROKEN = (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile)


def find(root, folder: str, members, archive: str, url: str, md5: str, download: bool) -> Path:
    """The folder ``root/folder`` with all its ``members``, unpacked or downloaded first where needed.

    Args:
        archive: file name of the tar archive beside the folder; the user's own is never removed.
        md5: of the official archive. Other content is kept with a warning: the reader judges it.

    Raises:
        FileNotFoundError: nothing there. ConnectionError: no network. ValueError: damaged or unsafe archive.
    """
    root = local_path(root)
    home, path = root / folder, root / archive
    if _complete(home, members):
        return home
    if not download and not path.exists():
        lacks = f" ({home} lacks {', '.join(m for m in members if not (home / m).is_file())})" if home.is_dir() else ""
        raise FileNotFoundError(f"no data in {root.absolute()}: expected the folder {folder}/ or {archive}{lacks}. "
                                f"Use download=True, or {_by_hand(url, root)}, or set data_root; without any "
                                "download train on dict(type='Shapes')")
    root.mkdir(parents=True, exist_ok=True)
    with _lock(root / f".{archive}.lock"):
        if _complete(home, members):  # another process was faster
            return home
        if path.exists():
            try:
                _unpack(path, home, members)
            except BROKEN as error:
                raise ValueError(f"{path} cannot be unpacked ({_reason(error)}). It is left as it is; delete it and "
                                 f"use download=True, or {_by_hand(url, root)}") from error
        else:
            _download_and_unpack(url, path, md5, home, members)
    return home


def _complete(home: Path, members) -> bool:
    return all((home / m).is_file() for m in members)


def _by_hand(url, root) -> str:
    return f"put {url} there by hand: fetch it with a browser and move it to {Path(root).absolute()}"


def _reason(error) -> str:
    return f"{type(error).__name__}: {error}"


@contextmanager
def _lock(path: Path):
    """Only one process at a time in here; freed by the system when the process dies."""
    try:
        import fcntl
    except ImportError:  # not a Unix: downloads are not guarded there
        yield
        return
    with open(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _download_and_unpack(url, path: Path, md5, home, members):
    from torchvision.datasets.utils import calculate_md5

    part = path.with_name(path.name + ".part")
    for last in (False, True):
        part.unlink(missing_ok=True)
        _download(url, part)
        try:
            _unpack(part, home, members)
        except BROKEN as error:
            part.unlink(missing_ok=True)
            if last or isinstance(error, tarfile.FilterError):
                raise ValueError(f"what {url} sent cannot be unpacked ({_reason(error)}), the download was deleted; "
                                 f"try again later, or {_by_hand(url, path.parent)}") from error
            warnings.warn(f"the download of {url} is damaged ({_reason(error)}); trying once more", stacklevel=2)
            continue
        if calculate_md5(part) != md5:
            warnings.warn(f"{url} is not the published archive (md5 {md5}); its content decides", stacklevel=2)
        os.replace(part, path)
        return


def _download(url, part: Path):
    """Fetch ``url`` through torchvision; a silent network is given up within 10 s."""
    from torchvision.datasets.utils import download_url

    failed = _unreachable(url)
    timeout = socket.getdefaulttimeout()
    socket.setdefaulttimeout(TIMEOUT)
    try:
        if not failed:
            download_url(url, str(part.parent), part.name)
    except (OSError, RuntimeError) as error:
        part.unlink(missing_ok=True)
        failed = _reason(error)
    finally:
        socket.setdefaulttimeout(timeout)
    if failed:
        raise ConnectionError(f"cannot download {url} ({failed}). Without network {_by_hand(url, part.parent)}, or "
                              "train on dict(type='Shapes'), which needs no download")


def _unreachable(url) -> str:
    """Why ``url`` cannot be opened, or "". In a thread, because name resolution knows no time limit."""
    answer = []

    def ask():
        try:
            urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=TIMEOUT).close()
            answer.append("")
        except urllib.error.HTTPError:  # it answers; the real request may still fail
            answer.append("")
        except Exception as error:  # whatever it is, it is reported
            answer.append(_reason(error))

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return answer[0] if answer else f"no answer within {PATIENCE} s"


def _unpack(path: Path, home: Path, members):
    """Extract into a temporary folder, then move the members to their folder."""
    if not hasattr(tarfile, "data_filter"):
        raise RuntimeError("this Python cannot extract archives safely (PEP 706); use 3.10.12, 3.11.4 or newer, or "
                           f"unpack {path} by hand")
    total = 0

    def safe(member, destination):
        nonlocal total
        total += member.size
        if total > MAX_BYTES:
            raise tarfile.ReadError(f"it unpacks to more than {MAX_BYTES / 1024**3:g} GiB")
        return tarfile.data_filter(member, destination)

    work = home.with_name(f".{home.name}.tmp")
    shutil.rmtree(work, ignore_errors=True)
    try:
        work.mkdir()
        with tarfile.open(path, "r:gz") as tar:
            tar.extractall(work, filter=safe)
        unpacked = work / home.name
        lacks = [m for m in members if (unpacked / m).is_symlink() or not (unpacked / m).is_file()]
        if lacks:
            raise tarfile.ReadError(f"it holds no {', '.join(f'{home.name}/{m}' for m in lacks)}")
        home.mkdir(exist_ok=True)
        for member in members:
            os.replace(unpacked / member, home / member)
    finally:
        shutil.rmtree(work, ignore_errors=True)
