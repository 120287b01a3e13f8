"""What is said between the console and an OpenID Connect provider: who it is, where to go, who came back.

Apart from ``oidc``, whose libraries take memory and time at the start that an instance without a provider keeps.

Must not know: Flask, sessions, HTTP.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


class NotSignedIn(Exception):
    """The provider did not say who it is, or what it said cannot be believed. The sentence is for the person."""


@dataclass(frozen=True, slots=True)
class Provider:
    """How to reach the provider, and which role its people have.

    *people* gives roles by e-mail address or user name, *groups* by the values of the claim *claim*.
    """

    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    redirect_uri: str
    people: Mapping[str, str] = field(default_factory=dict)
    claim: str = "groups"
    groups: Mapping[str, str] = field(default_factory=dict)
    asks_again: bool = False  # the site knows that it asks for the password when told to, though it does not say so
    allow_loopback: bool = False


@dataclass(frozen=True, slots=True)
class Leaving:
    """Where to send the browser, and what must be remembered until it comes back."""

    url: str
    state: str
    nonce: str
    verifier: str
    since: float | None = None  # the provider must have asked for the password after this moment


@dataclass(frozen=True, slots=True)
class Identified:
    """Who the provider says it is, and their role here.

    *subject* is what it calls them for ever; *asked_at* when it asked for the password, None where it does not say.
    """

    subject: str
    name: str
    role: str
    asked_at: float | None = None
