"""BentoML: adaptive batching and workers (docs.bentoml.com, "Adaptive batching", "Parallelize requests handling")."""

import signal

import bentoml
import numpy as np
from saved_model import load, settings

ASKED = settings()


@bentoml.service(workers=ASKED.workers, traffic={"timeout": 30}, logging={"access": {"enabled": False}})
class Classifier:
    def __init__(self):
        self.probabilities = load(ASKED.path, ASKED.threads)

    @bentoml.api(batchable=True, max_batch_size=ASKED.rows, max_latency_ms=ASKED.wait_ms)
    def predict(self, images: np.ndarray) -> np.ndarray:
        return self.probabilities(images)


def main():
    with bentoml.serve("on_bentoml:Classifier", host="127.0.0.1", port=ASKED.port, api_workers=ASKED.workers):
        signal.sigwait([signal.SIGTERM])


if __name__ == "__main__":
    main()
