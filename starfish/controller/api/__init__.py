"""All that a person or a notebook can do at a site.

    with Site("~/hospital-a") as site:
        site.datasets.add("heart", "heart.csv")
        site.projects.join("heart-disease", dataset="heart")
        site.runs.report("heart-disease")

Answers are plain dataclasses and dictionaries; errors are typed and their text says what to do.
"""

from starfish.controller.api.site import Site as Site
from starfish.controller.api.site import SiteStatus as SiteStatus
from starfish.controller.api.tasks import Parameter as Parameter
from starfish.controller.api.tasks import TaskPage as TaskPage
from starfish.controller.api.tasks import task_page as task_page
from starfish.controller.api.tasks import task_pages as task_pages
