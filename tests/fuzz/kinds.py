"""Every kind of input by its name: files of every format the program takes, and what the service is sent."""

from fuzz import films, mutators, runs, service, sets
from fuzz.kind import Kind, by_looks, by_text, by_tree, plain
from refinevad.datasets.npy import open_npy
from refinevad.encoders.captions import read_captions

KINDS: dict[str, Kind] = {
    "events.csv": Kind(sets.events, by_text, plain(sets.read_events)),
    "videos.csv": Kind(sets.videos, by_text, sets.read_videos),
    "dataset.json": Kind(sets.index, by_looks, sets.read_index),
    "recipes": Kind(runs.recipes, mutators.tables, runs.read_recipes),
    "variants": Kind(runs.variants, mutators.tables, plain(runs.read_variants)),
    "cameras.toml": Kind(runs.cameras, mutators.tables, plain(runs.read_cameras)),
    "runs": Kind(runs.runs, by_looks, runs.read_run),
    "features": Kind(runs.features, by_looks, plain(runs.read_features)),
    "own files": Kind(runs.own_files, by_looks, runs.read_own_files),
    "npy": Kind(sets.npy, mutators.array, plain(lambda path: open_npy(path).sum())),
    "predictions": Kind(sets.predictions, by_looks, plain(sets.read_and_judge_predictions)),
    "truth": Kind(sets.truth, by_tree, plain(sets.read_and_judge)),
    "annotations": Kind(sets.annotations, by_looks, sets.read_annotation),
    "ucf captions": Kind(sets.ucf_captions, by_looks, sets.read_ucf_captions),
    "captions": Kind(sets.captions, by_looks, plain(read_captions)),
    "containers": Kind(films.containers, mutators.film, films.watch_and_detect),
    "bitstreams": Kind(films.bitstreams, mutators.stream, films.watch_and_detect),
    "routes": Kind(service.no_example, service.seed_of, service.ask),
    "http": Kind(service.requests, mutators.binary, service.send),
    "websockets": Kind(service.frames, mutators.binary, service.send_frames),
}
