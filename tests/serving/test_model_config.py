import pytest
from tensorflow_serving.config import model_server_config_pb2

from serving.errors import Code, ServingError
from serving.model_config import (
    All,
    BatchingParameters,
    Latest,
    ModelConfig,
    MonitoringConfig,
    Specific,
    SslConfig,
    from_models_root,
    from_proto,
    parse_batching_parameters,
    parse_model_config_file,
    parse_monitoring_config,
    parse_ssl_config,
)

MODEL = 'name: "m" base_path: "/models/m" model_platform: "tensorflow"'


def models(*configs):
    return parse_model_config_file(
        f"model_config_list {{ {' '.join(f'config {{ {c} }}' for c in configs)} }}", "a.config"
    )


def refusal(call, *arguments):
    with pytest.raises(ServingError) as refused:
        call(*arguments)
    assert refused.value.code is Code.INVALID_ARGUMENT
    return refused.value.message


def test_model_config_file_gives_its_models_in_order():
    text = """
      # the form in TensorFlow Serving's guide
      model_config_list {
        config {
          name: 'my_first_model'
          base_path: '/tmp/my_first_model/'
          model_platform: 'tensorflow'
        }
        config {
          name: 'my_second_model'
          base_path: '/tmp/my_second_model/'
          model_platform: 'tensorflow'
          model_version_policy { specific { versions: 42 versions: 43 } }
          version_labels { key: 'stable' value: 43 }
          version_labels { key: 'canary' value: 42 }
        }
      }"""

    assert parse_model_config_file(text, "models.config") == (
        ModelConfig("my_first_model", "/tmp/my_first_model/"),
        ModelConfig("my_second_model", "/tmp/my_second_model/", Specific((42, 43)), {"stable": 43, "canary": 42}),
    )


@pytest.mark.parametrize(
    "text, policy",
    [
        ("", Latest(1)),
        ("model_version_policy {}", Latest(1)),
        ("model_version_policy { latest {} }", Latest(1)),
        ("model_version_policy { latest { num_versions: 2 } }", Latest(2)),
        ("model_version_policy: { all: {} }", All()),
        ("model_version_policy { specific { versions: [3, 1] } }", Specific((3, 1))),
    ],
)
def test_version_policy(text, policy):
    assert models(f"{MODEL} {text}")[0].version_policy == policy


@pytest.mark.parametrize("base_path", ["/models/m", "file:///models/m"])
def test_base_path_is_one_of_this_machine(base_path):
    assert models(f'name: "m" base_path: "{base_path}" model_platform: "tensorflow"')[0].base_path == "/models/m"


def test_deprecated_model_type_is_a_platform():
    assert models('name: "m" base_path: "/m" model_type: TENSORFLOW') == (ModelConfig("m", "/m"),)


def test_empty_list_is_no_models_and_an_empty_file_says_nothing():
    assert parse_model_config_file("model_config_list {}", "a.config") == ()
    assert parse_model_config_file("# to come", "a.config") is None


# The words of server_core.cc
@pytest.mark.parametrize(
    "configs, message",
    [
        ([MODEL, MODEL], "Illegal to list model m multiple times in config list"),
        (
            ['name: "m" base_path: "models/m" model_platform: "tensorflow"'],
            "Expected model m to have an absolute path or URI; got base_path()=models/m",
        ),
        (
            ['name: "m" base_path: "/models/m\\000" model_platform: "tensorflow"'],
            "Expected model m to have an absolute path or URI; got base_path()=/models/m\0",
        ),
        (
            ['name: "m" base_path: "gs://bucket/m" model_platform: "tensorflow"'],
            "gs://bucket/m is not on this machine, as a served model must be. Mount it as a folder, or copy it.",
        ),
        (
            ['name: "m" model_platform: "tensorflow"'],
            "Expected model m to have an absolute path or URI; got base_path()=",
        ),
        (
            ['name: "m" base_path: "/m"'],
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            "ModelServerConfig::model_platform, model name is m",
        ),
        (
            [f"{MODEL} model_type: TENSORFLOW"],
            "Illegal setting both ModelServerConfig::model_type (deprecated) and "
            "ModelServerConfig::model_platform, model name is m",
        ),
        ([f"{MODEL} logging_config {{}}"], "No request-logger-creator provided."),
    ],
)
def test_wrong_config_is_refused_in_the_contracts_words(configs, message):
    assert refusal(models, *configs).startswith(message)


@pytest.mark.parametrize(
    "config, message",
    [
        ('base_path: "/m" model_platform: "tensorflow"', "Expected a model name"),
        ('name: "a/b" base_path: "/m" model_platform: "tensorflow"', 'got name="a/b"'),
        ('name: "m" base_path: "/m" model_platform: "caffe"', "unsupported platform caffe"),
        ('name: "m" base_path: "/m" model_type: OTHER', "unsupported platform other"),
        (f"{MODEL} model_version_policy {{ specific {{}} }}", "specific version policy without versions"),
    ],
)
def test_model_that_could_never_be_served_is_refused(config, message):
    assert message in refusal(models, config)


def test_custom_model_config_is_refused():
    config = model_server_config_pb2.ModelServerConfig()
    config.custom_model_config.type_url = "type.googleapis.com/x"

    assert refusal(from_proto, config) == "custom_model_config is not supported. List the models in model_config_list."


def test_bad_text_is_refused_with_file_and_place():
    assert refusal(parse_model_config_file, "model_config_list {", "/etc/models.config").startswith(
        "Error parsing text-format tensorflow.serving.ModelServerConfig: /etc/models.config:1:"
    )


def test_models_root_gives_each_folder_with_versions(tmp_path):
    for folder in ("b/1", "b/00000123", "a/2", "empty", "unversioned/latest", "half/.1.tmp"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "1").write_text("a version is a folder")
    (tmp_path / "notes.txt").write_text("")

    assert from_models_root(str(tmp_path)) == (
        ModelConfig("a", str(tmp_path / "a")),
        ModelConfig("b", str(tmp_path / "b")),
    )


def test_models_root_is_made_absolute(tmp_path, monkeypatch):
    (tmp_path / "models" / "m" / "1").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)

    assert from_models_root("models") == (ModelConfig("m", str(tmp_path / "models" / "m")),)


def test_models_root_that_is_missing_is_refused(tmp_path):
    with pytest.raises(ServingError, match="none: No such folder") as refused:
        from_models_root(str(tmp_path / "none"))
    assert refused.value.code is Code.NOT_FOUND


def test_batching_parameters_of_tensorflow_servings_guide():
    text = """
      max_batch_size { value: 128 }
      batch_timeout_micros { value: 0 }
      max_enqueued_batches { value: 1000000 }
      num_batch_threads { value: 8 }
      thread_pool_name { value: "shared" }
      allowed_batch_sizes: 32
      allowed_batch_sizes: 128
      pad_variable_length_inputs: true"""

    assert parse_batching_parameters(text, "batching.txt") == BatchingParameters(
        max_batch_size=128,
        batch_timeout_micros=0,
        max_enqueued_batches=1_000_000,
        num_batch_threads=8,
        thread_pool_name="shared",
        allowed_batch_sizes=(32, 128),
        pad_variable_length_inputs=True,
    )


def test_batching_parameters_default_to_tensorflow_servings():
    parameters = parse_batching_parameters("num_batch_threads { value: 3 }", "batching.txt")

    assert parameters == BatchingParameters(1000, 0, 10, 3)
    assert parameters.execution_batch_size == 1000


def test_batching_parameters_split_large_batches():
    text = """
      max_batch_size { value: 128 }
      enable_large_batch_splitting { value: true }
      max_execution_batch_size { value: 32 }
      allowed_batch_sizes: [8, 32]"""

    assert parse_batching_parameters(text, "batching.txt").execution_batch_size == 32


# The words of batching_session.cc
@pytest.mark.parametrize(
    "text, message",
    [
        (
            "max_batch_size { value: 64 } allowed_batch_sizes: [8, 32]",
            "Last entry in allowed_batch_sizes must match max_batch_size; last entry was 32; expected 64",
        ),
        (
            "max_batch_size { value: 8 } allowed_batch_sizes: [8, 4, 8]",
            "allowed_batch_sizes entries must be monotonically increasing; got [8, 4, 8]",
        ),
        (
            "max_batch_size { value: 64 } enable_large_batch_splitting { value: true } "
            "max_execution_batch_size { value: 32 } allowed_batch_sizes: [8, 64]",
            "Last entry in allowed_batch_sizes must be equal to max_execution_batch_size; "
            "last entry was 64; expected 32",
        ),
        (
            "max_batch_size { value: 8 } enable_large_batch_splitting { value: true } "
            "max_execution_batch_size { value: 9 }",
            "max_execution_batch_size must be less than or equal to max_batch_size; was 9; expected at most 8",
        ),
        ("max_batch_size { value: 0 }", "max_batch_size must be at least 1; was 0"),
        ("max_enqueued_batches { value: 0 }", "max_enqueued_batches must be at least 1; was 0"),
        ("num_batch_threads { value: 0 }", "num_batch_threads must be at least 1; was 0"),
        ("batch_timeout_micros { value: -1 }", "batch_timeout_micros must be non-negative; was -1"),
    ],
)
def test_batching_parameters_that_contradict_each_other_are_refused(text, message):
    assert refusal(parse_batching_parameters, text, "batching.txt") == f"batching.txt: {message}"


@pytest.mark.parametrize(
    "text, config",
    [
        ("", MonitoringConfig(False, "/monitoring/prometheus/metrics")),
        ("prometheus_config { enable: true }", MonitoringConfig(True, "/monitoring/prometheus/metrics")),
        ('prometheus_config { enable: true, path: "/metrics" }', MonitoringConfig(True, "/metrics")),
    ],
)
def test_monitoring_config(text, config):
    assert parse_monitoring_config(text, "monitoring.config") == config


def test_monitoring_path_begins_with_a_slash():
    message = refusal(parse_monitoring_config, 'prometheus_config { path: "metrics" }', "monitoring.config")

    assert message == 'monitoring.config: prometheus_config.path must start with "/"; was "metrics"'


PEM = "-----BEGIN X-----\\nAA==\\n-----END X-----\\n"


def test_ssl_config_holds_pem_text():
    text = f'server_key: "{PEM}" server_cert: "-----BEGIN C-----" custom_ca: "-----BEGIN A-----" client_verify: true'

    assert parse_ssl_config(text, "ssl.config") == SslConfig(
        "-----BEGIN X-----\nAA==\n-----END X-----\n", "-----BEGIN C-----", "-----BEGIN A-----", True
    )


@pytest.mark.parametrize(
    "text, message",
    [
        (f'server_cert: "{PEM}"', "server_key must be PEM text"),
        (f'server_key: "{PEM}" server_cert: "/etc/cert.pem"', "server_cert must be PEM text"),
        (f'server_key: "{PEM}" server_cert: "{PEM}" custom_ca: "ca.pem"', "custom_ca must be PEM text"),
        (f'server_key: "{PEM}" server_cert: "{PEM}" client_verify: true', "client_verify needs custom_ca"),
    ],
)
def test_ssl_config_without_its_parts_is_refused(text, message):
    assert refusal(parse_ssl_config, text, "ssl.config").startswith(f"ssl.config: {message}")


def test_ssl_refusal_never_shows_the_key():
    message = refusal(parse_ssl_config, 'server_key: "c2VjcmV0" server_cert: "x"', "ssl.config")

    assert "c2VjcmV0" not in message
