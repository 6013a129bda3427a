from pathlib import Path

from google.protobuf import text_format
from tensorflow.core.protobuf import meta_graph_pb2

from serving import codec_metadata

GOLDEN = Path(__file__).parent / "golden"


def test_metadata_to_the_byte():
    signature = meta_graph_pb2.SignatureDef(method_name="tensorflow/serving/predict")
    text_format.Parse(
        "name: 'x:0' dtype: DT_FLOAT tensor_shape { dim { size: -1 } dim { size: 1 } }", signature.inputs["x"]
    )
    text_format.Parse("name: 'y:0' dtype: DT_FLOAT tensor_shape { unknown_rank: true }", signature.outputs["y"])
    response = codec_metadata.to_metadata("half_plus_two", 123, {"serving_default": signature})
    assert response.model_spec.signature_name == ""
    assert codec_metadata.encode_metadata(response) == (GOLDEN / "metadata.response.json").read_bytes()
