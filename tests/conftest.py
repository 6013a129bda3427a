import contextlib
import socket

import hypothesis
import pytest

# A busy machine makes single examples slow; the suite as a whole is what must be fast.
hypothesis.settings.register_profile("convzoo", deadline=None)
hypothesis.settings.load_profile("convzoo")


@pytest.fixture(scope="session")
def free_port():
    """Gives a port that nothing listens on, never the same twice."""
    given = set()

    def free_port():
        while True:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                port = listener.getsockname()[1]
            if port not in given:
                given.add(port)
                return port

    return free_port


@pytest.fixture(scope="session")
def start_server(free_port):
    """Starts a server in this process with flags given as keywords; a context manager that yields it."""

    from serving.flags import Flags
    from serving.server import Server

    @contextlib.contextmanager
    def start(**flags):
        flags = {"port": free_port(), "rest_api_port": free_port(), "engine": "tensorflow", **flags}
        server = Server(Flags(**flags))
        server.flags = Flags(**flags)
        try:
            server.start()
            yield server
        finally:
            server.stop()

    return start
