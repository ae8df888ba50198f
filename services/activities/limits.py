"""Names the limits of ids, units and times that every door of activities keeps."""

from typing import Final

YEAR_MIN: Final = 2000
YEAR_MAX: Final = 2100
"""Years that no clock shows would overflow where a grace or a zone is added."""
ID_CHARACTERS_MAX: Final = 64
ID_PATTERN: Final = r"^[A-Za-z0-9][A-Za-z0-9_.:-]*$"
"""No ``|``, which separates the parts of stored keys."""
UNIT_PATTERN: Final = r"^[0-9]{6}$"
