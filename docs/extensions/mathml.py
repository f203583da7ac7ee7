"""Formulas as MathML, which current browsers draw without scripts or downloads."""

import re

from docutils import nodes
from latex2mathml import converter


def convert(text, display):
    """Return MathML in which bars fit what they enclose, and names of functions their argument."""
    made = converter.convert(text, display=display)
    made = re.sub(
        r"<mo[^>]*>(&#x0007C;|&#x02016;)", r'<mo stretchy="false" lspace="0" rspace="0">\1', made
    )
    return re.sub(r"<mo>([a-z]{2,})</mo>", r'<mo lspace="0.17em" rspace="0">\1</mo>', made)


def _inline(writer, node):
    writer.body.append(convert(node.astext(), display="inline"))
    raise nodes.SkipNode


def _block(writer, node):
    writer.body.append(f'<div class="formula">{convert(node.astext(), display="block")}</div>\n')
    raise nodes.SkipNode


def setup(app):
    """Use MathML for the formulas of HTML pages."""
    app.add_html_math_renderer("mathml", (_inline, None), (_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
