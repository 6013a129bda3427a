import http.server
import threading

import numpy as np
import pytest

from training import idx
from training.errors import InputError

NOWHERE = "http://127.0.0.1:1/"  # nothing listens on port 1


@pytest.fixture
def site():
    """Serves `site.files`, by name; a name in `site.broken` ends after half its bytes."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            content = server.files[self.path[1:]]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if self.path[1:] in server.broken else content)

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.broken = {}, set()
    server.url = f"http://127.0.0.1:{server.server_port}/"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def names():
    return [name for pair in idx.FILES for name in pair]


def test_folder_gives_images_and_labels_of_both_parts(tmp_path, write_idx):
    (images, labels), (test_images, test_labels) = idx.read_folder(write_idx(tmp_path, count=8))
    assert images.shape == (8, 28, 28, 1) and images.dtype == np.uint8
    assert test_images.shape == (4, 28, 28, 1)
    assert labels.tolist() == list(range(8)) and test_labels.tolist() == list(range(4))


def test_debians_files_come_before_the_keras_cache(tmp_path, write_idx):
    debian = write_idx(tmp_path / "debian", count=8)
    keras_folder = write_idx(tmp_path / "keras", count=20)
    (train, _), source = idx.find_fashion_mnist(debian_folder=debian, keras_folder=keras_folder, url=NOWHERE)
    assert (len(train[0]), source) == (8, str(debian))


def test_keras_cache_comes_before_the_download(tmp_path, write_idx):
    keras_folder = write_idx(tmp_path / "keras", count=20)
    (train, _), _ = idx.find_fashion_mnist(debian_folder=tmp_path / "none", keras_folder=keras_folder, url=NOWHERE)
    assert len(train[0]) == 20


def test_nothing_anywhere_names_the_command_that_gets_it(tmp_path):
    with pytest.raises(InputError, match="apt-get install dataset-fashion-mnist"):
        idx.find_fashion_mnist(debian_folder=tmp_path / "none", keras_folder=tmp_path / "keras", url=NOWHERE)


def test_download_lands_in_the_keras_cache(tmp_path, write_idx, site):
    site.files = {path.name: path.read_bytes() for path in write_idx(tmp_path / "site", count=8).iterdir()}
    (train, _), _ = idx.find_fashion_mnist(debian_folder=tmp_path, keras_folder=tmp_path / "keras", url=site.url)
    assert len(train[0]) == 8
    assert sorted(path.name for path in (tmp_path / "keras").iterdir()) == sorted(names())


def test_interrupted_download_leaves_no_half_written_file(tmp_path, write_idx, site):
    site.files = {path.name: path.read_bytes() for path in write_idx(tmp_path / "site", count=8).iterdir()}
    site.broken = {names()[2]}
    with pytest.raises(InputError, match="apt-get install"):
        idx.find_fashion_mnist(debian_folder=tmp_path, keras_folder=tmp_path / "keras", url=site.url)
    assert sorted(path.name for path in (tmp_path / "keras").iterdir()) == sorted(names()[:2])


def test_half_written_file_in_the_cache_is_downloaded_again(tmp_path, write_idx, site):
    site.files = {path.name: path.read_bytes() for path in write_idx(tmp_path / "site", count=8).iterdir()}
    half = write_idx(tmp_path / "keras", count=8) / names()[0]
    half.write_bytes(half.read_bytes()[:100])
    (train, _), _ = idx.find_fashion_mnist(debian_folder=tmp_path, keras_folder=tmp_path / "keras", url=site.url)
    assert len(train[0]) == 8


@pytest.mark.parametrize("damage", [lambda data: data[:50], lambda data: b"", lambda data: b"not gzip"])
def test_damaged_file_is_named(tmp_path, write_idx, damage):
    path = write_idx(tmp_path) / names()[0]
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=names()[0]):
        idx.read_folder(tmp_path)


def test_images_without_their_labels_are_refused(tmp_path, write_idx):
    write_idx(tmp_path / "more", count=20)
    write_idx(tmp_path / "fewer", count=8)
    (tmp_path / "more" / names()[1]).replace(tmp_path / "fewer" / names()[1])
    with pytest.raises(InputError, match="as many labels"):
        idx.read_folder(tmp_path / "fewer")
