"""Strangers' text made safe for each output: no control characters, no markup, no formulas."""

import re
import unicodedata

WIDTH = 1_000  # characters of any text that are shown
NAME = 72  # and of a name
FORMULA = ("=", "+", "-", "@", "\t", "\r")
LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "\u2013": "--",
    "—": "---",
    "·": r"\(\cdot\)",
    "±": r"\(\pm\)",
    "†": r"\(\dagger\)",
    "…": r"\dots{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def plain(text: str, width: int = WIDTH) -> str:
    """Return text on one line, without control or direction characters, shortened in the middle."""
    if len(text) > width:
        text = f"{text[: width * 2 // 3]}…{text[-(width // 3 - 1) :]}"
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character in "\n\t":
        return " "
    return "\ufffd" if unicodedata.category(character)[0] == "C" else character


def markdown(text: str) -> str:
    """Escape text for a cell of a Markdown table."""
    text = plain(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*|\[\]])", r"\\\1", text)


def latex(text: str) -> str:
    """Escape text for LaTeX; letters beyond Latin, which pdflatex refuses, become `?`."""
    return "".join(
        LATEX.get(character, character if ord(character) < 0x250 else "?")
        for character in plain(text)
    )


def csv(text: str) -> str:
    """Keep a spreadsheet from taking text for a formula."""
    shown = plain(text)
    return f"'{shown}" if shown.lstrip().startswith(FORMULA) else shown
