"""What a JSON schema cannot say: that an id is a whole number only when it is written without a point."""

import schemathesis

AMOUNTS = {"amount", "revenue", "sale_amount", "total", "value"}


def has_pointed_id(value, name=None):
    """Whether a number somewhere is whole and written with a point: to a schema 7.0 is the integer 7, but who writes an id so
    may have rounded it."""
    if isinstance(value, dict):
        return any(has_pointed_id(inner, name) for name, inner in value.items())
    if isinstance(value, list):
        return any(has_pointed_id(inner) for inner in value)
    return isinstance(value, float) and value.is_integer() and name not in AMOUNTS


@schemathesis.hook
def filter_body(context, body):
    return not has_pointed_id(body)
