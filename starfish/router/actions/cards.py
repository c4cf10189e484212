"""A site's cards. The router reads of them which version they are, and keeps the order; whether they are good is the sites' matter."""

from django.db import transaction

from starfish.protocol.problems import Conflict, Invalid, NotFound, TooLarge
from starfish.router.access import SITE_NOT_FOUND, Caller, require_acting, site_by_id
from starfish.router.actions import audit
from starfish.router.models import Site, SiteCard
from starfish.router.strict_json import BadJSON, loads

CARD_BYTES = 4096
MOST_CARDS = 1000


def post_card(caller: Caller, site_id: int, text: str) -> tuple[SiteCard, bool]:
    """The card, and whether it is new. Raises NotFound, Forbidden, Invalid, TooLarge, Conflict."""
    site = site_by_id(caller, site_id)
    require_acting(caller, site.pk)
    version = _version(text)
    with transaction.atomic():
        if not Site.objects.select_for_update().filter(pk=site.pk):
            raise NotFound(SITE_NOT_FOUND)
        following = SiteCard.objects.filter(site=site).count() + 1
        known = SiteCard.objects.filter(site=site, version=version).first()
        if known and known.text == text:
            return known, False
        if version != following:
            raise Conflict(
                f"This site's next card is version {following}, not {version}: cards follow one another, and stay.", next=following
            )
        if version > MOST_CARDS:
            raise Conflict(f"A site has at most {MOST_CARDS} cards.")
        card = SiteCard.objects.create(site=site, version=version, text=text)
        audit.changed(caller, "card.post", f"site {site.pk}, card {version}")
    return card, True


def _version(text: str) -> int:
    """Raises Invalid, TooLarge."""
    data = text.encode()
    if len(data) > CARD_BYTES:
        raise TooLarge(f"A card has at most {CARD_BYTES} bytes.")
    try:
        said = loads(data.split(b"\n")[1])
    except (IndexError, BadJSON):
        said = None
    version = said.get("version") if isinstance(said, dict) else None
    if type(version) is not int or version < 1:
        raise Invalid("This is no card: its second line is JSON with the card's version, 1 or above.")
    return version
