"""What may be asked of a summary."""

from pydantic import Field, field_validator

from starfish.tasks.api import TaskConfig


class SummaryConfig(TaskConfig):
    """Which variables, by which groups, which quantiles and how finely."""

    variables: tuple[str, ...] = Field(
        default=(), max_length=500, description="The variables to describe; empty: all numbers, integers, binaries and categories."
    )
    group: str = Field(default="", description="A category or binary variable to compare groups by (Table 1); empty: no groups.")
    quantiles: tuple[float, ...] = Field(
        default=(0.25, 0.5, 0.75), max_length=20, description="Quantiles of numeric variables, each between 0 and 1."
    )
    resolution: float = Field(
        default=0.001,
        gt=0,
        le=0.1,
        description="How narrow a quantile's bracket must be, in standard deviations; a variable's own 'resolution' goes first.",
    )
    min_max: bool = Field(default=False, description="Report minimum and maximum, which are single patients' values; off by default.")

    @field_validator("quantiles")
    @classmethod
    def _between(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(not 0.0 < q < 1.0 for q in value):
            raise ValueError("each quantile must lie between 0 and 1, such as 0.5")
        return tuple(sorted(set(value)))
