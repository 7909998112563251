"""`PYTHONPATH=tests python -m fuzz --inputs 20000 --seed 1`: a table of kinds; 1 where something was found."""

import argparse
import sys
from pathlib import Path

from fuzz.kinds import KINDS
from fuzz.run import run, table


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description="Spoil inputs and see who does not bear it.")
    parser.add_argument("--inputs", type=int, default=2000, metavar="N", help="in all (2000)")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="the same inputs for the same seed (0)")
    parser.add_argument("--kinds", nargs="+", choices=sorted(KINDS), default=sorted(KINDS), metavar="KIND")
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"), metavar="DIR", help="what was found (out/fuzz)")
    args = parser.parse_args()
    tallies = run(args.inputs, args.seed, args.kinds, args.out)
    print(table(tallies))
    for tally in tallies:
        for finding in tally.findings:
            print(f"{tally.kind}: {finding.what}: {finding.said}\n  {finding.file}")
        if more := tally.found - len(tally.findings):
            print(f"{tally.kind}: {more} more like these are kept in {args.out / tally.kind}")
    return 1 if any(tally.findings for tally in tallies) else 0


if __name__ == "__main__":
    sys.exit(main())
