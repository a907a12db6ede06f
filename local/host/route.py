"""Route templates of HTTP triggers."""

import re
from dataclasses import dataclass
from typing import Final, Self

from local.host.errors import StartupError

SEGMENT: Final = re.compile(r"[A-Za-z0-9._~-]+|\{[A-Za-z_][A-Za-z0-9_]*\}")


@dataclass(frozen=True)
class Route:
    """A template such as `deletions/{tenantId}`, without the prefix."""

    template: str

    @classmethod
    def parse(cls, template: str, *, where: str) -> Self:
        """Validate a template; errors start with `where`."""
        for segment in template.split("/"):
            if not SEGMENT.fullmatch(segment):
                raise StartupError(
                    f"{where}: the route {template!r} is not supported; each segment must be a "
                    "plain word or a {parameter} without a constraint"
                )
        return cls(template)

    @property
    def precedence(self) -> list[bool]:
        """The sort key: a word comes before a parameter in the same position."""
        return [segment.startswith("{") for segment in self.template.split("/")]

    def path(self, prefix: str) -> str:
        """Return the path with the prefix, from the root of the host."""
        return "/".join(["", *filter(None, [prefix, self.template])])
