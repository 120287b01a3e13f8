"""The settings of one instance: secrets and addresses, from the environment (``BRIDGE_…``) or from mounted files.

`load` gives `Settings` and `Site`, or raises `NotConfigured` with everything that is wrong, one sentence each.
A file in the folder ``BRIDGE_SECRETS_DIR`` is named like its variable, in small letters:
``bridge_netsuite_token_secret``. The environment wins over a file. Production never falls back to the sandbox.

Must not know: how anything connects.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509 import load_pem_x509_certificate
from pydantic import (
    AliasChoices,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyAddress,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from bridge import database_url
from bridge.site import Site, read

PREFIX: Final = "BRIDGE_"
SECRETS_DIR: Final = "BRIDGE_SECRETS_DIR"
HERE: Final = ("127.0.0.1", "localhost", "::1")
SHORTEST_SECRET: Final = 32  # characters; 128 bits even where they are hexadecimal digits

# How a value looks that must follow a pattern, for whoever wrote another one.
EXAMPLES: Final = {
    "signing_keys": "2026-a, with nothing but letters, digits, - and _, 40 at most",
    "netsuite_account": "1234567, or 1234567_SB1",
    "suitetalk_version": "2025_2",
    "salesforce_org_id": "00D000000000001AAA, with all of its 18 characters",
    "salesforce_version": "65.0",
}

_NETSUITE_HOST = re.compile(r"https://[a-z0-9]+(?:-[a-z0-9]+)*\.suitetalk\.api\.netsuite\.com")
_LOOPBACK = re.compile(r"http://(?:127\.0\.0\.1|localhost)(?::\d{1,5})?")
_ORIGIN = re.compile(r"https://[A-Za-z0-9.-]+(?::\d{1,5})?")
_ISSUER = re.compile(r"https://[A-Za-z0-9.-]+(?::\d{1,5})?(?:/[A-Za-z0-9._~/-]*)?")
_SHARED_LOGIN = re.compile(r"https://(?:login|test)\.salesforce\.com")
_SALESFORCE_HOST = re.compile(r"(?:login|test)|[a-z0-9-]+(?:\.[a-z0-9-]+)?\.my(?:\.salesforce\.com)?")


class SigningKey(BaseModel):
    """A key with which Salesforce signs callouts. What it is for is decided here, never by the message."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["hmac", "certificate"] = "hmac"
    secret: SecretStr | None = None  # of HMAC-SHA256
    certificate: str | None = Field(default=None, repr=False)  # PEM, its RSA key checks what Salesforce's key signed
    not_before: AwareDatetime | None = None
    not_after: AwareDatetime | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_a_secret(cls, given: Any) -> Any:
        return {"secret": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        wanted, other = (self.secret, self.certificate) if self.kind == "hmac" else (self.certificate, self.secret)
        if not wanted or other:
            raise ValueError("a key of kind hmac has a secret, and one of kind certificate a certificate")
        if self.certificate:
            try:
                public = load_pem_x509_certificate(self.certificate.encode()).public_key()
            except ValueError as error:
                raise ValueError("the certificate is not PEM") from error
            if not isinstance(public, RSAPublicKey) or public.key_size < 2048:
                raise ValueError("the certificate's key is not RSA of 2048 bits or more")
        if self.not_before and self.not_after and self.not_after <= self.not_before:
            raise ValueError("not_after is not after not_before")
        return self

    def is_valid(self, at: datetime) -> bool:
        """Say whether the key counts at this moment."""
        return (self.not_before is None or self.not_before <= at) and (self.not_after is None or at < self.not_after)


KeyId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")]


class Settings(BaseSettings):
    """One instance. A secret prints as stars."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    environment: Literal["sandbox", "test", "production"] = "sandbox"
    config: Path = Path("bridge.toml")
    # May hold a password, so it is never printed; see `database`.
    database_url: str = Field(
        default="sqlite:///var/bridge.sqlite3",
        repr=False,
        validation_alias=AliasChoices("BRIDGE_DATABASE_URL", "DATABASE_URL", "database_url"),
    )
    carrier: Literal["embedded", "procrastinate"] = "embedded"
    audit_key: SecretStr = SecretStr("")  # of the audit chain's HMAC
    audit_anchors: Path | None = None  # a file outside the database, where the ends of the chains are kept
    alert_urls: SecretStr = SecretStr("")  # as Apprise writes them, with a space between two
    alert_webhook: str | None = None
    alert_webhook_secret: SecretStr = SecretStr("")
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    failpoint: str | None = None  # a test's wish that the bridge fail somewhere

    host: str = "127.0.0.1"
    port: int = Field(default=8080, ge=1, le=65535)
    console_host: str = "127.0.0.1"
    console_port: int = Field(default=8081, ge=1, le=65535)
    console_url: str | None = None  # as people type it: https://bridge.example.com
    console_proxy: IPvAnyAddress | None = None  # whose X-Forwarded-For says where a person sits
    oidc_issuer: str | None = None  # of the provider at which people sign in to the console
    oidc_client_id: str | None = None
    oidc_client_secret: SecretStr | None = None
    request_budget_s: float = Field(default=8, gt=0, le=100)  # Apex gives up after 120 s
    records_per_minute: int = Field(default=600_000, ge=1_000)  # of one organisation and instance; more get 429
    signing_keys: Annotated[dict[KeyId, SigningKey], NoDecode] = Field(default_factory=dict)

    netsuite_account: str | None = Field(default=None, pattern=r"^[A-Za-z0-9]{5,20}(?:[_-][A-Za-z0-9]{2,8})?$")
    netsuite_consumer_key: SecretStr | None = None
    netsuite_consumer_secret: SecretStr | None = None
    netsuite_token_id: SecretStr | None = None
    netsuite_token_secret: SecretStr | None = None
    netsuite_token_expires: date | None = None  # the day somebody decided on; a token itself knows none
    netsuite_url: str | None = None  # where it is not the account's own SuiteTalk domain
    netsuite_concurrency: int = Field(default=5, ge=1, le=500)
    suitetalk_version: str = Field(default="2025_2", pattern=r"^20\d\d_[12]$")
    suitetalk_wsdl: Path | None = None  # a folder with a full set; the shipped subset where it is absent

    salesforce_domain: str | None = None  # "login", "test" or "acme.my"
    salesforce_url: str | None = None  # a fake on this machine
    salesforce_org_id: str | None = Field(default=None, pattern=r"^00D[A-Za-z0-9]{15}$")
    salesforce_version: str = Field(default="65.0", pattern=r"^[4-9]\d\.0$")
    salesforce_client_id: str | None = None
    salesforce_username: str | None = None
    salesforce_jwt_key: SecretStr | None = None
    salesforce_client_secret: SecretStr | None = None

    @field_validator("signing_keys", mode="before")
    @classmethod
    def _from_json(cls, given: Any) -> Any:
        if not isinstance(given, str):
            return given
        try:
            return json.loads(given)
        except json.JSONDecodeError as error:
            raise ValueError('it is not JSON like {"<key id>": {"secret": "…"}}') from error

    @property
    def database(self) -> str:
        """Return the database's URL without its password, for people."""
        return database_url.shown(self.database_url)

    def secrets(self) -> Iterator[str]:
        """Yield every secret of this instance, for whoever must keep them out of something."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                yield value.get_secret_value()
                yield from value.get_secret_value().split() if name == "alert_urls" else ()
        yield from (key.secret.get_secret_value() for key in self.signing_keys.values() if key.secret is not None)
        yield from database_url.passwords(self.database_url)

    def expiries(self) -> Iterator[tuple[str, date]]:
        """Yield what ends by itself, with its last day."""
        for kid, key in self.signing_keys.items():
            if key.not_after is not None:
                yield f"The signing key {kid}", key.not_after.date()
            if key.certificate:
                ends = load_pem_x509_certificate(key.certificate.encode()).not_valid_after_utc
                yield f"The certificate of the signing key {kid}", ends.date()
        if self.netsuite_token_expires is not None:
            yield "NetSuite's token", self.netsuite_token_expires

    def problems(self) -> Iterator[str]:
        """Yield what does not fit together, one sentence each."""
        yield from self._always()
        if self.environment != "sandbox":
            yield from self.missing()
        yield from self._crossed()
        if self.environment == "production":
            yield from self._unsafe()

    def _always(self) -> Iterator[str]:
        if not re.match(r"(?:sqlite|postgres(?:ql)?(?:\+psycopg)?)://", self.database_url):
            yield "BRIDGE_DATABASE_URL must start with sqlite:/// or postgresql://."
        elif not database_url.is_readable(self.database_url):
            yield "BRIDGE_DATABASE_URL cannot be read; in a password write %40 for @, %3A for : and %2F for /."
        elif self.carrier == "procrastinate" and self.database_url.startswith("sqlite"):
            yield "BRIDGE_CARRIER is procrastinate, which needs PostgreSQL, but BRIDGE_DATABASE_URL is SQLite."
        if self.port == self.console_port:
            yield "BRIDGE_PORT and BRIDGE_CONSOLE_PORT are the same."
        yield from self._console()
        if self.netsuite_url and not (_NETSUITE_HOST.fullmatch(self.netsuite_url) or self._is_loopback("netsuite_url")):
            yield "BRIDGE_NETSUITE_URL is not an account's own SuiteTalk domain (https://….suitetalk.api.netsuite.com)."
        if self.salesforce_url and not self._is_loopback("salesforce_url"):
            yield "BRIDGE_SALESFORCE_URL is only for a fake Salesforce on this machine, outside production."
        if self.salesforce_domain and not _SALESFORCE_HOST.fullmatch(self.salesforce_domain):
            yield 'BRIDGE_SALESFORCE_DOMAIN must be "login", "test" or your own domain, such as "acme.my".'
        if self.salesforce_jwt_key and self.salesforce_client_secret:
            yield "BRIDGE_SALESFORCE_JWT_KEY and BRIDGE_SALESFORCE_CLIENT_SECRET are both set; choose one of them."
        if self.alert_webhook and not (
            self.alert_webhook.startswith("https://") or self._is_loopback("alert_webhook", with_path=True)
        ):
            yield "BRIDGE_ALERT_WEBHOOK must start with https://."
        if self.suitetalk_wsdl and not self.suitetalk_wsdl.is_dir():
            yield "BRIDGE_SUITETALK_WSDL is not a folder."

    def _console(self) -> Iterator[str]:
        if self.console_url and not (_ORIGIN.fullmatch(self.console_url) or self._is_loopback("console_url")):
            yield "BRIDGE_CONSOLE_URL must be https:// and a host, such as https://bridge.example.com."
        if self.console_host not in HERE and not (self.console_url or "").startswith("https://"):
            yield "BRIDGE_CONSOLE_URL is missing: a console that others reach needs HTTPS (a proxy before it)."
        given = [_text(it) for it in (self.oidc_issuer, self.oidc_client_id, self.oidc_client_secret)]
        if any(given) and not all(given):
            yield "BRIDGE_OIDC_ISSUER, BRIDGE_OIDC_CLIENT_ID and BRIDGE_OIDC_CLIENT_SECRET belong together."
        if self.oidc_issuer and not (_ISSUER.fullmatch(self.oidc_issuer) or self._is_loopback("oidc_issuer")):
            yield "BRIDGE_OIDC_ISSUER must be the provider's https:// address, without a question mark."
        if self.oidc_issuer and _SHARED_LOGIN.match(self.oidc_issuer):
            yield (
                "BRIDGE_OIDC_ISSUER is Salesforce's login page for everybody; "
                "use your own, https://<domain>.my.salesforce.com."
            )
        if self.oidc_issuer and self.environment == "production" and not self.console_url:
            yield "BRIDGE_CONSOLE_URL is missing: the provider must know where to send people back to."

    @property
    def proxy(self) -> str | None:
        return str(self.console_proxy) if self.console_proxy else None

    @property
    def console_origin(self) -> str:
        """Return the console's address as people type it."""
        return self.console_url or f"http://127.0.0.1:{self.console_port}"

    @property
    def console_may_be_open(self) -> bool:
        """Whether the console asks nobody to sign in as long as no way to do so is set up: a trial on one machine."""
        return self.environment == "sandbox" and self.console_host in HERE

    def _is_loopback(self, name: str, *, with_path: bool = False) -> bool:
        found = (_LOOPBACK.match if with_path else _LOOPBACK.fullmatch)(getattr(self, name))
        return self.environment != "production" and found is not None

    def missing(self) -> Iterator[str]:
        """Yield what a connection to both systems needs and is not there, one sentence each."""
        needed = ["netsuite_account", "netsuite_consumer_key", "netsuite_consumer_secret"]
        needed += ["netsuite_token_id", "netsuite_token_secret", "salesforce_org_id", "salesforce_client_id"]
        if not self.salesforce_url:
            needed.append("salesforce_domain")
        if self.salesforce_jwt_key:
            needed.append("salesforce_username")
        for name in needed:
            if not _text(getattr(self, name)):
                yield f"{variable(name)} is missing."
        if not (_text(self.salesforce_jwt_key) or _text(self.salesforce_client_secret)):
            yield "BRIDGE_SALESFORCE_JWT_KEY or BRIDGE_SALESFORCE_CLIENT_SECRET is missing."
        if not self.signing_keys:
            yield "BRIDGE_SIGNING_KEYS is missing: without a key no callout from Salesforce is believed."

    def _crossed(self) -> Iterator[str]:
        """Yield where one side is for trying out and the other is not, as far as names can tell."""
        account, domain = self.netsuite_account or "", self.salesforce_domain or ""
        is_trial = bool(re.search(r"[_-](?:SB|RP)\d*$", account, re.IGNORECASE))
        if self.environment == "production":
            if is_trial:
                yield f"BRIDGE_ENVIRONMENT is production, but the NetSuite account {account} is for trying out."
            if domain == "test" or ".sandbox." in domain:
                yield f"BRIDGE_ENVIRONMENT is production, but the Salesforce domain {domain} is of a sandbox."
        elif account.isdigit() and not (self.netsuite_url and _LOOPBACK.fullmatch(self.netsuite_url)):
            yield (
                f"BRIDGE_ENVIRONMENT is {self.environment}, but NetSuite account {account} is a production account: "
                "name the sandbox's (such as 1234567_SB1), or set production."
            )

    def _unsafe(self) -> Iterator[str]:
        if self.failpoint:
            yield "BRIDGE_FAILPOINT is set; production does not fail on request."
        if not _text(self.audit_key):
            yield "BRIDGE_AUDIT_KEY is missing: without it the audit trail can be forged."
        for kid, key in self.signing_keys.items():
            if key.secret is not None and len(key.secret.get_secret_value()) < SHORTEST_SECRET:
                yield f"BRIDGE_SIGNING_KEYS: the secret of {kid} has fewer than {SHORTEST_SECRET} characters."


def _text(value: str | SecretStr | None) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else value or ""


class NotConfigured(Exception):
    """The settings cannot work. *problems* are all the reasons, one plain sentence each; an operator acts on them."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def variable(name: str) -> str:
    """Return the environment variable of a setting."""
    return PREFIX + name.upper()


def load(*, connecting: bool = False, **given: Any) -> tuple[Settings, Site]:
    """Read the settings and the site's choices. *given* values win over the environment (a command's options).

    With *connecting* what both systems need must be there, whatever the environment is called.

    Raises:
        NotConfigured: with every problem of both, so that one start finds them all. An operator must act.
    """
    settings, problems = _read(given)
    problems += misspelt(os.environ)
    if connecting:
        named = tuple(sentence.split(maxsplit=1)[0].rstrip(":") for sentence in problems)
        problems += [sentence for sentence in settings.missing() if not (named and sentence.startswith(named))]
    # The default path may be absent; a path that somebody chose may not.
    if settings.config.exists() or "config" in settings.model_fields_set:
        site, wrong = read(settings.config)
        problems += wrong
    else:
        site = Site()
    if problems:
        raise NotConfigured(dict.fromkeys(problems))
    return settings, site


def secrets_folder() -> Path | None:
    """Return the folder of mounted secrets, if there is one."""
    return Path(os.environ[SECRETS_DIR]) if os.environ.get(SECRETS_DIR) else None


def _read(given: Mapping[str, Any]) -> tuple[Settings, list[str]]:
    """Return settings and what is wrong with them; a value that cannot be used is left at its default."""
    folder = secrets_folder()
    if folder and not folder.is_dir():
        return Settings(), [f"{SECRETS_DIR} is not a folder."]
    try:
        settings = Settings(_secrets_dir=folder, **given)
    except ValidationError as error:
        found = error.errors()
        wrong = {_field(problem) for problem in found}
        # Once more with the defaults in their place, so that the rest is checked in the same start.
        rest = Settings(_secrets_dir=folder, **{**given, **{name: _default(name) for name in wrong}})
        named = tuple(variable(name) for name in wrong)
        others = [sentence for sentence in rest.problems() if not sentence.startswith(named)]
        return rest, [*map(_sentence, found), *others]
    return settings, list(settings.problems())


def _field(problem: ErrorDetails) -> str:
    return str(problem["loc"][0]).lower().removeprefix(PREFIX.lower())  # an alias is the variable itself


def _default(name: str) -> Any:
    return Settings.model_fields[name].get_default(call_default_factory=True)


def _sentence(problem: ErrorDetails) -> str:
    """Say in one plain sentence what is wrong with which variable; never repeat the value, it may be a secret."""
    where = ".".join((variable(_field(problem)), *map(str, problem["loc"][1:])))
    match problem["type"]:
        case "value_error":
            return f"{where}: {problem['ctx']['error']}."
        case "string_pattern_mismatch":
            return f"{where} does not have the right form; it should look like {EXAMPLES[_field(problem)]}."
    return f"{where}: {problem['msg'][0].lower()}{problem['msg'][1:]}."


def misspelt(environment: Iterable[str]) -> list[str]:
    """Name the variables that are nearly one of ours. Others are left alone: platforms add some of their own."""
    ours = {*map(variable, Settings.model_fields), SECRETS_DIR}
    found = []
    for name in sorted(environment):
        if name.startswith(PREFIX) and name not in ours:
            near = difflib.get_close_matches(name, ours, n=1, cutoff=0.9)
            found += [f"{name} is not a setting; did you mean {near[0]}?"] if near else []
    return found
