"""Colours of the page and its charts. Charts are built in the light colours; `DARK_OF` has the dark twin of each."""

from __future__ import annotations

LIGHT = {
    "bg": "#ffffff",
    "surface": "#f6f7f9",
    "raised": "#fefefe",
    "ink": "#16181d",
    "muted": "#535a65",
    "line": "#d6dae1",
    "grid": "#e6e9ee",
    "guide": "#a3abb7",
    "accent": "#0b57a4",
    "pass": "#0a6544",
    "pass-bg": "#e3f4ec",
    "fail": "#a12a10",
    "fail-bg": "#fdebe5",
    "undecided": "#6f4b00",
    "undecided-bg": "#fcf2d4",
    "neutral": "#474d57",
    "neutral-bg": "#eceef2",
    "shade": "#fdf3ee",
    "s0": "#0072b2",
    "s1": "#c44f00",
    "s2": "#00805c",
    "s3": "#a8457e",
    "s4": "#7a5c00",
    "s5": "#5b5bd6",
    "heat-low": "#c05a1c",
    "heat-below": "#f3cdb3",
    "heat-mid": "#f7f8f8",
    "heat-above": "#b3d3ea",
    "heat-high": "#2f79b5",
}
DARK = {
    "bg": "#13151a",
    "surface": "#1c1f26",
    "raised": "#22262e",
    "ink": "#e9ebef",
    "muted": "#a9b0bc",
    "line": "#3a404b",
    "grid": "#2b3039",
    "guide": "#666e7b",
    "accent": "#82bbff",
    "pass": "#62d6a0",
    "pass-bg": "#11302a",
    "fail": "#ff9d84",
    "fail-bg": "#3b1e19",
    "undecided": "#f1c862",
    "undecided-bg": "#332a12",
    "neutral": "#bcc2cd",
    "neutral-bg": "#2a2e36",
    "shade": "#241c1b",
    "s0": "#5ab4ef",
    "s1": "#ff9b55",
    "s2": "#34cfa0",
    "s3": "#ec9fcb",
    "s4": "#e3cf57",
    "s5": "#b3aaff",
    "heat-low": "#b4531a",
    "heat-below": "#6b3d22",
    "heat-mid": "#24272e",
    "heat-above": "#23506f",
    "heat-high": "#2a70ab",
}
DARK_OF = {LIGHT[name]: DARK[name] for name in LIGHT}

COLOURS = 6
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "triangle-down", "pentagon", "star")
GLYPHS = {
    "circle": "M0-6A6 6 0 1 0 0 6 6 6 0 1 0 0-6Z",
    "square": "M-5.4-5.4H5.4V5.4H-5.4Z",
    "diamond": "M0-7.2L7.2 0 0 7.2-7.2 0Z",
    "triangle-up": "M0-6.4L7 5.4H-7Z",
    "triangle-down": "M0 6.4L7-5.4H-7Z",
    "pentagon": "M0-6.8L6.6-1.9 4 5.8H-4L-6.6-1.9Z",
    "star": "M0-7.4L2.2-2.3 7.3-2.3 3.2 1.2 4.7 6.6 0 3.4-4.7 6.6-3.2 1.2-7.3-2.3-2.2-2.3Z",
}
"""The symbols of plotly as SVG paths, for the tables."""


def colour(slot: int) -> str:
    """Return the (light) colour of a student."""
    return LIGHT[f"s{slot % COLOURS}"]


def symbol(slot: int) -> str:
    """Return the shape of a student. 6 colours and 7 shapes: the first 42 students differ in colour or shape."""
    return SYMBOLS[slot % len(SYMBOLS)]


def css() -> str:
    """Return the colours as CSS variables: light, dark by the system's preference, and by the page's own switch."""

    def block(colours: dict[str, str], scheme: str) -> str:
        return "".join(f"--{name}:{value};" for name, value in colours.items()) + f"color-scheme:{scheme};"

    light, dark = block(LIGHT, "light"), block(DARK, "dark")
    return (
        f":root{{{light}}}\n"
        f"@media screen and (prefers-color-scheme:dark){{:root:not([data-theme=light]){{{dark}}}}}\n"
        f"@media screen{{:root[data-theme=dark]{{{dark}}}}}\n"
    )
