"""The logo and the architecture figure."""

import math

from docs.svg import BLUE, INK, LINE, PAPER, SAND, SEA, STAR, arrow, box, document, labelled, text

SPOTS = ((28, 6), (50, 5), (70, 4))
"""Distance from the centre, and size."""


def logo() -> str:
    """A five-armed starfish with rounded arms, and the name."""
    outline = _starfish(130, 134, 150, 38)
    spots = [(r * math.sin(k * math.tau / 5), -r * math.cos(k * math.tau / 5), size) for k in range(5) for r, size in SPOTS]
    dots = "".join(f"<circle cx='{130 + x:.1f}' cy='{134 + y:.1f}' r='{size}' fill='{PAPER}' fill-opacity='0.75'/>" for x, y, size in spots)
    star = f"<path d='{outline}' fill='{STAR}' stroke='{STAR}' stroke-width='16' stroke-linejoin='round'/>{dots}"
    words = text(268, 142, "Starfish", size=76, bold=True) + text(
        272, 180, "the pooled answer, without pooling the data", size=19, colour=LINE
    )
    return document(720, 260, star + words, "Starfish")


def architecture() -> str:
    """Three sites below the Routing Server, and what passes between them."""
    parts = [_router()]
    sites = (("Hospital A", "coordinator", 40), ("Hospital B", "participant", 425), ("Hospital C", "participant", 810))
    for name, role, x in sites:
        parts.append(_site(x, name, role))
        up, down = (
            (["global model,", "steps of the batch"], ["everyone's updates,", "states and logs"])
            if role == "coordinator"
            else (["its own update", "and log"], ["global model,", "its own state"])
        )
        parts += [arrow(f"M{x + 160},400 L{x + 160},226"), arrow(f"M{x + 190},222 L{x + 190},396")]
        parts += [text(x + 148, 306 + 20 * i, line, colour=LINE, anchor="end") for i, line in enumerate(up)]
        parts += [text(x + 202, 306 + 20 * i, line, colour=LINE) for i, line in enumerate(down)]
    parts.append(f"<line x1='40' y1='262' x2='1160' y2='262' stroke='{LINE}' stroke-width='1.2' stroke-dasharray='2 6'/>")
    parts.append(text(408, 252, "HTTP, over TLS to other machines", colour=LINE, size=13, anchor="middle"))
    parts.append(text(793, 252, "sites call, the server never does", colour=LINE, size=13, anchor="middle"))
    foot = "The rows stay in the hospital. What leaves it are sums; each departure is in its own journal."
    parts.append(text(600, 770, foot, size=17, anchor="middle"))
    return document(1200, 790, "".join(parts), "Architecture: sites around the Routing Server")


def _router() -> str:
    heading = text(64, 76, "Routing Server", size=22, bold=True) + text(
        262, 76, "keeps records, forwards files; never aggregates", colour=LINE
    )
    rooms = [
        ["accounts, tokens,", "enrolment codes"],
        ["sites, projects,", "participants"],
        ["batches, runs, states,", "history, audit"],
        ["files: updates, models,", "logs; never opened"],
    ]
    inside = "".join(labelled(64 + 272 * i, 96, 256, 66, lines) for i, lines in enumerate(rooms))
    below = text(64, 196, "one Django application  ·  SQLite or PostgreSQL  ·  an artifacts folder", colour=LINE)
    return box(40, 40, 1120, 176, fill=SEA, radius=14) + heading + inside + below


def _site(x: int, name: str, role: str) -> str:
    pill = STAR if role == "coordinator" else BLUE
    work = ["worker: trains", "and aggregates"] if role == "coordinator" else ["worker: trains"]
    parts = [
        box(x, 400, 350, 334, fill=SAND, radius=14),
        labelled(x + 22, 416, 306, 30, ["policy and egress: the one door out"], fill=PAPER, size=13),
        text(x + 22, 482, name, size=20, bold=True),
        f"<rect x='{x + 208}' y='462' width='120' height='28' rx='14' fill='{pill}'/>",
        text(x + 268, 481, role, size=14, colour=PAPER, anchor="middle"),
        labelled(x + 22, 506, 150, 50, ["command line"]),
        labelled(x + 22, 572, 150, 50, ["daemon: decides", "and performs"]),
        labelled(x + 22, 662, 150, 50, work),
        labelled(x + 222, 572, 106, 50, ["settings,", "journal"]),
        arrow(f"M{x + 173},531 H{x + 275} V569"),
        arrow(f"M{x + 97},625 V659", both=True),
        arrow(f"M{x + 175},597 H{x + 219}", both=True),
        arrow(f"M{x + 219},687 L{x + 175},687"),
        _rows(x + 226, 652),
        text(x + 275, 724, "patients' rows", size=13, anchor="middle"),
    ]
    return "".join(parts)


def _rows(x: int, y: int) -> str:
    """A table of patients, which stays where it is."""
    cells = ""
    for row in range(5):
        paint = f"fill='{INK}' fill-opacity='0.22'" if row else f"fill='{STAR}'"
        cells += "".join(f"<rect x='{x + 25 * column}' y='{y + 11 * row}' width='23' height='9' {paint}/>" for column in range(4))
    return cells


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
