import pytest
from tensorflow_serving.config import model_server_config_pb2

from serving.config_protos import new_message, parse_text, read_config_file
from serving.errors import Code, ServingError

# name: number of each field, from session_bundle_config.proto, monitoring_config.proto and ssl_config.proto
FIELDS = {
    "BatchingParameters": {
        "max_batch_size": 1,
        "batch_timeout_micros": 2,
        "max_enqueued_batches": 3,
        "num_batch_threads": 4,
        "thread_pool_name": 5,
        "allowed_batch_sizes": 6,
        "pad_variable_length_inputs": 7,
    },
    "PrometheusConfig": {"enable": 1, "path": 2},
    "MonitoringConfig": {"prometheus_config": 1},
    "SSLConfig": {"server_key": 1, "server_cert": 2, "custom_ca": 3, "client_verify": 4},
}


def refusal(text, message):
    with pytest.raises(ServingError) as refused:
        parse_text(text, message, "a.config")
    assert refused.value.code is Code.INVALID_ARGUMENT
    return refused.value.message


@pytest.mark.parametrize("name", FIELDS)
def test_message_has_the_fields_of_the_original(name):
    fields = new_message(name).DESCRIPTOR.fields_by_name

    assert FIELDS[name].items() <= {field.name: field.number for field in fields.values()}.items()
    assert new_message(name).DESCRIPTOR.full_name == f"tensorflow.serving.{name}"


def test_message_reads_back_what_it_wrote():
    message = parse_text(
        "max_batch_size { value: 128 } allowed_batch_sizes: [1, 128]", new_message("BatchingParameters"), ""
    )

    again = new_message("BatchingParameters")
    again.ParseFromString(message.SerializeToString())

    assert again.max_batch_size.value == 128
    assert list(again.allowed_batch_sizes) == [1, 128]


@pytest.mark.parametrize(
    "text, place, reason",
    [
        ("model_config_list {\n  config { name: 3 }\n}", "2:18", "Expected string but found: '3'."),
        ("model_config_list {\n  config {\n", "2:10", 'Expected "}".'),
        ("<<", "1:1", "Expected identifier or number, got <."),
        ("model_config_list { config { name: 'a\n' } }", "1:36", 'String missing ending quote: "\'a".'),
    ],
)
def test_text_that_is_no_config_is_refused_with_its_place(text, place, reason):
    message = refusal(text, model_server_config_pb2.ModelServerConfig())

    assert message == f"Error parsing text-format tensorflow.serving.ModelServerConfig: a.config:{place}: {reason}"


def test_unknown_field_gets_the_nearest_name():
    message = refusal("model_config_list { config { base_pth: '/m' } }", model_server_config_pb2.ModelServerConfig())

    assert message.startswith("Error parsing text-format tensorflow.serving.ModelServerConfig: a.config:1:30: ")
    assert 'Did you mean "base_path"?' in message
    assert "It has: name, base_path, " in message


def test_number_where_a_wrapper_stands_gets_the_wrappers_form():
    message = refusal("num_batch_threads { value: 2 }\nmax_batch_size: 128\n", new_message("BatchingParameters"))

    assert message.startswith("Error parsing text-format tensorflow.serving.BatchingParameters: a.config:2:")
    assert message.endswith("This field is written max_batch_size { value: ... }.")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ServingError, match="models.config: No such file"):
        read_config_file(str(tmp_path / "models.config"))


def test_folder_and_binary_files_are_refused(tmp_path):
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(ServingError, match="binary is no UTF-8 text"):
        read_config_file(str(tmp_path / "binary"))
    with pytest.raises(ServingError, match="cannot be read: Is a directory"):
        read_config_file(str(tmp_path))
