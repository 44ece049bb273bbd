"""From a specification to SVG that stands inside the page."""

from __future__ import annotations

import json
import re

from evaluation.report.specs import Spec

VEGA_LITE = "5.20"
"""The version whose language the specifications are written in."""


def svg(spec: Spec) -> str:
    """An SVG element; its colours are the page's, its texts are escaped, and it refers to nothing outside."""
    import vl_convert

    text = (
        json.dumps(spec, ensure_ascii=False, allow_nan=False).encode("utf-8", "replace").decode()
    )  # no half characters
    drawn: str = vl_convert.vegalite_to_svg(text, vl_version=VEGA_LITE, allowed_base_urls=[])
    return re.sub(r'<svg [^>]*?(width="[\d.]+" height="[\d.]+" viewBox="[^"]+")>', r"<svg \1>", drawn, count=1)
