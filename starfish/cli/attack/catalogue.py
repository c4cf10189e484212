"""All attacks, in the order in which they are played."""

from starfish.cli.attack import joining, members, models, states, telling, terms, updates

ATTACKS = (
    *joining.ATTACKS,
    *terms.ATTACKS,
    *members.ATTACKS,
    *updates.ATTACKS,
    *models.ATTACKS,
    *states.ATTACKS,
    *telling.ATTACKS,
)
