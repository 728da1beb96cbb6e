"""The method that fits the objects of a data set."""

from __future__ import annotations

from typing import NamedTuple

#: Objects are grouped by affinities if they touch others along more than this share of their
#: outline, and are more than this many times as long as wide.
TOUCHING, LONG = 0.3, 2.0


class MethodChoice(NamedTuple):
    """A method, and why it fits.

    Attributes
    ----------
    name : str
    reason : str
        One line.
    """

    name: str
    reason: str

    def describe(self, used: str | None = None) -> str:
        """Return a line for a person; `used` is the method that was taken.

        Examples
        --------
        >>> MethodChoice("affinity", "objects touch").describe("embedding")
        'method: embedding; affinity may fit better: objects touch'
        """
        if used in (None, self.name):
            return f"method: {self.name}, as {self.reason}"
        return f"method: {used}; {self.name} may fit better: {self.reason}"


def choose_method(contact: float, elongation: float) -> MethodChoice:
    """Choose a method by the form of the objects, of those whose libraries are installed.

    Parameters
    ----------
    contact : float
        Share of the objects' surface that touches other objects, see
        `embedseg.labels.contact_share`.
    elongation : float
        How many times as long as wide they are, see `embedseg.labels.object_elongations`.

    Returns
    -------
    MethodChoice

    Examples
    --------
    >>> choose_method(0.05, 1.4).name, choose_method(0.7, 3.3).name
    ('embedding', 'affinity')
    >>> print(choose_method(0.7, 3.3).reason)
    objects touch others along 70 % of their outline and are 3.3 times as long as wide
    """
    form = (
        f"objects touch others along {100 * contact:.0f} % of their outline and are "
        f"{elongation:.1f} times as long as wide"
    )
    from embedseg.methods.graph_decoding import has_graphs  # imports much of scipy

    fits = has_graphs() and contact > TOUCHING and elongation > LONG
    return MethodChoice("affinity" if fits else "embedding", form)
