"""`deletion_patch REVIEW --repo DIR`: what a deletion review means for the repository, as a patch for `git apply`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from audits.deletion.models import DeletionReview, ReviewedPipeline
from audits.deletion.patch import Wanted, make_patch
from catalog.models import Table

WRONG_USE, READ_WITH_ERRORS = 2, 3


class Command(BaseCommand):
    """Prints the patch; exits with 0, with 3 where something is left to do by hand (said on the error stream)."""

    help = "Print a deletion review as a patch for the repository. Changes nothing."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("review", type=int, help="number of the deletion review")
        parser.add_argument("--repo", type=Path, required=True, metavar="DIR", help="the checkout, as it was ingested")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["repo"].is_dir():
            raise CommandError(f"{options['repo']} is no folder.", returncode=WRONG_USE)
        review = DeletionReview.objects.filter(pk=options["review"]).first()
        if review is None:
            raise CommandError(f"There is no deletion review {options['review']}.", returncode=WRONG_USE)
        patch = make_patch(options["repo"], wanted_by(review))
        self.stdout.write(patch.text, ending="")
        by_hand = [*patch.by_hand, *_without_file(review)]
        for sentence in by_hand:
            self.stderr.write(sentence)
        if by_hand:
            sys.exit(READ_WITH_ERRORS)


def _without_file(review: DeletionReview) -> list[str]:
    trimmed = review.pipelines.filter(action=ReviewedPipeline.Action.TRIM, pipeline__repository_path="")
    return [f"{each.pipeline.name} has no file here: trim it by hand." for each in trimmed.select_related("pipeline")]


def wanted_by(review: DeletionReview) -> Wanted:
    """What a review asks of the repository. Five queries."""
    tables = list(Table.objects.filter(reviewed_in__review=review).select_related("source"))
    reviewed = list(review.pipelines.select_related("pipeline"))
    delete = [each.pipeline for each in reviewed if each.action == ReviewedPipeline.Action.DELETE]
    trim = [each.pipeline for each in reviewed if each.action == ReviewedPipeline.Action.TRIM]
    return Wanted(
        delete=[pipeline.repository_path for pipeline in delete if pipeline.repository_path],
        trim={
            pipeline.repository_path: [
                table.name
                for table in tables
                if table.edges_in.filter(pipeline=pipeline, valid_to__isnull=True).exists()
            ]
            for pipeline in trim
            if pipeline.repository_path
        },
        tables=[table.name for table in tables],
        pipelines=[pipeline.name for pipeline in delete],
        dialect=tables[0].source.dialect if tables else "",
    )
