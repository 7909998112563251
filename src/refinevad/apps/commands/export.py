"""refinevad export: a trained run as a graph that other programs run."""

import argparse
from pathlib import Path

HELP = "a RUN as ONNX, OpenVINO or TorchScript, with all constants around it in model.json"
EXAMPLE = """\
example:
  refinevad export runs/mine --to onnx --out exported/
  refinevad export fighting --to openvino --quantise --out exported/

Writes the head (head.onnx, head.xml with head.bin, or head.pt), the encoder's network as far as it can be a graph, and
model.json: segments, standardisation, window, thresholds. The export is tried on windows of several lengths before it
is left. docs/export.md shows how to call it from Python, JavaScript and C++.
"""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.description = HELP
    parser.epilog = EXAMPLE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("run_folder", type=Path, metavar="RUN", help="folder of a trained run, or a model that ships")
    parser.add_argument(
        "--to", required=True, choices=("onnx", "openvino", "torchscript"), metavar="FORM", help="the form to write"
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the export, new or empty")
    parser.add_argument("--quantise", action="store_true", help="the head's matrices in 8 bits (onnx, openvino)")
    parser.add_argument("--allow-download", action="store_true", help="fetch an encoder that the run names from a hub")
    parser.add_argument("--json", metavar="FILE", help="write what model.json holds; - for stdout")


def run(args: argparse.Namespace) -> int:
    """Write the export, and say what it holds."""
    from refinevad.apps.terminal import give_json, note
    from refinevad.exporting.exported import export_run
    from refinevad.shipped.names import find_run

    content = export_run(
        find_run(args.run_folder), args.to, args.out, quantised=args.quantise, allow_download=args.allow_download
    )
    if content["encoder"]["why_none"]:
        note(f"the encoder's network is not in it: {content['encoder']['why_none']}")
    if not give_json(content, args.json):
        sizes = ", ".join(f"{name} ({row['bytes']:,} bytes)" for name, row in content["files"].items())
        print(f"{args.out}: {sizes}, model.json")
    return 0
