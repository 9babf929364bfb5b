"""Draws the one kind of Mermaid block in these pages, boxes above each other, without scripts from elsewhere."""
import re

from docutils import nodes
from docutils.parsers.rst import Directive

BOX = re.compile(r'^\s*\w+\["([^"]*)"\]$', re.M)


class StackedBoxes(Directive):
    """``mermaid``: the labels of the boxes, from top to bottom."""

    has_content = True

    def run(self):
        labels = BOX.findall("\n".join(self.content))
        if not labels:
            raise self.error('a mermaid block needs boxes: name["text"]')
        return [nodes.container("", *(nodes.paragraph(text=label) for label in labels), classes=["stacked-boxes"])]


def setup(app):
    app.add_directive("mermaid", StackedBoxes)
    return dict(parallel_read_safe=True)
