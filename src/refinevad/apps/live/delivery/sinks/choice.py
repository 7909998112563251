"""Configured sinks, opened."""

from refinevad.apps.live.delivery.sinks.base import Sink
from refinevad.apps.live.settings.config import LiveConfig
from refinevad.apps.live.settings.sink_options import (
    DatabaseOptions,
    FolderOptions,
    MqttOptions,
    NotifyOptions,
    SinkOptions,
    StdoutOptions,
    WebhookOptions,
)
from refinevad.apps.live.storage.store import Store


def open_sinks(config: LiveConfig, store: Store) -> list[Sink]:
    """Every sink of a configuration. Raises InputError where one is at fault; none waits for its receiver."""
    return [_open(options, config, store) for options in config.sinks]


def _open(options: SinkOptions, config: LiveConfig, store: Store) -> Sink:
    # imported where needed: a program that only prints needs no MQTT
    match options:
        case StdoutOptions():
            from refinevad.apps.live.delivery.sinks.stdout import StdoutSink

            return StdoutSink(options.name)
        case FolderOptions():
            from refinevad.apps.live.delivery.sinks.folder import FolderSink

            return FolderSink(options.name, options.path, store.media)
        case WebhookOptions():
            from refinevad.apps.live.delivery.sinks.webhook import WebhookSink

            return WebhookSink(options, store.clock)
        case MqttOptions():
            from refinevad.apps.live.delivery.sinks.mqtt import MqttSink

            return MqttSink(options, [camera.name for camera in config.cameras], store.clock, store.media)
        case NotifyOptions():
            from refinevad.apps.live.delivery.sinks.notify import NotifySink

            return NotifySink(options, store.media, store.clock)
        case DatabaseOptions():
            from refinevad.apps.live.delivery.sinks.database import DatabaseSink

            return DatabaseSink(options.name, store)
