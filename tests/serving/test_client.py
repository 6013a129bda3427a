import http.server
import io
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from serving import client
from serving.client import Client, VersionStatus
from serving.errors import Code, ServingError

ROOT = Path(__file__).resolve().parents[2]
WAIT_S = 30


class Brightness(tf.Module):
    """A classifier with the project's signatures: an image's brightness, 0 to 1, is the probability of "day"."""

    def probabilities(self, images):
        day = tf.reduce_mean(tf.cast(images, tf.float32), [1, 2, 3])[:, None] / 255
        return tf.concat([1 - day, day], 1)

    def decode(self, image_bytes):
        picture = tf.io.decode_image(image_bytes, channels=1, expand_animations=False)
        return tf.cast(tf.image.resize(picture, [4, 4]), tf.uint8)

    @tf.function(input_signature=[tf.TensorSpec([None, 4, 4, 1], tf.uint8, "images")])
    def serving_default(self, images):
        return {"probabilities": self.probabilities(images)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image_bytes")])
    def encoded(self, image_bytes):
        return {"probabilities": self.probabilities(tf.map_fn(self.decode, image_bytes, fn_output_signature=tf.uint8))}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def classify(self, inputs):
        features = {"image/encoded": tf.io.FixedLenFeature([], tf.string)}
        scores, order = tf.math.top_k(
            self.encoded(tf.io.parse_example(inputs, features)["image/encoded"])["probabilities"], 2
        )
        return {"classes": tf.gather(tf.constant(["night", "day"]), order), "scores": scores}

    def save(self, folder):
        tf.saved_model.save(
            self,
            str(folder),
            {name: getattr(self, name) for name in ("serving_default", "encoded", "classify")},
        )


class Urls(NamedTuple):
    rest: str
    grpc: str


def urls_of(server):
    return Urls(f"http://127.0.0.1:{server.flags.rest_api_port}", f"grpc://127.0.0.1:{server.flags.port}")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    for version in ("1", "3"):
        Brightness().save(root / "brightness" / version)
    return root


@pytest.fixture(scope="module")
def urls(start_server, models):
    with start_server(model_name="brightness", model_base_path=str(models / "brightness")) as server:
        yield urls_of(server)


@pytest.fixture(params=Urls._fields)
def brightness(request, urls):
    with Client(getattr(urls, request.param), "brightness") as asked:
        yield asked


def gray(value, size=4):
    return np.full((size, size, 1), value, np.uint8)


def png(value, size=4):
    file = io.BytesIO()
    PIL.Image.fromarray(gray(value, size)[..., 0]).save(file, "png")
    return file.getvalue()


def test_predict_gives_the_models_probabilities(brightness):
    probabilities = brightness.predict(np.stack([gray(0), gray(51), gray(255)]))

    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, [[1, 0], [0.8, 0.2], [0, 1]], atol=1e-6)


def test_predict_encoded_takes_pictures_of_any_size(brightness):
    probabilities = brightness.predict_encoded([png(51), png(204, size=30)])

    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, [[0.8, 0.2], [0.2, 0.8]], atol=1e-6)


def test_predict_takes_a_strided_view(brightness):
    images = np.zeros((2, 8, 8, 1), np.uint8)
    images[:, ::2, ::2] = 255

    np.testing.assert_allclose(brightness.predict(images[:, ::2, ::2]), [[0, 1], [0, 1]], atol=1e-6)


def test_classify_gives_names_best_first(brightness):
    (dark, light) = brightness.classify([png(51), png(204)])

    assert [name for name, _ in dark] == ["night", "day"]
    assert [name for name, _ in light] == ["day", "night"]
    np.testing.assert_allclose([p for _, p in dark + light], [0.8, 0.2, 0.8, 0.2], atol=1e-6)


@pytest.mark.parametrize("images", [b"a file", "some.png", ["some.png"], [], 3])
def test_what_is_no_list_of_files_is_refused(brightness, images):
    for call in (brightness.predict_encoded, brightness.classify):
        with pytest.raises(ServingError, match="images must be a list of files' contents, bytes; got a"):
            call(images)


def test_status_lists_the_versions(brightness):
    assert brightness.status() == [VersionStatus(3, "AVAILABLE", "")]


def test_version_can_be_named(brightness):
    assert brightness.predict(gray(0)[None], version=3).shape == (1, 2)
    with pytest.raises(ServingError, match=r"Servable not found for request: Specific\(brightness, 1\)") as refused:
        brightness.predict(gray(0)[None], version=1)
    assert refused.value.code is Code.NOT_FOUND


@pytest.mark.parametrize("protocol", Urls._fields)
def test_error_carries_the_servers_words(urls, protocol):
    with Client(getattr(urls, protocol), "none") as asked:
        with pytest.raises(ServingError, match=r"Servable not found for request: Latest\(none\)") as refused:
            asked.predict(gray(0)[None])
    assert refused.value.code is Code.NOT_FOUND


@pytest.mark.parametrize(
    "images, got",
    [
        (np.zeros((1, 4, 4, 1)), r"float64 \[1, 4, 4, 1\]"),
        (gray(0), r"uint8 \[4, 4, 1\]"),
    ],
)
def test_predict_takes_uint8_batches_alone(brightness, images, got):
    with pytest.raises(ServingError, match=rf"images must be uint8 \[N, H, W, C\], got {got}\."):
        brightness.predict(images)


def test_threads_share_a_client(brightness):
    answers = {}

    def ask(value):
        answers[value] = brightness.predict(gray(value)[None])[0, 1]

    threads = [threading.Thread(target=ask, args=(value,)) for value in range(0, 256, 51)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)

    assert {value: round(float(day), 5) for value, day in answers.items()} == {v: round(v / 255, 5) for v in answers}
    assert len(answers) == 6


def test_only_model_needs_no_name_over_rest(urls):
    with Client(urls.rest) as asked:
        assert asked.model_name == "brightness"


def test_grpc_needs_the_models_name(urls):
    with Client(urls.grpc) as asked, pytest.raises(ServingError, match="Name the model to ask"):
        asked.status()


def test_several_models_need_a_name_and_are_listed(start_server, models, tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).symlink_to(models / "brightness")

    with start_server(models_root=str(tmp_path)) as server, Client(urls_of(server).rest) as asked:
        with pytest.raises(ServingError, match="Name the model to ask: .* The server has: first, second."):
            asked.status()


def test_kept_connection_outlives_a_restarted_server(start_server, free_port, models):
    flags = {"model_name": "brightness", "model_base_path": str(models / "brightness")}
    rest_port = free_port()
    with Client(f"http://127.0.0.1:{rest_port}", "brightness") as asked:
        for _ in range(2):
            with start_server(rest_api_port=rest_port, **flags):
                assert asked.status() == [VersionStatus(3, "AVAILABLE", "")]


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_unreachable_server_is_named(free_port, scheme):
    url = f"{scheme}://127.0.0.1:{free_port()}"

    with Client(url, "m") as asked, pytest.raises(ServingError, match=f"No server answers at {url} ") as refused:
        asked.status()
    assert refused.value.code is Code.UNAVAILABLE


@pytest.mark.parametrize("scheme", ["http", "grpc"])
def test_silent_server_is_given_up(scheme):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}"
        with Client(url, "m", timeout_s=0.2) as asked, pytest.raises(ServingError) as refused:
            asked.status()
    assert refused.value.code is Code.DEADLINE_EXCEEDED


class Gateway(http.server.BaseHTTPRequestHandler):
    """What stands between: answers pages of its own, and hangs up after each though it said it would not."""

    protocol_version = "HTTP/1.1"
    pages = {
        "/v1/models/lost": (502, b"<html>Bad Gateway</html>"),
        "/v1/models/strange": (200, b"<html>Welcome</html>"),
        "/v1/models/other": (200, b'{"name": "other"}'),
        "/v1/models/list": (200, b"[]"),
    }
    model = (200, b'{"model_version_status": []}')

    def do_GET(self):
        status, page = self.pages.get(self.path, self.model)
        self.send_response(status)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)
        self.close_connection = True

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        page = b'{"outputs": [[NaN, 0.5], [Infinity, -Infinity]]}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def gateway():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Gateway) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_connection_closed_by_the_server_is_opened_again(gateway):
    with Client(gateway, "m") as asked:
        assert [asked.status() for _ in range(3)] == [[], [], []]


@pytest.mark.parametrize(
    "name, words",
    [
        ("lost", "answered 502, not as a model server: <html>Bad"),
        ("strange", "answered 200, not as a model server: <html>Welcome"),
        ("other", 'answered 200, not as a model server: {"name": "other"}'),
        ("list", r"answered 200, not as a model server: \[\]"),
    ],
)
def test_answer_of_what_is_no_model_server_is_quoted(gateway, name, words):
    with Client(gateway, name) as asked, pytest.raises(ServingError, match=words):
        asked.status()


def test_numbers_that_json_has_not_are_read(gateway):
    with Client(gateway, "m") as asked:
        outputs = asked.predict(gray(0)[None])

    np.testing.assert_array_equal(outputs, np.array([[np.nan, 0.5], [np.inf, -np.inf]], np.float32))


@pytest.mark.parametrize("url", ["localhost:8501", "ftp://localhost", "http://", "http://localhost:x", ""])
def test_url_without_a_protocol_is_refused(url):
    with pytest.raises(ServingError, match="is no server's URL. Write http://localhost:8501 or grpc://localhost:8500."):
        Client(url)


def test_rest_client_starts_in_half_a_second_without_tensorflow():
    heavy = "{'tensorflow', 'grpc', 'google', 'httpx'} & set(sys.modules)"
    code = f"import sys, time, serving.client; print(time.process_time(), {heavy})"

    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    processor_s, loaded = printed.split(maxsplit=1)
    assert loaded == "set()\n"
    assert float(processor_s) < 0.5


# The command line


def refusal(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        client.main(arguments)
    assert ended.value.code == 2
    return capsys.readouterr().err.removeprefix("convzoo-predict: ")


def test_command_line_prints_classes_with_bars_version_and_milliseconds(urls, tmp_path, capsys):
    (tmp_path / "dusk.png").write_bytes(png(51))

    client.main(["--url", urls.rest, "--image", str(tmp_path / "dusk.png")])

    heading, night, day = capsys.readouterr().out.splitlines()
    assert heading.startswith("brightness version 3: ") and heading.endswith(" ms")
    assert night == "  night   80.0%  " + "█" * 50  # of the 63 columns that are left of 80
    assert day == "  day     20.0%  " + "█" * 13


def test_command_line_asks_over_grpc(urls, tmp_path, capsys):
    (tmp_path / "dusk.png").write_bytes(png(51))

    client.main(["--url", urls.grpc, "--image", str(tmp_path / "dusk.png"), "--model", "brightness"])

    assert capsys.readouterr().out.splitlines()[1].startswith("  night   80.0%  ██████")


def test_command_line_over_grpc_says_nothing_but_the_answer(urls, tmp_path):
    (tmp_path / "dusk.png").write_bytes(png(51))
    command = [sys.executable, "-m", "serving.client", "--url", urls.grpc, "--image", str(tmp_path / "dusk.png")]

    told = subprocess.run([*command, "--model=brightness"], capture_output=True, text=True, check=True, cwd=ROOT)

    assert (told.stderr, told.stdout.count("\n")) == ("", 3)


def test_command_line_prints_to_a_terminal_without_blocks(urls, tmp_path):
    (tmp_path / "dusk.png").write_bytes(png(51))
    command = [sys.executable, "-m", "serving.client", "--url", urls.rest, "--image", str(tmp_path / "dusk.png")]

    printed = subprocess.run(command, env={"PYTHONIOENCODING": "ascii"}, capture_output=True, check=True, cwd=ROOT)

    assert printed.stdout.splitlines()[1] == b"  night   80.0%  " + b"#" * 50


def test_table_is_the_top_five_in_80_columns():
    classes = [("a name that is much longer than the room there is for it", 0.5), *((str(n), 0.1) for n in range(9))]

    lines = client.table(classes).splitlines()

    assert len(lines) == 5
    assert lines[0].startswith("  a name that is much lon…   50.0%  ████")
    assert lines[1].startswith("  0                          10.0%  ██")
    assert len(client.table([("x" * 99, 1.0)])) == 80


def test_picture_that_is_missing_or_none_is_refused(tmp_path, capsys):
    (tmp_path / "notes.txt").write_text("BE quick")

    assert refusal(capsys) == "Name a picture to ask about: --image=some.png, or IMAGE=some.png to make predict.\n"
    assert refusal(capsys, "--image", "none.png") == "none.png cannot be read: No such file or directory.\n"
    assert refusal(capsys, "--image", str(tmp_path)) == f"{tmp_path} cannot be read: Is a directory.\n"
    assert refusal(capsys, "--image", str(tmp_path / "notes.txt")) == (
        f"{tmp_path}/notes.txt is no picture. Expected a JPEG, PNG, WebP, GIF or BMP file.\n"
    )


def test_bmp_with_a_palette_is_refused_since_its_numbers_are_no_tones(tmp_path, capsys):
    PIL.Image.new("P", (4, 4)).save(tmp_path / "palette.bmp")
    assert "is a BMP with a palette" in refusal(capsys, "--image", str(tmp_path / "palette.bmp"))
    for mode in "RGB", "L":
        PIL.Image.new(mode, (4, 4)).save(tmp_path / "tones.bmp")
        assert client.read_picture(str(tmp_path / "tones.bmp"))


def test_picture_that_the_server_cannot_read_is_refused_in_one_sentence(urls, tmp_path, capsys):
    (tmp_path / "cut.png").write_bytes(png(51, size=30)[:40])

    sentence = refusal(capsys, "--url", urls.rest, "--image", str(tmp_path / "cut.png"))

    assert sentence.startswith(f"{tmp_path}/cut.png: ") and sentence.count("\n") == 1


def test_unreachable_server_is_refused_in_one_sentence(free_port, tmp_path, capsys):
    (tmp_path / "dusk.png").write_bytes(png(51))
    url = f"http://127.0.0.1:{free_port()}"

    assert refusal(capsys, "--url", url, "--image", str(tmp_path / "dusk.png")).startswith(
        f"No server answers at {url}"
    )


def test_model_without_a_version_is_refused_in_one_sentence(gateway, tmp_path, capsys):
    (tmp_path / "dusk.png").write_bytes(png(51))

    sentence = refusal(capsys, "--url", gateway, "--model", "m", "--image", str(tmp_path / "dusk.png"))

    assert sentence == "Model m has no version to ask: none.\n"


def test_unknown_option_is_refused_in_one_sentence(capsys):
    assert refusal(capsys, "--img", "x.png") == "Unrecognized arguments: --img x.png.\n"
