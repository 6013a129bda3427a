"""MLServer: a custom runtime, adaptive batching, parallel workers (docs.seldon.ai/mlserver)."""

import asyncio

from mlserver import MLModel, MLServer, ModelSettings, Settings
from mlserver.codecs import NumpyCodec
from mlserver.types import InferenceResponse
from saved_model import load, settings


class Classifier(MLModel):
    async def load(self):
        self.probabilities = load(settings().path, settings().threads)
        return True

    async def predict(self, payload):
        images = NumpyCodec.decode_input(payload.inputs[0])
        output = NumpyCodec.encode_output("probabilities", self.probabilities(images))
        return InferenceResponse(id=payload.id, model_name=self.name, outputs=[output])


async def main():
    asked = settings()
    server = Settings(
        host="127.0.0.1",
        http_port=asked.port,
        grpc_port=asked.side_port,
        metrics_endpoint=None,
        debug=False,
        parallel_workers=asked.workers,
    )
    model = ModelSettings(
        name="m",
        implementation="on_mlserver.Classifier",
        max_batch_size=asked.rows,
        max_batch_time=asked.wait_ms / 1e3,
    )
    await MLServer(server).start([model])


if __name__ == "__main__":
    asyncio.run(main())
