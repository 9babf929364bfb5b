"""Small CIFAR-like sets, archives and a server, made up for tests."""
import io
import pickle
import tarfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np

FOLDER = "cifar-100-python"
NAMES = [f"class_{i:02d}" for i in range(100)]


def cifar100_files(per_class=(2, 1), change=None, protocol=2):
    """The three files of CIFAR-100 as bytes; ``change(entry, split)`` may damage an entry first."""
    files = {}
    for split, count in zip(("train", "test"), per_class, strict=True):
        rng = np.random.default_rng(count)
        entry = {"data": rng.integers(0, 256, (100 * count, 3072), dtype=np.uint8),
                 "fine_labels": rng.permutation(np.arange(100 * count) % 100).tolist(),
                 "filenames": [f"{i}.png" for i in range(100 * count)]}
        if change:
            change(entry, split)
        files[split] = pickle.dumps(entry, protocol=protocol)
    files["meta"] = pickle.dumps({"fine_label_names": NAMES, "coarse_label_names": []}, protocol=protocol)
    return files


def write_folder(root, files, folder=FOLDER):
    (root / folder).mkdir(parents=True)
    for name, data in files.items():
        (root / folder / name).write_bytes(data)


def tar(files, folder=FOLDER, extra=()):
    """A .tar.gz of ``files`` in ``folder``, with ``extra`` TarInfo members without content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for member in extra:
            archive.addfile(member, io.BytesIO(b"x" * member.size))
        for name, data in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


@contextmanager
def server(*bodies):
    """A server on this machine that answers the k-th GET with the k-th body (then the last); (url, paths got)."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(200)
            self.end_headers()

        def do_GET(self):
            if self.headers.get("Method") == "HEAD":  # how torchvision looks for redirects
                return self.do_HEAD()
            body = bodies[min(len(got), len(bodies) - 1)]
            got.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=http.serve_forever, kwargs=dict(poll_interval=0.02), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{http.server_port}/cifar-100-python.tar.gz", got
    finally:
        http.shutdown()
        http.server_close()
