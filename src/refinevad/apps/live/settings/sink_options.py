"""What can be said of each kind of sink in cameras.toml."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from refinevad.apps.live.settings.secret import Secret

SinkType = Literal["stdout", "folder", "webhook", "mqtt", "database"]


@dataclass(frozen=True)
class StdoutOptions:
    """A JSON line for each envelope on stdout."""

    name: str = "stdout"


@dataclass(frozen=True)
class FolderOptions:
    """A folder for each event: event.json, and its snapshot and clip."""

    name: str
    path: Path


@dataclass(frozen=True)
class WebhookOptions:
    """POST to an http(s) URL, signed with `secret` where there is one."""

    name: str
    url: Secret  # tokens stand in webhook URLs
    secret: Secret | None = None
    timeout_s: float = 10.0
    rate_per_minute: float = 120.0
    burst: int = 20


@dataclass(frozen=True)
class MqttOptions:
    """A broker; `prefix` begins every topic; `discovery_prefix` is Home Assistant's, empty for none."""

    name: str
    host: str
    port: int = 1883
    username: str = ""
    password: Secret | None = None
    tls: bool = False
    ca_file: Path | None = None
    prefix: str = "refinevad"
    discovery_prefix: str = "homeassistant"
    client_id: str = ""
    timeout_s: float = 10.0


@dataclass(frozen=True)
class DatabaseOptions:
    """The storage of the same configuration."""

    name: str = "database"


SinkOptions = StdoutOptions | FolderOptions | WebhookOptions | MqttOptions | DatabaseOptions
SINK_TYPES: dict[SinkType, type[SinkOptions]] = {
    "stdout": StdoutOptions,
    "folder": FolderOptions,
    "webhook": WebhookOptions,
    "mqtt": MqttOptions,
    "database": DatabaseOptions,
}
