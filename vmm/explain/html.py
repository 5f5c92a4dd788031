"""A report as one HTML file: no other file, no network, no need for scripts.

Names and bytes come from images that nobody vouches for. Everything is escaped by the template engine, what
cannot be printed is replaced, and the page's own policy lets no script and no style run but ours.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from importlib import resources
from itertools import islice
from pathlib import PurePath
from typing import Any

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from vmm.explain.listing import Listing
from vmm.explain.model import ORIGINS, Origin, Report, ReportSite

MOST_SITES = 20_000
"""A guest that writes code for ever must not make a page that no browser opens."""


def page(report: Report, most: int = MOST_SITES) -> str:
    """The file's text, with the `most` dearest sites."""
    files = resources.files("vmm.explain") / "templates"
    texts = {name: (files / name).read_text("utf-8") for name in ("report.html", "report.css", "report.js")}
    environment = Environment(
        loader=DictLoader(texts), autoescape=True, undefined=StrictUndefined, finalize=_printable
    )
    environment.filters["number"] = _number
    style, script = texts["report.css"], texts["report.js"]
    sites = list(islice(_sites(report), most))
    return environment.get_template("report.html").render(
        style=Markup(style),
        script=Markup(script),
        style_hash=_hash(style),
        script_hash=_hash(script),
        report={"image_name": PurePath(report.image).name, "vmm": report.vmm},
        run=report.run,
        tiles=_tiles(report),
        facts=_facts(report),
        classes=_classes(report),
        native=0 if report.profile == "full" else _not_at_sites(report),
        class_names=sorted({site["class_name"] for site in sites}),
        policies=sorted({site["policy"] for site in sites}),
        origins=[str(origin) for origin in Origin if any(site["origin"] == origin for site in sites)],
        missed={site["hex"]: site for site in sites if site["origin"] == Origin.MISSED}.values(),
        sites=sites,
        left_out=len(report.sites) - len(sites),
    )


def _hash(text: str) -> Markup:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Markup(f"sha256-{digest}")


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _printable(value: Any) -> Any:
    """Text without what turns, hides or ends lines; what is ours stays as it is."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in value)


def _tiles(report: Report) -> list[tuple[str, str, str]]:
    places = {(site.address, site.bits, site.code) for site in report.sites}
    tiles = [("Sites", f"{len(places):,}", f"in {len(report.classes)} classes")]
    if report.run is None:
        instructions = report.walk["instructions"]
        return [*tiles, ("Instructions walked", f"{instructions:,}", "from the image's entry points")]
    run = report.run
    per = run.instructions / run.traps if run.traps else 0
    return [
        *tiles,
        ("Traps", f"{run.traps:,}", f"one per {per:,.0f} instructions"),
        ("Modelled cost", _short(run.cycles), "cycles"),
        (
            "Known to the walk",
            f"{run.recall:.1%}",
            f"of {run.known + run.missed:,} sites that ran as the image has them",
        ),
        ("Guest time", f"{run.guest_seconds:.3f} s", f"{run.instructions:,} instructions"),
    ]


def _short(number: int) -> str:
    """`123.4 M`."""
    for size, unit in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return str(number)


def _facts(report: Report) -> list[tuple[str, str]]:
    walk = report.walk
    facts = [
        ("image", report.image),
        ("SHA-256", report.image_sha256),
        ("boot protocol", report.protocol),
        ("profile", report.profile),
        ("engine", report.engine),
        ("function names", report.names),
        (
            "static walk",
            f"{walk['instructions']:,} instructions; not followed: {walk['indirect']:,} indirect and "
            f"{walk['far']:,} far transfers, {walk['outside']:,} outside; {walk['refused']:,} undecodable",
        ),
    ]
    if report.slide:
        facts.append(("moved by", f"{report.slide:#x}"))
    if report.run is not None:
        facts.append(("run", report.run.outcome))
    return facts


def _not_at_sites(report: Report) -> int:
    return sum(max(0, (one.traps or 0) - (one.at_sites or 0)) for one in report.classes)


def _classes(report: Report) -> Iterator[dict[str, Any]]:
    counted = [one.sites if report.run is None else one.cycles or 0 for one in report.classes]
    whole = sum(counted) or 1
    for one, part in zip(report.classes, counted, strict=True):
        yield {
            "name": one.name,
            "text": one.text,
            "sites": one.sites,
            "traps": one.traps,
            "at_sites": one.at_sites,
            "cycles": one.cycles,
            "share": part / whole,
        }


def _sites(report: Report) -> Iterator[dict[str, Any]]:
    by_address = sorted(report.sites, key=lambda site: (site.address, site.bits, site.cpl or 0))
    ranks = {id(site): rank for rank, site in enumerate(by_address)}
    for number, site in enumerate(report.sites):
        yield {"number": number, "rank": ranks[id(site)], **_site(site)}


def _site(site: ReportSite) -> dict[str, Any]:
    return {
        "hex": f"{site.address:#x}",
        "place": site.place,
        "text": site.listing.lines[site.listing.here].text,
        "class_name": site.insn.class_name,
        "mnemonic": site.insn.mnemonic,
        "kind": "subject to IOPL" if site.insn.kind == "iopl" else site.insn.kind,
        "why": site.insn.why,
        "policy": site.policy,
        "treatment": site.treatment,
        "origin": str(site.origin),
        "found": ORIGINS[site.origin],
        "traps": site.traps,
        "cycles": site.cycles,
        "bits": site.bits,
        "cpl": site.cpl,
        "replacement": site.replacement.hex(" ") if site.replacement else "",
        "replacement_text": site.replacement_text,
        "lines": _lines(site.listing),
        "guessed": site.listing.guessed,
    }


def _lines(listing: Listing) -> Sequence[dict[str, Any]]:
    # Bytes come last: on a phone they are what may be out of sight.
    width = max(len(line.text) for line in listing.lines)
    return [
        {
            "text": f"{line.address:016x}  {line.text:<{width}}  {line.code.hex(' ')}",
            "here": at == listing.here,
        }
        for at, line in enumerate(listing.lines)
    ]
