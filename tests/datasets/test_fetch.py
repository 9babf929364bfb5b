import socket
import tarfile
import threading
import time

import pytest
import torchvision

from openmix.datasets import CIFAR100, fetch
from tests.datasets.fabricate import FOLDER, server, tar, write_folder

ARCHIVE = "cifar-100-python.tar.gz"


def left_over(root):
    """Names in ``root`` other than the folder, the archive and the lock."""
    return {p.name for p in root.iterdir()} - {FOLDER, ARCHIVE, f".{ARCHIVE}.lock"}


def test_the_archive_is_downloaded_unpacked_and_recognised_once(tmp_path, official_cifar100, serve):
    archive = tar(official_cifar100)
    with server(archive) as (url, got):
        serve(url, archive)
        data = CIFAR100(tmp_path, download=True)
        again = CIFAR100(tmp_path, download=True, split="test")
    assert data.official and again.official and len(data) == 200 and len(got) == 1
    assert (tmp_path / ARCHIVE).read_bytes() == archive and not left_over(tmp_path)


def test_a_truncated_download_is_fetched_once_more(tmp_path, official_cifar100, serve):
    archive = tar(official_cifar100)
    with server(archive[:len(archive) // 2], archive) as (url, got), pytest.warns(UserWarning, match="once more"):
        serve(url, archive)
        data = CIFAR100(tmp_path, download=True)
    assert data.official and len(got) == 2 and not left_over(tmp_path)


def test_a_server_that_always_truncates_leaves_nothing_behind(tmp_path, official_cifar100, serve):
    archive = tar(official_cifar100)
    with server(archive[:-500]) as (url, got), pytest.warns(UserWarning), \
            pytest.raises(ValueError, match="the download was deleted.*by hand"):
        serve(url, archive)
        CIFAR100(tmp_path, download=True)
    assert len(got) == 2 and {p.name for p in tmp_path.iterdir()} == {f".{ARCHIVE}.lock"}


def test_a_download_with_other_content_is_kept_with_a_warning(tmp_path, small_cifar100, serve):
    archive = tar(small_cifar100)
    with server(archive) as (url, _), pytest.warns(UserWarning, match="not the published archive"):
        serve(url, b"something else")
        assert not CIFAR100(tmp_path, download=True).official


def test_an_archive_of_the_user_is_unpacked_and_kept(tmp_path, official_cifar100):
    (tmp_path / ARCHIVE).write_bytes(tar(official_cifar100))
    assert CIFAR100(tmp_path).official
    assert (tmp_path / ARCHIVE).exists() and not left_over(tmp_path)


@pytest.mark.parametrize("damage", [lambda a: a[:len(a) // 2], lambda a: b"", lambda a: b"<html>404</html>",
                                    lambda a: a[:3000] + bytes(200) + a[3200:]])
def test_a_damaged_archive_of_the_user_is_named_and_left_alone(tmp_path, small_cifar100, damage):
    damaged = damage(tar(small_cifar100))
    (tmp_path / ARCHIVE).write_bytes(damaged)
    with pytest.raises(ValueError, match=f"{ARCHIVE} cannot be unpacked.*left as it is"):
        CIFAR100(tmp_path, download=True)
    assert (tmp_path / ARCHIVE).read_bytes() == damaged and not left_over(tmp_path)
    assert not (tmp_path / FOLDER).exists()


def test_an_archive_without_the_files_is_refused(tmp_path, small_cifar100):
    (tmp_path / ARCHIVE).write_bytes(tar({"train": small_cifar100["train"]}))
    with pytest.raises(ValueError, match="holds no cifar-100-python/test, cifar-100-python/meta"):
        CIFAR100(tmp_path)


def member(name, kind=tarfile.REGTYPE, link="", size=0):
    actual = tarfile.TarInfo(name)
    actual.type, actual.linkname, actual.size = kind, link, size
    return actual


@pytest.mark.parametrize("extra", [
    member("../escaped", size=1), member(f"{FOLDER}/../../escaped", size=1),
    member(f"{FOLDER}/link", tarfile.SYMTYPE, "../../../escaped"), member(f"{FOLDER}/link", tarfile.SYMTYPE, "/etc"),
    member(f"{FOLDER}/link", tarfile.LNKTYPE, "../../escaped"), member(f"{FOLDER}/null", tarfile.CHRTYPE),
])
def test_an_archive_that_leaves_its_folder_is_refused(tmp_path, small_cifar100, extra):
    root = tmp_path / "deep" / "data"
    root.mkdir(parents=True)
    (root / ARCHIVE).write_bytes(tar(small_cifar100, extra=[extra]))
    with pytest.raises(ValueError, match="cannot be unpacked"):
        CIFAR100(root)
    assert not list(tmp_path.rglob("escaped")) and not left_over(root) and not (root / FOLDER).exists()


def test_an_absolute_path_stays_inside(tmp_path, small_cifar100):
    outside = tmp_path / "escaped"
    root = tmp_path / "data"
    root.mkdir()
    (root / ARCHIVE).write_bytes(tar(small_cifar100, extra=[member(str(outside), size=1)]))
    assert len(CIFAR100(root)) == 200
    assert not outside.exists() and not left_over(root)


def test_an_archive_that_grows_beyond_measure_is_refused(tmp_path, small_cifar100, monkeypatch):
    monkeypatch.setattr(fetch, "MAX_BYTES", 100_000)
    (tmp_path / ARCHIVE).write_bytes(tar(small_cifar100))
    with pytest.raises(ValueError, match="unpacks to more than"):
        CIFAR100(tmp_path)


def test_an_unsafe_download_is_not_asked_for_again(tmp_path, small_cifar100, serve):
    archive = tar(small_cifar100, extra=[member("../escaped", size=1)])
    with server(archive) as (url, got), pytest.raises(ValueError, match="OutsideDestinationError"):
        serve(url, archive)
        CIFAR100(tmp_path, download=True)
    assert len(got) == 1


def test_several_at_once_download_once(tmp_path, official_cifar100, serve):
    archive, actual = tar(official_cifar100), []
    with server(archive) as (url, got):
        serve(url, archive)
        threads = [threading.Thread(target=lambda: actual.append(CIFAR100(tmp_path, download=True).sha256))
                   for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(actual) == 4 and len(set(actual)) == 1 and len(got) == 1


def test_a_folder_that_is_there_needs_no_right_to_write(tmp_path, small_cifar100):
    write_folder(tmp_path, small_cifar100)
    CIFAR100(tmp_path, download=True)
    assert {p.name for p in tmp_path.iterdir()} == {FOLDER}


def test_a_refused_connection_says_what_to_do_by_hand(tmp_path, small_cifar100, serve):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    serve(f"http://127.0.0.1:{port}/{ARCHIVE}", b"")
    with pytest.raises(ConnectionError, match="(?s)cannot download.*by hand.*Shapes"):
        CIFAR100(tmp_path, download=True)
    assert not (tmp_path / ARCHIVE).exists() and not left_over(tmp_path)


def test_a_network_that_never_answers_is_given_up_in_time(tmp_path, small_cifar100, serve, monkeypatch):
    assert fetch.PATIENCE < 10
    monkeypatch.setattr(fetch, "PATIENCE", 0.3)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        serve(f"http://127.0.0.1:{silent.getsockname()[1]}/{ARCHIVE}", b"")
        start = time.monotonic()
        with pytest.raises(ConnectionError, match="no answer within 0.3 s"):
            CIFAR100(tmp_path, download=True)
    assert time.monotonic() - start < 3


def test_the_address_is_that_of_the_publisher():
    assert torchvision.datasets.CIFAR100.url.startswith("https://")
