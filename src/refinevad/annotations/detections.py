"""What `refinevad detect` wrote, `<stem>.json`: read here, so that results go to the tools."""

from refinevad.annotations.annotated import Format, Mark, MarkedVideo, Written
from refinevad.annotations.content import Content


def claims(content: Content) -> bool:
    """An object with a schema version, a video, its segments and events."""
    whole = content.json
    return isinstance(whole, dict) and {"schema_version", "video", "segments", "events"} <= whole.keys()


def read(content: Content) -> Written:
    """Events with their peaks as scores."""
    whole = content.json
    video = MarkedVideo(content.words(whole["video"], "video"))
    rate = content.number(whole.get("rate_hz", 0), "rate_hz")
    video.rate_hz = rate if rate > 0 else None
    for event in content.objects(whole["events"], "events"):
        start_s, end_s, peak = (content.number(event.get(key), f"event, {key}") for key in ("start_s", "end_s", "peak"))
        video.marks.append(Mark(start_s, end_s, content.words(event.get("category"), "event, category"), peak))
    return Written([video])


FORMAT = Format("detection", "refinevad's detections", ".json", claims, read, None, per_video=True, resolution_s=1e-4)
