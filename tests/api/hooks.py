"""What a JSON schema cannot say of amounts: how small a number is still money."""

import schemathesis


def too_small(value):
    """Whether a number has more digits than an amount of money may have; the schema can only say that it is above zero."""
    if isinstance(value, dict):
        return any(too_small(inner) for inner in value.values())
    return isinstance(value, float) and 0 < value < 1e-6


@schemathesis.hook
def filter_body(context, body):
    return not too_small(body)
