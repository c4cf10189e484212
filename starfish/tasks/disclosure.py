"""What a site holds back: the numbers of its policy, as tasks judge their own designs and sums by them."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """A site's numbers; `OPEN` holds nothing back.

    `min_rows`: of a task's rows. `min_cell`: of a table's cell, of the rows of a level and of an indicator column. `min_events`: of
    events and of non-events. `max_parameters`: parameters divided by rows. `oracle`: whether score and information are given only
    where the pooled fit itself leads, and not where few rows make them up: `max_share` of any diagonal of the information by one
    row, and an effective number of rows of at least `min_rows`. `min_sites`: sites that a pooled result must be of.
    """

    min_rows: int
    min_cell: int
    min_events: int
    max_parameters: float
    min_sites: int
    oracle: bool
    max_share: float


OPEN = Limits(min_rows=1, min_cell=0, min_events=0, max_parameters=float("inf"), min_sites=1, oracle=False, max_share=1.0)
