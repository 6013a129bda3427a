"""The listening servers: gRPC's, behind a faster front where it can be, and uvicorn, each in threads of its own."""

import contextlib
import os
import socket
import ssl
import tempfile
import threading
from pathlib import Path

import grpc
import uvicorn
from starlette.types import ASGIApp

from serving.errors import Code, ServingError
from serving.flags import Flags
from serving.grpc_async import GrpcServer
from serving.http_protocol import HttpProtocol
from serving.model_config import SslConfig

MAX_MESSAGE_BYTES = 2**31 - 1
REST_BACKLOG = 2048
KEEP_ALIVE_S = 75  # idle REST connections; proxies keep theirs for 60 s, and what they send as one closes is lost


def grpc_server(flags: Flags) -> GrpcServer:
    """A gRPC server with the flags' threads and channel arguments, and no services yet."""
    options = (
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
        ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
        ("grpc.so_reuseport", 0),  # a second server on the port must fail, not share its calls
        *flags.channel_arguments,
    )
    return GrpcServer(flags.grpc_max_threads, options)


def bind_grpc(server: GrpcServer, flags: Flags, tls: SslConfig | None) -> list[str]:
    """Binds the port and the UNIX socket that `flags` ask for, and returns their addresses.

    TLS, on the socket too, and arguments for gRPC's own server, are for gRPC's own server; all else is for the faster
    front.

    Raises:
        ServingError: UNAVAILABLE when one of them cannot be had.
    """
    addresses = [f"0.0.0.0:{flags.port}"] if flags.port else []
    if flags.grpc_socket_path:
        addresses.append(f"unix:{flags.grpc_socket_path}")
    for address in addresses:
        with _port_errors(address):
            if tls:
                server.server.add_secure_port(address, _grpc_credentials(tls))
            elif flags.channel_arguments:
                server.server.add_insecure_port(address)
            else:
                server.add_front(address)
    return addresses


def require_free(*ports: int) -> None:
    """Tells before models are loaded that a port could not be had after it; 0 is none.

    Raises:
        ServingError: UNAVAILABLE when another process listens on one of them.
    """
    for port in filter(None, ports):
        with _port_errors(f"port {port}"):
            socket.create_server(("0.0.0.0", port)).close()


class RestServer:
    """uvicorn on `port` of every interface, in a thread of its own; it listens once `start` returns.

    Args:
        tls: speak HTTPS with these certificates.
    """

    def __init__(self, app: ASGIApp, port: int, tls: SslConfig | None = None) -> None:
        config = uvicorn.Config(
            app,
            http=HttpProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
        )
        config.load()
        config.ssl = tls_context(tls) if tls else None
        self._server = uvicorn.Server(config)
        self._socket = _listen(port)
        self._thread = threading.Thread(target=self._server.run, args=([self._socket],), name="rest", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, grace_s: float) -> None:
        """Takes no more connections, finishes what is in flight, and returns when done or after `grace_s`."""
        self._server.should_exit = True
        self._thread.join(grace_s)
        self._socket.close()


def tls_context(tls: SslConfig) -> ssl.SSLContext:
    """A server's context from PEM texts.

    Raises:
        ServingError: INVALID_ARGUMENT where they are none, or the key is not the certificate's.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:  # the ssl module reads keys from files alone
        key, cert = Path(folder, "key.pem"), Path(folder, "cert.pem")
        for path, text in ((key, tls.server_key), (cert, tls.server_cert)):
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
                file.write(text)
        with _pem_errors("server_key and server_cert"):
            context.load_cert_chain(cert, key)
    if tls.custom_ca:
        with _pem_errors("custom_ca"):
            context.load_verify_locations(cadata=tls.custom_ca)
    if tls.client_verify:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def _grpc_credentials(tls: SslConfig) -> grpc.ServerCredentials:
    return grpc.ssl_server_credentials(
        [(tls.server_key.encode(), tls.server_cert.encode())],
        tls.custom_ca.encode() or None,
        tls.client_verify,
    )


def _listen(port: int) -> socket.socket:
    with _port_errors(f"port {port}"):
        if socket.has_dualstack_ipv6():
            return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=REST_BACKLOG)
        return socket.create_server(("0.0.0.0", port), backlog=REST_BACKLOG)


@contextlib.contextmanager
def _pem_errors(fields: str):  # type: ignore[no-untyped-def]
    try:
        yield
    except ssl.SSLError as error:
        raise ServingError(
            Code.INVALID_ARGUMENT,
            f"{fields} of --ssl_config_file: no PEM that fits together ({error.reason or error}).",
        ) from error


@contextlib.contextmanager
def _port_errors(address: str):  # type: ignore[no-untyped-def]
    try:
        yield
    except (OSError, RuntimeError) as error:  # grpc raises RuntimeError
        raise ServingError(
            Code.UNAVAILABLE, f"{address} cannot be listened on: {error}. Stop what uses it or choose another."
        ) from error
