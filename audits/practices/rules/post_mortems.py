"""What went wrong was understood: incidents have published post-mortems, and no action item is overdue."""

from __future__ import annotations

from audits.practices.facts import Facts, Judgement, fails, passes, unknown

GRACE_DAYS = 14  # to write the report, once an incident is over
MOST_NAMED = 5


def judge(facts: Facts) -> Judgement:
    """Of incidents that began in the pipeline or in a table it writes. None at all is well where incidents are kept."""
    if not facts.incidents:
        if facts.records_incidents:
            return passes("No incident on record began here.")
        return unknown("No incident of any pipeline is on record, so nobody can say.")
    late = [one for one in facts.incidents if one.is_over and not one.has_report and one.days_over > GRACE_DAYS]
    overdue = [(one, title) for one in facts.incidents for title in one.overdue]
    if late or overdue:
        said = [f"“{one.title}” is over for {one.days_over} days and has no published post-mortem." for one in late]
        said += [f"“{title}”, promised after “{one.title}”, is overdue." for one, title in overdue]
        mend = [f"Publish the post-mortem of “{one.title}”." for one in late]
        mend += [f"Do “{title}”, or drop it with a reason." for _, title in overdue]
        return fails(*said[:MOST_NAMED], mend=mend)
    number = len(facts.incidents)
    waiting = sum(not one.has_report for one in facts.incidents)
    if waiting:
        return passes(f"{waiting} of {number} incidents is open or just over: its post-mortem is not due yet.")
    return passes(f"{number} incident{'' if number == 1 else 's'} with published post-mortem, no action item overdue.")
