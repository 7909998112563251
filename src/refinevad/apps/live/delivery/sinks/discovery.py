"""Home Assistant's MQTT discovery: the messages by which a camera's sensors appear there by themselves.

https://www.home-assistant.io/integrations/mqtt/#mqtt-discovery
"""

import hashlib
import json
import re
from typing import Any

import refinevad


def topic_name(camera: str) -> str:
    """A camera's level in topics: letters, digits, - and _; two names that would fall together stay apart."""
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", camera)
    return plain if plain == camera else f"{plain}_{hashlib.sha256(camera.encode()).hexdigest()[:6]}"


def announcements(camera: str, prefix: str, discovery_prefix: str) -> dict[str, str]:
    """Topic -> payload, to be retained: binary sensors, on during an event and a fault, the score, and the picture."""
    name = topic_name(camera)
    topic, node = f"{prefix}/{name}", re.sub(r"[^A-Za-z0-9_-]+", "_", prefix)
    shared: dict[str, Any] = {
        "availability": [{"topic": f"{prefix}/status"}, {"topic": f"{topic}/availability"}],
        "availability_mode": "all",
        "device": {"identifiers": [f"{node}_{name}"], "name": camera, "manufacturer": "refinevad"},
        "origin": {"name": "refinevad", "sw_version": refinevad.__version__},
    }
    alert = {
        "name": "Alert",
        "unique_id": f"{node}_{name}_alert",
        "device_class": "problem",
        "state_topic": f"{topic}/alert",
        "payload_on": "ON",
        "payload_off": "OFF",
        "json_attributes_topic": f"{topic}/attributes",
        **shared,
    }
    trouble = {
        "name": "Trouble",
        "unique_id": f"{node}_{name}_trouble",
        "device_class": "problem",
        "entity_category": "diagnostic",
        "state_topic": f"{topic}/trouble",
        "payload_on": "ON",
        "payload_off": "OFF",
        "json_attributes_topic": f"{topic}/trouble/attributes",
        **{**shared, "availability": shared["availability"][:1]},  # a camera that is away has a trouble to tell
    }
    score = {
        "name": "Anomaly score",
        "unique_id": f"{node}_{name}_score",
        "state_topic": f"{topic}/score",
        "state_class": "measurement",
        "suggested_display_precision": 2,
        **shared,
    }
    picture = {
        "name": "Last event",
        "unique_id": f"{node}_{name}_snapshot",
        "image_topic": f"{topic}/snapshot",
        "content_type": "image/jpeg",
        **{**shared, "availability": shared["availability"][:1]},  # it is there while the camera is away, too
    }
    return {
        f"{discovery_prefix}/image/{node}_{name}/snapshot/config": json.dumps(picture, ensure_ascii=False),
        f"{discovery_prefix}/binary_sensor/{node}_{name}/alert/config": json.dumps(alert, ensure_ascii=False),
        f"{discovery_prefix}/binary_sensor/{node}_{name}/trouble/config": json.dumps(trouble, ensure_ascii=False),
        f"{discovery_prefix}/sensor/{node}_{name}/score/config": json.dumps(score, ensure_ascii=False),
    }
