"""Whole numbers in query parameters and headers."""

import re
from collections.abc import Sequence

from serve_app.errors import ContradictoryFields, InvalidField


def whole_number(
    name: str, values: Sequence[str], *, most_digits: int, unit: str = ""
) -> int | None:
    """The number among the values that a request gives for `name`; None where it gives none.

    Raises:
        ContradictoryFields: there are several values.
        InvalidField: it is no whole number, or has more digits.
    """
    if not values:
        return None
    if len(values) > 1:
        raise ContradictoryFields(f"{name} is given twice", field=name)
    if not re.fullmatch(rf"-?[0-9]{{1,{most_digits}}}", values[0]):
        raise InvalidField(f"{name} must be a whole number{unit}", field=name)
    return int(values[0])
