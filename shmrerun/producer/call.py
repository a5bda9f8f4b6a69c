"""Messages to a viewer without a recording, in one call: a blueprint alone.

Source: rerun-sdk 0.41, gRPC proxy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shmrerun.errors import SinkError
from shmrerun.framing import MESSAGE_HEADER_BYTES, SERVICE, split_messages, to_grpc

if TYPE_CHECKING:
    from shmrerun.producer.endpoints import Endpoint

PATIENCE_SECONDS = 5.0
_OPTIONS = (("grpc.max_send_message_length", -1), ("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))


def send_to_viewer(endpoint: Endpoint, messages: bytes) -> None:
    """Send framed messages and wait until they are taken. SinkError: they are not within ``PATIENCE_SECONDS``, with the reason."""
    import grpc

    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    target = f"{host}:{endpoint.port}"
    if endpoint.tls:
        channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(), _OPTIONS)
    else:
        channel = grpc.insecure_channel(target, _OPTIONS)
    carried = [to_grpc(kind, messages[start + MESSAGE_HEADER_BYTES : end]) for kind, start, end in split_messages(messages)]
    with channel:
        try:
            channel.stream_unary(f"/{SERVICE}/WriteMessages")(iter(carried), timeout=PATIENCE_SECONDS)
        except grpc.RpcError as error:
            found = f"{error.code().name}: {error.details() or 'no reason'}"
            raise SinkError(
                f"No viewer at {target} took the blueprint ({found}). Start one there, or save the blueprint to a file"
            ) from None
