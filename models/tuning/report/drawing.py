"""Figures as parts of a page: inline SVG, the same bytes for the same numbers, with words for who cannot see it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito 2008: told apart by people with any colour vision.
BEST, OWN, OTHER, FAILED = "#d55e00", "#0072b2", "#7a828a", "#4d4d4d"
# The pale end of viridis is left out: it does not stand out from white.
DARKEST_IS_BEST = "viridis_r"
PALEST = 0.12

_SVG = "http://www.w3.org/2000/svg"
_LINK = "http://www.w3.org/1999/xlink"
_STYLE = {
    "font.size": 9.0,
    "svg.fonttype": "none",  # text that can be read aloud, found and copied
    "text.parse_math": False,  # a dollar sign in a name is one
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#6b7280",
    "axes.labelcolor": "#1f2933",
    "xtick.color": "#3b4752",
    "ytick.color": "#3b4752",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e7eb",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
}


@dataclass(frozen=True)
class Chart:
    """A figure in a page.

    Attributes:
      svg: an <svg> element.
      description: what it shows, in words.
      width_px: below which it should not be squeezed.
    """

    svg: str
    description: str
    width_px: int


def drawn(name: str, title: str, description: str, draw: Callable[[], Figure]) -> Chart:
    """Draw a figure.

    Args:
      name: unlike any other's on the page.
      title: for who cannot see it, with the description.
      description: what it shows, in words.
      draw: makes the figure.
    """
    with _style(name):
        figure = draw()
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return Chart(_inline(text.getvalue(), name, title, description), description, round(96 * figure.get_figwidth()))


@contextmanager
def _style(name: str) -> Iterator[None]:
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # whatever this machine's matplotlibrc says
        matplotlib.rcParams.update(_STYLE | {"svg.hashsalt": name})
        yield


def _inline(text: str, name: str, title: str, description: str) -> str:
    """Return an SVG file as an element: described, as wide as there is room, with ids that no other chart has."""
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _LINK)
    root = ElementTree.fromstring(text)
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "id":
                element.set(key, f"{name}-{value}")
            elif key == f"{{{_LINK}}}href":
                element.set(key, f"#{name}-{value.removeprefix('#')}")
            elif value.startswith("url(#"):
                element.set(key, f"url(#{name}-{value.removeprefix('url(#')}")
    for metadata in root.findall(f"{{{_SVG}}}metadata"):
        root.remove(metadata)
    for key in ("width", "height"):
        root.attrib.pop(key, None)
    root.set("role", "img")
    root.set("aria-labelledby", f"{name}-title {name}-description")
    for tag, content in (("desc", description), ("title", title)):
        element = ElementTree.Element(f"{{{_SVG}}}{tag}", {"id": f"{name}-{'description' if tag == 'desc' else tag}"})
        element.text = content
        root.insert(0, element)
    return ElementTree.tostring(root, encoding="unicode")
