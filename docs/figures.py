"""The logo and the architecture figure, as SVG."""

import math

INK, PAPER, SEA, SAND, STAR, LINE = "#1d2b3a", "#ffffff", "#e8f1f8", "#fdf4e3", "#e4572e", "#5b7083"
SPOTS = ((28, 6), (50, 5), (70, 4))
"""Distance from the centre, and size."""
FONT = "font-family='DejaVu Sans, sans-serif'"


def logo() -> str:
    """A five-armed starfish with rounded arms, and the name."""
    outline = _starfish(130, 134, 150, 38)
    spots = [(r * math.sin(k * math.tau / 5), -r * math.cos(k * math.tau / 5), size) for k in range(5) for r, size in SPOTS]
    dots = "".join(f"<circle cx='{130 + x:.1f}' cy='{134 + y:.1f}' r='{size}' fill='{PAPER}' fill-opacity='0.75'/>" for x, y, size in spots)
    name = f"<text x='268' y='152' {FONT} font-size='76' font-weight='bold' fill='{INK}'>Starfish</text>"
    line = f"<text x='272' y='190' {FONT} font-size='19' fill='{LINE}'>the pooled answer, without pooling the data</text>"
    body = f"<path d='{outline}' fill='{STAR}' stroke='{STAR}' stroke-width='16' stroke-linejoin='round'/>{dots}{name}{line}"
    return _svg(720, 260, body)


def architecture() -> str:
    """Three sites around the Routing Server, and what passes between them."""
    parts = [
        _box(
            380,
            40,
            300,
            150,
            SEA,
            "Routing Server",
            ["accounts, sites, projects", "batches, runs, states", "files: kept and forwarded,", "never aggregated, never opened"],
        ),
        _box(
            30,
            330,
            300,
            210,
            SAND,
            "Hospital A (coordinator)",
            ["daemon: decides, performs", "worker: trains, aggregates", "journal, policy, egress", "command line"],
        ),
        _box(
            380,
            330,
            300,
            210,
            SAND,
            "Hospital B (participant)",
            ["daemon: decides, performs", "worker: trains", "journal, policy, egress", "command line"],
        ),
        _box(
            730,
            330,
            300,
            210,
            SAND,
            "Hospital C (participant)",
            ["daemon: decides, performs", "worker: trains", "journal, policy, egress", "command line"],
        ),
        _arrow(250, 330, 420, 192, "global model, steps", 150, 268),
        _arrow(470, 192, 300, 330, "states, updates", 350, 308),
        _arrow(520, 330, 520, 192, "update", 460, 240),
        _arrow(550, 192, 550, 330, "global model", 560, 268),
        _arrow(790, 330, 620, 192, "update", 690, 316),
        _arrow(660, 192, 830, 330, "global model", 752, 250),
    ]
    parts += [_rows(x + 190, 470) for x in (30, 380, 730)]
    foot = (
        f"<text x='530' y='588' text-anchor='middle' {FONT} font-size='17' fill='{LINE}'>"
        "Rows stay in the hospital. What leaves are sums; each departure is in the site's own journal.</text>"
    )
    return _svg(1060, 620, "".join(parts) + foot)


def _starfish(x: float, y: float, outer: float, inner: float) -> str:
    points = []
    for k in range(10):
        radius, angle = (outer if k % 2 == 0 else inner), k * math.pi / 5
        points.append((x + radius * math.sin(angle), y - radius * math.cos(angle)))
    path = [f"M{points[-1][0]:.1f},{points[-1][1]:.1f}"]
    for k in range(0, 10, 2):
        (tip, valley) = points[k], points[k + 1]
        path.append(f"Q{tip[0]:.1f},{tip[1]:.1f} {valley[0]:.1f},{valley[1]:.1f}")
    return " ".join(path) + " Z"


def _svg(width: int, height: int, body: str) -> str:
    marker = (
        f"<defs><marker id='tip' viewBox='0 0 10 10' refX='9' refY='5' markerWidth='8' markerHeight='8' orient='auto'>"
        f"<path d='M0,0 L10,5 L0,10 z' fill='{LINE}'/></marker></defs>"
    )
    background = f"<rect width='{width}' height='{height}' fill='{PAPER}'/>"
    size = f"width='{width}' height='{height}' viewBox='0 0 {width} {height}'"
    return f"<svg xmlns='http://www.w3.org/2000/svg' {size}>{marker}{background}{body}</svg>\n"


def _box(x: int, y: int, width: int, height: int, fill: str, title: str, lines: list[str]) -> str:
    text = f"<text x='{x + 18}' y='{y + 34}' {FONT} font-size='19' font-weight='bold' fill='{INK}'>{title}</text>"
    for place, line in enumerate(lines):
        text += f"<text x='{x + 18}' y='{y + 64 + 24 * place}' {FONT} font-size='15' fill='{INK}'>{line}</text>"
    return f"<rect x='{x}' y='{y}' width='{width}' height='{height}' rx='14' fill='{fill}' stroke='{LINE}' stroke-width='1.5'/>{text}"


def _rows(x: int, y: int) -> str:
    """A table of patients, which stays where it is."""
    cells = ""
    for row in range(5):
        paint = f"fill='{LINE}' fill-opacity='0.35'" if row else f"fill='{STAR}'"
        cells += "".join(f"<rect x='{x + 22 * column}' y='{y + 11 * row}' width='20' height='9' {paint}/>" for column in range(4))
    return cells + f"<text x='{x - 12}' y='{y + 30}' text-anchor='end' {FONT} font-size='15' fill='{INK}'>patients' rows</text>"


def _arrow(x1: int, y1: int, x2: int, y2: int, label: str, x: int, y: int) -> str:
    line = f"<line x1='{x1}' y1='{y1}' x2='{x2}' y2='{y2}' stroke='{LINE}' stroke-width='2' marker-end='url(#tip)'/>"
    return line + (f"<text x='{x}' y='{y}' {FONT} font-size='15' fill='{LINE}'>{label}</text>" if label else "")
