"""`python -m release.sbom FILE`: what is shipped, as a CycloneDX 1.6 document. The same tree gives the same bytes."""

import ast
import json
import sys
import uuid
from hashlib import sha256
from pathlib import Path
from typing import Any

from release.pins import ROOT, Pin, licence_of, shipped

VENDORED = "src/refinevad/apps/report/vendor/uplot"


def document() -> dict[str, Any]:
    """The program, each pinned package with the hashes it may be installed by, and what lies in the tree itself."""
    program = {
        "type": "application",
        "bom-ref": "refinevad",
        "name": "refinevad",
        "version": version(),
        "licenses": [{"license": {"id": "Apache-2.0"}}],
        "purl": f"pkg:pypi/refinevad@{version()}",
    }
    components = [*map(_component, shipped()), _uplot()]
    refs = sorted(component["bom-ref"] for component in components)
    content = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": program, "tools": {"components": [{"type": "application", "name": "release.sbom"}]}},
        "components": components,
        "dependencies": [{"ref": "refinevad", "dependsOn": refs}, *({"ref": ref} for ref in refs)],
    }
    digest = sha256(json.dumps(content, sort_keys=True).encode()).digest()
    return {**content, "serialNumber": f"urn:uuid:{uuid.UUID(bytes=digest[:16], version=4)}"}


def version() -> str:
    """The program's own, read and not run."""
    tree = ast.parse((ROOT / "src" / "refinevad" / "__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__version__":
            return str(ast.literal_eval(node.value))
    raise ValueError("src/refinevad/__init__.py has no __version__")


def _component(pin: Pin) -> dict[str, Any]:
    licence = licence_of(pin.name)
    references = [
        {"type": "distribution", "url": f"https://pypi.org/project/{pin.name}/{pin.version}/", "hashes": _hashes(pin)}
    ]
    return {
        "type": "library",
        "bom-ref": pin.purl,
        "name": pin.name,
        "version": pin.version,
        "purl": pin.purl,
        **({"licenses": [{"expression": licence}]} if licence else {}),
        **({"externalReferences": references} if pin.hashes else {}),
    }


def _hashes(pin: Pin) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": each} for each in pin.hashes]


def _uplot() -> dict[str, Any]:
    script = ROOT / VENDORED / "uPlot.iife.min.js"
    return {
        "type": "library",
        "bom-ref": "uplot",
        "name": "uPlot",
        "licenses": [{"license": {"id": "MIT"}}],
        "hashes": [{"alg": "SHA-256", "content": sha256(script.read_bytes()).hexdigest()}],
    }


def main() -> None:
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(document(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
    print(target)


if __name__ == "__main__":
    main()
