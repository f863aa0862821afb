"""How many decimal places a currency has: ISO 4217's minor units."""

from __future__ import annotations

from app.core.exact import Refused, shown

# All others have two.
_PLACES = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"), 0),
    **dict.fromkeys(("UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}


def places_of(currency: object) -> int:
    """The decimal places of a currency by its code, 0 to 4. Raises `Refused` for what is no code."""
    if not isinstance(currency, str) or len(currency) != 3 or not (currency.isascii() and currency.isalpha()):
        raise Refused(f"{shown(currency)} is no currency", "write its three letters, for example EUR")
    return _PLACES.get(currency.upper(), 2)
