"""The demo's two incidents are told once, tied to the runs that began them, and true to their own rules."""

from __future__ import annotations

import datetime as dt

import pytest
import yaml
from django.utils import timezone

from audits.checks.models import Check
from audits.postmortems.models import ActionItem, Incident, PostMortem, Section
from demo.build import REPO
from ingest.demo_incidents import STORY, store_incidents
from tests.factories import make_edge, make_owner, make_pipeline, make_run, make_table

pytestmark = pytest.mark.django_db

STORIES = yaml.safe_load(STORY.read_text(encoding="utf-8"))
OWNERS = {owner["name"] for owner in yaml.safe_load((REPO / "pipekeeper.yaml").read_text())["owners"]}


@pytest.fixture
def warehouse() -> None:
    """What a loaded demo has of them: people, tables with a reader, the runs, the check that fails."""
    for name in OWNERS:
        make_owner(name)
    began = timezone.now() - dt.timedelta(days=11)
    for story in STORIES:
        table = make_table(f"warehouse.{story['table']}")
        pipeline = make_pipeline(story["began"]["pipeline"])
        make_edge(pipeline, target=table)
        make_edge(make_pipeline(), table, make_table())
        make_run(pipeline, state="failed", started_at=began, nominal_at=began - dt.timedelta(days=1))
        Check.objects.create(table=table, kind="unique_key", name="key", parameters={})


def test_both_are_told_once(warehouse) -> None:
    assert [store_incidents(), store_incidents()] == [2, 2]
    assert Incident.objects.count() == 2
    for incident in Incident.objects.all():
        assert incident.status == "mitigated"
        assert incident.hits.filter(distance=1).exists()
        assert incident.timeline.filter(source="run").exists()
        assert list(incident.timeline.values_list("at", flat=True)) == sorted(
            incident.timeline.values_list("at", flat=True)
        )


def test_each_has_a_published_report_an_item_done_and_one_overdue(warehouse) -> None:
    store_incidents()
    for report in PostMortem.objects.all():
        assert report.state == "published"
        assert all(section.text for section in report.sections.all())
        assert report.sections.count() == len(Section.Name)
        assert report.author_name != report.reviewer_name
        items = ActionItem.objects.filter(incident=report.incident)
        assert sorted((item.status, item.is_overdue) for item in items) == [("done", False), ("open", True)]
    assert ActionItem.objects.filter(proof="check", proof_check__kind="unique_key").count() == 1


def test_without_the_runs_nothing_is_told(db) -> None:
    assert store_incidents() == 0


def test_the_stories_name_people_of_the_shop() -> None:
    told = {name for story in STORIES for _, name, *_ in story["timeline"]}
    told |= {name for story in STORIES for name in (story["lead"], *story["participants"])}
    assert told <= OWNERS
