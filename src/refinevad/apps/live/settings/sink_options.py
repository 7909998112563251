"""What can be said of each kind of sink in cameras.toml."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from refinevad.apps.live.settings.secret import Secret

SinkType = Literal["stdout", "folder", "webhook", "mqtt", "notify", "database"]


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
class NotifyOptions:
    """A person, by any service that the library Apprise knows: e-mail, Telegram, ntfy, Slack and a hundred others.

    Attributes:
        url: Apprise's address of the service: https://github.com/caronc/apprise/wiki; a secret.
        categories: of the events that are told; None: all.
        least_score: an event's peak when it is told, at least.
        hours: local times of day in which it is armed, such as "22:00-06:00"; empty: always.
        days: of the week in which it is armed, `mon` to `sun`; None: all. Hours past midnight are the next day's.
        cooldown_s: after a message of a camera so long none of it; the next one says how many there were between.
        snapshot: whether the picture goes with it; troubles: whether a camera's troubles are told, too.
        page: address of the service's page, to which messages lead; empty: they lead nowhere.
    """

    name: str
    url: Secret
    categories: tuple[str, ...] | None = None
    least_score: float = 0.0
    hours: str = ""
    days: tuple[str, ...] | None = None
    cooldown_s: float = 300.0
    snapshot: bool = True
    troubles: bool = True
    page: str = ""


@dataclass(frozen=True)
class DatabaseOptions:
    """The storage of the same configuration."""

    name: str = "database"


SinkOptions = StdoutOptions | FolderOptions | WebhookOptions | MqttOptions | NotifyOptions | DatabaseOptions
SINK_TYPES: dict[SinkType, type[SinkOptions]] = {
    "stdout": StdoutOptions,
    "folder": FolderOptions,
    "webhook": WebhookOptions,
    "mqtt": MqttOptions,
    "notify": NotifyOptions,
    "database": DatabaseOptions,
}
