"""Links and divisions of synthetic films with known tracks, at several speeds.

    python tests/benchmarks/tracking.py [--seeds 100 110] [--speeds 0.1 0.25 0.5]

Prints rows of a table in Markdown. The rules of `embedseg.tracking` were chosen on the films of
seeds 0 to 9 (`--seeds 0 10`); the others were not looked at before.
"""

from __future__ import annotations

import argparse

from embedseg.images import cell_film
from embedseg.tracking import link_frames, list_tracks
from tests.tracking.links import LinkScores, score_links, shuffled

#: Shape of a frame, and spacing.
SPACES = {"2D": ((128, 128), (1.0, 1.0)), "3D": ((32, 64, 64), (2.0, 1.0, 1.0))}


def score_film(space: str, speed: float, seed: int) -> LinkScores:
    """Link the true labels of a film; speed in diameters from frame to frame."""
    shape, spacing = SPACES[space]
    film = cell_film(shape, 25, 24, seed, spacing=spacing, radius=6.0, speed=2 * speed)
    _, labels, parents = film
    found = link_frames(shuffled(labels, seed), spacing)
    return score_links(labels, list_tracks(labels, parents), found.labels, found.tracks)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, nargs=2, default=[100, 110])
    parser.add_argument("--speeds", type=float, nargs="+", default=[0.1, 0.25, 0.5])
    asked = parser.parse_args()
    print("| | true links | found | false | true divisions | found | false |")
    print("| --- " * 7 + "|")
    for space in SPACES:
        for speed in asked.speeds:
            first, *rest = range(*asked.seeds)
            total = score_film(space, speed, first)
            for seed in rest:
                total += score_film(space, speed, seed)
            shares = [f"{share:.3f}".lstrip("0") for share in total.shares().values()]
            print(
                f"| {space}, {speed:g} diameters | {total.links[0]} | {shares[0]} | {shares[1]} | "
                f"{total.divisions[0]} | {shares[2]} | {shares[3]} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
