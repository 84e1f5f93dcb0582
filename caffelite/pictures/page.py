"""Pages of HTML in one file, which hold their pictures, load nothing from elsewhere, run nothing.

What is text becomes text, whatever characters it has: names of files and of classes are others'.
"""

import base64
import html

import numpy as np

from ..data.image import encode
from .arrays import picture_of

SIDE = 160  # pixels, of the longer side of a thumbnail

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 15px/1.4 system-ui, sans-serif; margin: 2em; color: #222; background: #fff }}
table {{ border-collapse: collapse; margin: 1em 0 }}
th, td {{ padding: 2px 10px; border-bottom: 1px solid #ddd; text-align: right }}
th {{ border-bottom: 1px solid #888 }}
.text {{ text-align: left }}
.samples {{ display: flex; flex-wrap: wrap; gap: 14px; margin: 1em 0 }}
.links a {{ margin-right: 12px; display: inline-block }}
figure {{ margin: 0; width: {side}px; font-size: 12px; overflow-wrap: anywhere }}
figure img {{ width: {side}px; height: {side}px; object-fit: contain; background: #eee;
 image-rendering: pixelated }}
figcaption b {{ font-weight: 600 }}
</style>
</head>
<body>
<h1>{title}</h1>
{body}
</body>
</html>
"""


def page(title, parts):
    """The bytes of a page, of its title and the HTML of its parts."""
    text = _PAGE.format(title=text_of(title), body="\n".join(parts), side=SIDE)
    return text.encode("utf-8", "backslashreplace")


def text_of(value):
    """The HTML that shows a value as text."""
    return html.escape(str(value))


def heading(text):
    return f"<h2>{text_of(text)}</h2>"


def subheading(text):
    return f"<h3>{text_of(text)}</h3>"


def lines(texts):
    """Lines of text, below each other."""
    return "<p>" + "<br>\n".join(map(text_of, texts)) + "</p>"


def links(pairs):
    """Links, beside each other, of (text, address)."""
    found = (f'<a href="{text_of(address)}">{text_of(text)}</a>' for text, address in pairs)
    return '<p class="links">' + "\n".join(found) + "</p>"


def table(header, rows, left, heat=False):
    """A table of text, of which the first `left` columns are words, the others numbers.

    With `heat`, cells of numbers are the darker the larger they are.
    """
    largest = max((float(x) for row in rows for x in row[left:]), default=0) if heat else 0
    head = "".join(_cell("th", x, k < left) for k, x in enumerate(header))
    body = (
        "".join(
            _cell("td", x, k < left, float(x) / largest if largest and k >= left else 0)
            for k, x in enumerate(row)
        )
        for row in rows
    )
    return "<table>\n" + "\n".join(f"<tr>{row}</tr>" for row in (head, *body)) + "\n</table>"


def _cell(tag, text, is_word, share=0.0):
    words = ' class="text"' * is_word
    color = f' style="background: rgba(60, 120, 220, {0.7 * share:.2f})"' * (share > 0)
    return f"<{tag}{words}{color}>{text_of(text)}</{tag}>"


def gallery(figures):
    """Figures side by side."""
    return '<div class="samples">\n' + "\n".join(figures) + "\n</div>"


def figure(pixels, name, facts=()):
    """A sample: its pixels as `thumbnail` takes them (a list shows several), name, facts."""
    several = pixels if isinstance(pixels, list) else [pixels]
    images = "".join(map(_image, several))
    told = "".join(f"<br>\n{text_of(fact)}" for fact in facts)
    return f"<figure>{images}<figcaption><b>{text_of(name)}</b>{told}</figcaption></figure>"


def _image(pixels):
    if pixels is None:
        return ""
    data = base64.b64encode(thumbnail(pixels)).decode()
    return f'<img alt="" src="data:image/png;base64,{data}">'


def thumbnail(pixels):
    """The .png of a sample, channels x height x width, no larger than SIDE x SIDE.

    Bytes are shown as they are, other values stretched from black to white. Where there are not 3
    or 4 channels, which are blue first, the first of them is shown.
    """
    planes = pixels[:3] if len(pixels) in (3, 4) else pixels[:1]
    if planes.dtype != np.uint8:
        planes = picture_of(planes).transpose(2, 0, 1)[::-1]
    return encode(_shrunk(planes), "png")


def _shrunk(planes):
    """Bytes with the means of squares for pixels, so large that the picture is no larger than SIDE.

    What is left over at the lower and right edges is cut off.
    """
    channels, height, width = planes.shape
    n = -(-max(height, width) // SIDE)
    rows, columns = max(1, height // n), max(1, width // n)
    squares = planes[:, : rows * n, : columns * n]
    if n == 1 or min(height, width) < n:
        return planes[:, ::n, ::n]
    squares = squares.reshape(channels, rows, n, columns, n).mean(axis=(2, 4))
    return np.rint(squares).astype(np.uint8)
