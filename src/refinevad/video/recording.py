"""A recording's clips, whole or in shares: the one door to `ClipReader`, `NeededFrames` and `SharePlan`.

Whoever reads a file is, for that file, in one of five states. The clips are the same to the bit in each.

1. Planning (`SharePlan`, by who shares the work out): packets are read through, nothing is decoded, and shares are
   given as they are found. It ends with the last share, or with PlanError.
2. Share (`clips_of`, in a worker): decoding begins with a key frame before the share's first segment, by one thread,
   and leaves out what no clip needs. It ends with the share's last clip, or with PlanError.
3. Sparing (`ClipReader`, where packets say what nothing refers to): the file in one go, without the frames that no clip
   needs (`NeededFrames`). It ends with the file, or with a PlanError that leads to 4.
4. Begun anew (`ClipReader`): the packets are not as the frames are. Every frame is decoded from the file's beginning;
   clips that state 3 gave hold, and are not given again.
5. Every frame (`ClipReader`, where packets say nothing): as 4, with nothing given before.

    whole:   3 -> 4, or 5
    shared:  1 with 2 beside it; a PlanError of either -> whole

PlanError never leaves a whole reading. A file that cannot be opened is an InputError in every state.
"""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from refinevad.timeline import SegmentRule
from refinevad.video.frames import Clip, FrameNeeds
from refinevad.video.presentation import PlanError as PlanError
from refinevad.video.reading import ClipReader
from refinevad.video.shares import Share as Share
from refinevad.video.shares import SharePlan, clips_of

_SHORT_S = 2.0  # shares when single segments are wanted: no longer than their key frames ask for


class Recording:
    """A file to be cut into clips; opens nothing by itself.

    Args:
        needs: what the encoder asks of a segment.
        rule: what a segment is.
    """

    def __init__(self, path: Path, needs: FrameNeeds, rule: SegmentRule) -> None:
        self.path, self.needs, self.rule = path, needs, rule

    def whole(self) -> ClipReader:
        """Iterates over all clips (states 3 to 5); afterwards it has their `timeline` and `notes`.

        Raises:
            InputError: the file cannot be opened; while iterating: it holds no frame.
        """
        return ClipReader(self.path, self.needs, self.rule)

    def shares(self, length_s: Callable[[float, float], float]) -> SharePlan:
        """Iterates over the file's shares (state 1); afterwards it has their `timeline` and can `tell`.

        Args:
            length_s: seconds that a share should last at least, of the second it begins at and of the file's stated
                length.

        Raises:
            InputError: the file cannot be opened.
            PlanError: while iterating: it is to be read whole.
        """
        return SharePlan(self.path, self.needs, self.rule, length_s)

    def some(self, wanted: Collection[int]) -> dict[int, Clip]:
        """The clips of some segments, by their places; to the same bit as `whole` gives them.

        Of a file that lets itself be shared little more than these is decoded; any other is read through.

        Raises:
            InputError: the file cannot be opened.
        """
        left, found = set(wanted), dict[int, Clip]()
        try:
            for place, clip in self._shared(left):
                found[place] = clip
        except PlanError:
            pass  # as no share of it can be trusted, nothing that was found is
        else:
            return found
        found.clear()
        for place, clip in enumerate(self.whole() if left else ()):
            if place in left:
                found[place] = clip
            if place >= max(left):
                break
        return found

    def _shared(self, wanted: Collection[int]) -> Iterator[tuple[int, Clip]]:
        """Raises PlanError."""
        first, last = 0, max(wanted, default=-1)
        for share in self.shares(lambda start_s, stated_s: _SHORT_S):
            own = [place for place in wanted if first <= place < first + share.segments]
            if own:
                for place, clip in zip(range(first, max(own) + 1), clips_of(self.path, share), strict=False):
                    if place in own:
                        yield place, clip
            first += share.segments
            if first > last:
                return

    @staticmethod
    def clips_of(path: Path, share: Share) -> Iterator[Clip]:
        """Iterates over one share's clips (state 2), in any process: a share knows its needs and its rule.

        Raises:
            InputError: the file cannot be opened.
            PlanError: while iterating: it is to be read whole.
        """
        return clips_of(path, share)
