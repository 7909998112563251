"""`PYTHONPATH=tests python -m mutation --most 60 --seed 1`: a table of files; 1 where a mutant survived unexplained."""

import argparse
import sys
from pathlib import Path

from mutation.run import Tally, read_targets, table, try_target
from mutation.trial import load_heavy


def main() -> int:
    targets = {target.file: target for target in read_targets()}
    parser = argparse.ArgumentParser(prog="mutation", description="Change the core and see whether its tests notice.")
    parser.add_argument("--most", type=int, default=60, metavar="N", help="mutants drawn a file (60)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="the same mutants for the same seed (1)")
    parser.add_argument("--files", nargs="+", choices=list(targets), default=list(targets), metavar="FILE")
    parser.add_argument("--out", type=Path, default=Path("out/mutants"), metavar="DIR", help="its copies (out/mutants)")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    load_heavy()
    tallies: list[Tally] = []
    for name in args.files:
        for step in try_target(targets[name], args.most, args.seed, args.out.resolve()):
            if isinstance(step, Tally):
                tallies.append(step)
                print(f"{name}: {step.tried} tried, {step.killed} killed, {step.minutes:.1f} min", flush=True)
            elif step[1].passed:
                print(f"{name}:{step[0].line}: {step[0].name}", flush=True)
    print(table(tallies, args.seed))
    return 1 if any(tally.survivors for tally in tallies) else 0


if __name__ == "__main__":
    sys.exit(main())
