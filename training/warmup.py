"""The requests a server answers before it calls a version available.

Format: `assets.extra/tf_serving_warmup_requests`, a TFRecord of tensorflow.serving.PredictionLog, at most 1,000.
Source: tensorflow.org/tfx/serving/saved_model_warmup.
"""

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2


def write_warmup_requests(path, model_name, signatures):
    """Writes one Predict request of one image for each of `signatures`."""
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature in signatures:
            writer.write(prediction_log(model_name, signature).SerializeToString())


def prediction_log(model_name, signature):
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name = model_name
    request.model_spec.signature_name = signature.name
    for name, array in signature.example.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
    return log
