"""Ray Serve: @serve.batch and replicas (docs.ray.io, "Dynamic Request Batching" and "Performance Tuning")."""

import asyncio
import signal

import numpy as np
import ray
from ray import serve
from saved_model import load, settings


def application(asked):
    @serve.deployment(num_replicas=asked.workers, max_ongoing_requests=128, ray_actor_options={"num_cpus": 1})
    class Classifier:
        def __init__(self):
            self.probabilities = load(asked.path, asked.threads)

        @serve.batch(max_batch_size=asked.rows, batch_wait_timeout_s=asked.wait_ms / 1e3)
        async def predict(self, images):
            return await asyncio.to_thread(lambda: [*self.probabilities(np.stack(images))])

        async def __call__(self, request):
            image = np.asarray((await request.json())["image"], np.uint8)
            return {"probabilities": (await self.predict(image)).tolist()}

    return Classifier.bind()


def main():
    asked = settings()
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="error")
    quiet = {"enable_access_log": False, "log_level": "ERROR"}
    serve.start(http_options={"host": "127.0.0.1", "port": asked.port}, logging_config=quiet)
    serve.run(application(asked), route_prefix="/predict")
    signal.sigwait([signal.SIGTERM])
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
