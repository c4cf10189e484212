"""The parameters that all likelihood models share."""

from typing import Literal

from pydantic import Field, field_validator

from starfish.tasks.api import TaskConfig


class LikelihoodConfig(TaskConfig):
    """Every model with a likelihood takes these."""

    formula: str = Field(
        default="",
        max_length=10_000,
        description="outcome ~ terms (docs/spec/formula.md). Empty: the variable with role outcome on all that have role exposure, or, "
        "where none has, on all other variables.",
    )
    site: Literal["none", "fixed"] = Field(
        default="none", description="How differences between sites enter: not at all, or as a term for each site."
    )
    se: Literal["model", "HC0", "HC1", "HC2", "HC3", "cluster"] = Field(
        default="model",
        description="Standard errors: from the information, robust (HC0 to HC3), or by cluster, whose variable stands in the formula "
        "as cluster(v) or has role cluster; clusters must lie within a site.",
    )
    weights: Literal["none", "frequency", "precision", "sampling"] = Field(
        default="none",
        description="What the variable with role weight means: so many equal rows (frequency), the inverse of a row's variance up to a "
        "constant (precision), or the inverse of its probability to be sampled (sampling, which implies robust standard errors).",
    )
    ci: Literal["wald"] = Field(default="wald", description="How intervals are made: estimate plus and minus so many standard errors.")

    @field_validator("ci", mode="before")
    @classmethod
    def _ci(cls, value: object) -> object:
        if value == "profile":
            raise ValueError("profile-likelihood intervals are not here yet; 'wald' is")
        return value

    @field_validator("site", mode="before")
    @classmethod
    def _site(cls, value: object) -> object:
        later = {
            "random": "a random intercept by site is a task of its own (MixedEffectsLogisticRegression), which is not here yet",
            "stratified": "strata by site belong to models with a baseline, such as Cox's, which are not here yet; 'fixed' is the exact "
            "answer with a term for each site",
        }
        if isinstance(value, str) and value in later:
            raise ValueError(later[value])
        return value
