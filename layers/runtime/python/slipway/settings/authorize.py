"""The variables of the function that checks tokens at the door."""

from dataclasses import dataclass

from slipway.settings import Environment


@dataclass(frozen=True, kw_only=True)
class AuthorizeSettings(Environment):
    """Whose tokens are taken: those of ``jwt_issuer``, for one of ``jwt_audience`` (separated by commas).

    With ``jwt_scope`` a token must have that scope as well.
    """

    jwt_issuer: str
    jwt_audience: str
    jwt_scope: str = ""

    def audiences(self) -> frozenset[str]:
        """The audiences, each once."""
        return frozenset(filter(None, (name.strip() for name in self.jwt_audience.split(","))))
