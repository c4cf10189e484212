"""The few shapes that the figures are made of, as SVG text."""

INK, PAPER, SEA, SAND, STAR, LINE, MIST = "#1d2b3a", "#ffffff", "#e3eef7", "#fdf3e1", "#e4572e", "#557086", "#f5f7f9"
BLUE = "#1f6f9f"
FONT = "font-family='DejaVu Sans, Verdana, sans-serif'"
TIPS = {LINE: "tip", STAR: "tip-star", BLUE: "tip-blue"}


def document(width: int, height: int, body: str, title: str) -> str:
    """A whole file on white ground; `title` is what a screen reader says."""
    tips = "".join(
        f"<marker id='{name}' viewBox='0 0 10 10' refX='8' refY='5' markerWidth='7' markerHeight='7' orient='auto-start-reverse'>"
        f"<path d='M0,0.5 L9,5 L0,9.5 z' fill='{colour}'/></marker>"
        for colour, name in TIPS.items()
    )
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width}' height='{height}' viewBox='0 0 {width} {height}' role='img'>"
        f"<title>{title}</title><defs>{tips}</defs><rect width='{width}' height='{height}' fill='{PAPER}'/>{body}</svg>\n"
    )


def text(x: float, y: float, words: str, *, size: int = 15, colour: str = INK, bold: bool = False, anchor: str = "start") -> str:
    weight = " font-weight='bold'" if bold else ""
    return f"<text x='{x:g}' y='{y:g}' {FONT} font-size='{size}'{weight} fill='{colour}' text-anchor='{anchor}'>{words}</text>"


def box(
    x: float, y: float, width: float, height: float, *, fill: str = PAPER, line: str = LINE, radius: int = 8, dashed: bool = False
) -> str:
    dash = " stroke-dasharray='6 5'" if dashed else ""
    place = f"x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}' rx='{radius}'"
    return f"<rect {place} fill='{fill}' stroke='{line}' stroke-width='1.5'{dash}/>"


def labelled(x: float, y: float, width: float, height: float, lines: list[str], *, fill: str = PAPER, size: int = 14) -> str:
    """A box with its words in the middle."""
    first = y + height / 2 + size * 0.36 - (len(lines) - 1) * (size + 5) / 2
    words = "".join(text(x + width / 2, first + i * (size + 5), line, size=size, anchor="middle") for i, line in enumerate(lines))
    return box(x, y, width, height, fill=fill) + words


def arrow(path: str, *, colour: str = LINE, both: bool = False, width: float = 2) -> str:
    """`path` as SVG writes it, such as `M0,0 L10,10`; the tip is at its end."""
    start = f" marker-start='url(#{TIPS[colour]})'" if both else ""
    return f"<path d='{path}' fill='none' stroke='{colour}' stroke-width='{width:g}' marker-end='url(#{TIPS[colour]})'{start}/>"
