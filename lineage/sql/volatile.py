"""Functions whose value another run cannot repeat: clocks, and chance."""

from sqlglot import exp

from .dialects import words


def classes(names: str) -> tuple[type, ...]:
    """sqlglot's classes of these names, as far as its version has them."""
    return tuple(kind for name in names.split() if (kind := getattr(exp, name, None)) is not None)


CLOCKS = classes(
    "CurrentDate CurrentTime CurrentTimestamp CurrentDatetime CurrentTimestampLTZ Localtime Localtimestamp UtcDate "
    "UtcTime UtcTimestamp Systimestamp Sysdate"
)
CHANCE = classes("Rand Randn Uuid Randstr RandomBytes NextValueFor")
CLOCK_NAMES = words(
    "NOW GETDATE GETUTCDATE SYSDATE SYSDATETIME SYSUTCDATETIME SYSDATETIMEOFFSET SYSTIMESTAMP CLOCK_TIMESTAMP "
    "STATEMENT_TIMESTAMP TRANSACTION_TIMESTAMP TODAY YESTERDAY CURDATE CURTIME CURRENT_DATETIME CURRENT_TIMESTAMP "
    "UTC_TIMESTAMP UNIX_TIMESTAMP TIMEOFDAY LOCALTIMESTAMP CURRENT_DATE"
)
CHANCE_NAMES = words(
    "NEXTVAL UUID UUID4 NEWID NEWSEQUENTIALID GENERATE_UUID GEN_RANDOM_UUID UUID_GENERATE_V4 UUID_STRING RAND RANDOM "
    "RANDN UNIFORM RANDOM_UUID GENERATEUUIDV4 UUID_GENERATE_V1 RANDSTR CHECKSUM_NEWID "
    "MONOTONICALLY_INCREASING_ID"
)
