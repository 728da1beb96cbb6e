"""Synthetic films of cells with known tracks."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from embedseg.types import Floats, Labels, Spacing

#: Cells of fewer pixels, such as those that a border leaves of one, are not shown.
SMALLEST = 8


def cell_film(
    shape: tuple[int, ...],
    frames: int,
    n: int,
    seed: int = 0,
    *,
    spacing: Spacing | None = None,
    radius: float = 7.0,
    speed: float = 0.25,
    cycle: float = 15.0,
    noise: float = 0.05,
) -> tuple[Floats, Labels, dict[int, int]]:
    """Make a film of bright cells that move, touch, grow and divide, and their tracks.

    Cells are round and give way to each other. They live in a region wider than the image by their
    diameter on each side, so some enter and others leave; one that comes back is a new track.

    Parameters
    ----------
    shape : tuple of int
        Shape of a frame, 2D or 3D.
    frames : int
        Number of frames.
    n : int
        Cells in the first frame, of the whole region.
    seed : int
        The same seed gives the same film.
    spacing : tuple of float, optional
        Size of a pixel along each axis, µm; 1 by default.
    radius : float
        Largest radius of a cell, just before it divides, µm.
    speed : float
        Mean path from frame to frame, as a share of `radius`.
    cycle : float
        Mean number of frames from division to division.
    noise : float
        Standard deviation of the noise; cells are 0.5 to 1 bright, the background is 0.1.

    Returns
    -------
    image : (T, *space) float32 ndarray
    labels : (T, *space) int32 ndarray
        Each cell has one number through time; children get new ones.
    parents : dict of int to int
        Parents by number, of children.

    Examples
    --------
    >>> image, labels, parents = cell_film((48, 48), 12, 8, seed=1, cycle=8)
    >>> image.shape, len(parents) > 1, set(parents.values()) <= set(np.unique(labels).tolist())
    ((12, 48, 48), True, True)
    """
    rng = np.random.default_rng(seed)
    step = np.ones(len(shape)) if spacing is None else np.asarray(spacing, float)
    dish = _Dish(rng, np.asarray(shape) * step, radius, speed * radius, cycle)
    dish.fill(n)
    shown = []
    for _ in range(frames):
        shown.append(dish.show(shape, step))
        dish.advance()
    image = np.stack([_brighten(numbers, each, step, rng, noise) for numbers, each in shown])
    labels, parents = _follow([numbers for numbers, _ in shown], dish.parents)
    return image, labels, parents


@dataclass
class _Dish:
    """Cells that live: place, velocity, age and length of life of each, by number - 1."""

    rng: np.random.Generator
    size: NDArray[np.float64]
    radius: float
    path: float
    cycle: float
    places: list[NDArray[np.float64]] = field(default_factory=list)
    moves: list[NDArray[np.float64]] = field(default_factory=list)
    ages: list[float] = field(default_factory=list)
    alive: list[int] = field(default_factory=list)
    parents: dict[int, int] = field(default_factory=dict)

    def fill(self, n: int) -> None:
        """Add cells anywhere in the region, at any age."""
        for _ in range(n):
            place = self.rng.uniform(-2 * self.radius, self.size + 2 * self.radius)
            self._add(place, self.rng.uniform(0, 1))
        self._give_way()

    def _add(self, place: NDArray[np.float64], age: float) -> int:
        self.places.append(place)
        self.moves.append(self._move())
        self.ages.append(age)
        self.alive.append(len(self.places))
        return len(self.places)

    def _move(self) -> NDArray[np.float64]:
        return self.rng.normal(0, self.path / np.sqrt(len(self.size)), len(self.size))

    def radius_of(self, number: int) -> float:
        """Return the radius of a cell, whose volume doubles in its life."""
        return float(
            self.radius * ((1 + min(self.ages[number - 1], 1)) / 2) ** (1 / len(self.size))
        )

    def advance(self) -> None:
        """Let a frame pass: cells move, age and divide."""
        for number in list(self.alive):
            k = number - 1
            self.moves[k] = 0.7 * self.moves[k] + np.sqrt(1 - 0.7**2) * self._move()
            self.places[k] = self.places[k] + self.moves[k]
            self.ages[k] += self.rng.uniform(0.6, 1.4) / self.cycle
            if self.ages[k] >= 1:
                self._divide(number)
        self._give_way()

    def _divide(self, number: int) -> None:
        self.alive.remove(number)
        axis = self.rng.normal(size=len(self.size))
        axis *= 0.65 * self.radius / np.linalg.norm(axis)
        for side in (-1, 1):
            self.parents[self._add(self.places[number - 1] + side * axis, 0.0)] = number

    def _give_way(self) -> None:
        """Push cells apart that lie too close, and back into the region."""
        radii = np.array([self.radius_of(number) for number in self.alive])
        places = np.array([self.places[number - 1] for number in self.alive])
        for _ in range(10):
            between = places[:, None] - places
            distance = np.linalg.norm(between, axis=-1) + np.eye(len(places)) * 1e9
            deep = np.maximum(0.9 * (radii[:, None] + radii) - distance, 0)
            places += 0.5 * (between / distance[..., None] * deep[..., None]).sum(axis=1)
        places = np.clip(places, -2 * self.radius, self.size + 2 * self.radius)
        for number, place in zip(self.alive, places, strict=True):
            self.places[number - 1] = place

    def show(
        self, shape: tuple[int, ...], step: NDArray[np.float64]
    ) -> tuple[Labels, NDArray[np.float64]]:
        """Return the number of the cell at each pixel, and its distance in radii from the middle.

        A pixel belongs to the cell in which it lies deepest.
        """
        numbers, nearest = np.zeros(shape, np.int32), np.ones(shape)
        for number in self.alive:
            radius, centre = self.radius_of(number), self.places[number - 1]
            low = np.clip(np.floor((centre - radius) / step), 0, shape).astype(int)
            high = np.clip(np.ceil((centre + radius) / step) + 1, 0, shape).astype(int)
            box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
            grid = zip(np.ogrid[box], step, centre, strict=True)
            away = np.sqrt(sum((np.asarray(x) * s - c) ** 2 for x, s, c in grid)) / radius
            inside = away < nearest[box]
            nearest[box][inside], numbers[box][inside] = away[inside], number
        few = np.bincount(numbers.ravel()) < SMALLEST
        numbers[few[numbers]] = 0
        return numbers, nearest


def _brighten(
    numbers: Labels,
    nearest: NDArray[np.float64],
    step: NDArray[np.float64],
    rng: np.random.Generator,
    noise: float,
) -> Floats:
    """Return a frame in which each cell has a brightness, less towards its rim."""
    brightness = 0.5 + 0.5 * ((numbers * 0.618) % 1)
    image = np.where(numbers > 0, brightness * (1 - 0.5 * nearest**2), 0.1)
    image = ndimage.gaussian_filter(image, 0.5 / step * step.min())
    image += rng.normal(0, noise, image.shape)
    return np.asarray(image, np.float32)


def _follow(frames: list[Labels], parents: dict[int, int]) -> tuple[Labels, dict[int, int]]:
    """Return the film with tracks numbered from 1 as they come into view, and their parents.

    A cell out of view for a frame is a new track.
    """
    labels = np.zeros((len(frames), *frames[0].shape), np.int32)
    seen: dict[int, int] = {}
    found: dict[int, int] = {}
    count = 0
    for t, numbers in enumerate(frames):
        now: dict[int, int] = {}
        for number in np.unique(numbers[numbers > 0]).tolist():
            if number in seen:
                now[number] = seen[number]
            else:
                count += 1
                now[number] = count
                if parents.get(number) in seen:
                    found[count] = seen[parents[number]]
            labels[t][numbers == number] = now[number]
        seen = now
    return labels, found
