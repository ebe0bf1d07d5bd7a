"""The URL that names a server and a model."""

import dataclasses
import re
import urllib.parse

from keras_patchpu.errors import InputError

_PATTERN = re.compile(
    r"(?P<scheme>https?|grpc)://(?P<address>[^\s/?#@]+:\d+)/v1/models/(?P<name>[^\s/:?#]+)"
    r"(?:/versions/(?P<version>\d{1,18})|/labels/(?P<label>[^\s/:?#]+))?"
)


@dataclasses.dataclass(frozen=True)
class ModelUrl:
    """`scheme://address/v1/models/name`, then `/versions/version`, `/labels/label` or nothing.

    Name and label are as TF Serving knows them, without percent signs for other characters.
    """

    text: str
    scheme: str
    address: str
    name: str
    version: int | None
    label: str | None

    @classmethod
    def parse(cls, text: str) -> "ModelUrl":
        """Takes a URL apart.

        Raises:
            InputError: if it is not one of a model, by REST or gRPC.
        """
        match = _PATTERN.fullmatch(text)
        if match is None or not _is_address(match["address"]):
            raise InputError(
                f"{text!r} is not the URL of a model: give one such as "
                "http://localhost:8501/v1/models/NAME (REST), grpc://localhost:8500/v1/models/NAME"
                " or either of them with /versions/1 or /labels/LABEL behind it"
            )
        return cls(
            text,
            match["scheme"],
            match["address"],
            urllib.parse.unquote(match["name"]),
            int(match["version"]) if match["version"] else None,
            urllib.parse.unquote(match["label"]) if match["label"] else None,
        )


def _is_address(text: str) -> bool:
    """Whether it is a host and a port that exist in principle."""
    try:
        parts = urllib.parse.urlsplit(f"//{text}")
        return bool(parts.hostname) and bool(parts.port)
    except ValueError:
        return False
