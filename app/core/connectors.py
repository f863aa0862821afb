"""What a vendor's API is (`Connector`) and a merchant's account at it (`Connection`): compiled, ready to use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from app.core.auth_token import TokenAuth, login_urls
from app.core.bridges import BridgeDoor
from app.core.expressions import Value, Where
from app.core.networks import Allow
from app.core.polls import Poll
from app.core.validation import Validator
from app.model import Fault, Json, Result


@dataclass(frozen=True, slots=True)
class SettingSpec:
    """One setting of a connector, as its connections must give it."""

    required: bool = False
    secret: bool = False  # its values are masked wherever something is shown
    default: Json = None
    example: Json = None
    description: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Settings that a connection must not have."""

    when: Value  # bool; names: settings, the secret ones too
    because: str
    todo: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard a connection may be called."""

    rate: float | None = None  # calls per second; None = as many as come
    concurrency: int = 32  # calls at the same time, over all workers
    timeout_s: float = 20.0  # per call


@dataclass(frozen=True, slots=True)
class InboundRate:
    """How many messages a connection may send us."""

    rate: float  # messages per second, on the long run
    burst: int  # so many may come at once


@dataclass(frozen=True, slots=True)
class ResponseRule:
    """What an answer means at this vendor. The first rule that fits wins, then the hub's table by status."""

    status: frozenset[int] | None  # None fits every status
    when: Value | None  # bool; names: body, status, request, args, settings
    outcome: Result
    because: str = ""
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Capture:
    """A number to keep from an answer. `id` may render to None: nothing to keep."""

    kind: str  # "return", "order", …
    id: Value  # names: body, status, request, args, settings
    system: str | None = None  # store a reference to this system; None stores an identifier only
    from_id: Value | None = None  # the number it translates; None = the document's own


@dataclass(frozen=True, slots=True)
class Probe:
    """How to look at the target whether what a call would do is done. A paged operation is read to its end."""

    operation: str
    args: Value  # yaml `with:`; names: request, args, settings, delivery
    found: Value  # bool; names: body, status, request, args, settings, delivery
    before: bool = False  # look before the first send too
    answer: Value | None = None  # what stands for the operation's answer when found; names as in `found`
    unclear: Value | None = None  # bool; true: a person decides; names as in `found`


@dataclass(frozen=True, slots=True)
class Paging:
    """How to read a list page by page."""

    items: Value  # list; names: body, page, settings
    next: Value  # the next page or cursor; falsy = this was the last; names: body, page, settings
    param: str  # query key that takes it
    first: int | None = 1  # None: the first page is asked for without `param`
    size_param: str | None = None
    size: int | None = None
    id: Value | None = None  # of an `item`, to drop repeats


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing a vendor's API can do."""

    name: str
    method: str
    path: Value  # text; names: args, settings, body
    where: Where
    query: Value | None = None  # mapping; a list repeats its key
    headers: Value | None = None  # mapping of text
    idempotency_header: str | None = None
    body_schema: Validator | None = None
    responses: tuple[ResponseRule, ...] = ()
    capture: tuple[Capture, ...] = ()
    probe: Probe | None = None
    paging: Paging | None = None
    timeout_s: float | None = None  # None = the connection's
    safe: bool = False  # it changes nothing at the target, whatever its method
    needs: tuple[str, ...] = ()  # settings that a connection must give before it can be called


@dataclass(frozen=True, slots=True)
class Skip:
    """Messages that need no work: kept as ignored."""

    when: Value  # bool; names: payload, event, settings
    because: str


@dataclass(frozen=True, slots=True)
class Fetch:
    """The call that brings what a message lacks."""

    operation: str
    args: Value  # yaml `with:`; names: payload, event, settings
    name: str  # yaml `as:`; how the mapping calls the answer's body
    not_found: Literal["retry", "dead"] = "retry"
    ready: Value | None = None  # bool; false = not complete yet, try again; names: payload, event, settings and `name`
    when: Value | None = None  # bool; false = nothing is fetched; names: payload, event, settings
    before: Fetch | None = None  # made first where its `when` holds; `args` may use its answer


@dataclass(frozen=True, slots=True)
class Read:
    """How the source is asked for one object again."""

    operation: str
    args: Value  # yaml `with:`; names: return or order (the document known so far), settings
    name: str = "detail"  # yaml `as:`; how the mapping calls the answer's body


@dataclass(frozen=True, slots=True)
class Inbound:
    """How the vendor's messages are verified, told apart and read."""

    verify: Mapping[str, Json]  # raw scheme; rendered per connection
    event_id: Value  # text; names: payload, headers, settings
    event_type: Value  # text; names: payload, headers, settings
    types: Mapping[str, str]  # the vendor's word to "return" or "order"
    mapping: str
    ack_status: int = 200
    ack_unreadable: int = 200
    ack_within_s: float = 5.0
    ignore: frozenset[str] = frozenset()
    skip: tuple[Skip, ...] = ()
    fetch: Fetch | None = None
    read: Read | None = None
    capture: tuple[Capture, ...] = ()  # numbers told by events; names: the document's kind, payload, detail, settings
    webhooks: bool = True  # False: nothing comes in at the door, polls bring everything


@dataclass(frozen=True, slots=True)
class Connector:
    """What one vendor's API is. No secrets, no merchant."""

    name: str
    folder: Path
    where: Where
    title: str = ""
    settings: Mapping[str, SettingSpec] = field(default_factory=dict)
    refuse: tuple[Refusal, ...] = ()
    auth: Mapping[str, Json] = field(default_factory=lambda: {"scheme": "none"})  # raw; rendered per connection
    limits: Limits = Limits()
    operations: Mapping[str, Operation] = field(default_factory=dict)
    inbound: Inbound | None = None
    polls: Mapping[str, Poll] = field(default_factory=dict)  # by name
    bridge: BridgeDoor | None = None  # it asks, and waits for the answer
    token: TokenAuth | None = None  # with the auth scheme "token"
    personal: frozenset[str] = frozenset()  # JSON keys that hold personal data, masked in what is shown


@dataclass(frozen=True, slots=True)
class Connection:
    """One merchant's account at a connector: settings with secrets resolved, and what was rendered from them."""

    name: str
    connector: Connector
    where: Where
    system: str  # whose numbers these are; the scope of identifiers
    settings: Mapping[str, Json] = field(default_factory=dict, repr=False)
    limits: Limits = Limits()
    auth: Mapping[str, Json] = field(default_factory=lambda: {"scheme": "none"}, repr=False)
    verify: Mapping[str, Json] | None = field(default=None, repr=False)  # None: it takes no webhooks
    inbound_rate: InboundRate | None = None  # of its webhooks; None: as many as come
    polls: Mapping[str, float] = field(default_factory=dict)  # those that are on, each with how often, in seconds
    bridge_verify: Mapping[str, Json] | None = field(default=None, repr=False)  # None: it asks nothing
    secret_values: frozenset[str] = field(default=frozenset(), repr=False)
    allow: Allow = field(default_factory=Allow)  # what may be called although it is not public; the hub's own is in it
    retention_s: float | None = None  # its contents are kept so long; infinity: for ever; None: as the hub says
    #: The settings that are no secrets: what mappings see as `settings`. Made once, since every call asks for them.
    public_settings: Mapping[str, Json] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        specs = self.connector.settings
        public = {key: value for key, value in self.settings.items() if key in specs and not specs[key].secret}
        object.__setattr__(self, "public_settings", public)

    def urls(self) -> list[str]:
        """Where its calls go: `base_url`, and where it logs in. To no other host."""
        base = self.settings.get("base_url")
        logins = login_urls(self.connector.token, self.settings) if self.connector.token else []
        return [base, *logins] if isinstance(base, str) and base else logins
