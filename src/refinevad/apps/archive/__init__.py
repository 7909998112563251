"""What was found in many videos, as one table: `events.parquet`."""
