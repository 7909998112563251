"""Where events go: stdout, a folder, a webhook, MQTT, the database."""
