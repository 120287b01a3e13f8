"""Where credentials may be sent: an organisation's own host and an account's own host, whatever an answer says."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.errors import Misconfigured
from bridge.netsuite.soap import HOST
from bridge.salesforce.auth import login_url

TAILS = (".my.salesforce.com", ".suitetalk.api.netsuite.com")
GLUE = st.sampled_from(
    ["", "/", "\\", "@", "#", "?", ":", ":443", ".", "..", "%2e", "%00", "\n", "\t", " ", "//", "169.254.169.254",
     "[::1]", "evil.example", "acme", "ACME", "аcme", "acme。my", *TAILS, "https://", "http://", "user:pass@"]
)  # fmt: skip
URLS = st.lists(GLUE | st.text(max_size=4), max_size=6).map(lambda parts: "https://" + "".join(parts))
many = settings(max_examples=400, deadline=None, database=None)


@many
@given(url=URLS)
def test_a_login_goes_to_salesforce_or_nowhere(url: str) -> None:
    try:
        found = login_url(url, allow_loopback=False)
    except Misconfigured:
        return

    parts = urlsplit(found)
    assert parts.scheme == "https"
    assert parts.hostname == parts.netloc
    assert parts.netloc in ("login.salesforce.com", "test.salesforce.com") or parts.netloc.endswith(TAILS[0])
    assert (parts.path, parts.query, parts.fragment) == ("", "", "")


@many
@given(url=URLS)
def test_a_token_passport_goes_to_netsuite_or_nowhere(url: str) -> None:
    if HOST.fullmatch(url):
        parts = urlsplit(url)
        assert parts.netloc.endswith(TAILS[1])
        assert parts.hostname == parts.netloc
        assert (parts.path, parts.query, parts.fragment) == ("", "", "")


@pytest.mark.parametrize(
    "name",
    ["169.254.169.254", "evil.com/{}", "{}.evil.com", "acmé{}", "acme{}:8443", "user@acme{}", "ACME{}", "acme{}.",
     "acme{}\n", "acme{}/path", "acme{}?x", "evil.com#{}"],
)  # fmt: skip
def test_what_only_looks_like_a_host_of_theirs_is_refused(name: str) -> None:
    with pytest.raises(Misconfigured):
        login_url("https://" + name.format(TAILS[0]), allow_loopback=False)

    assert HOST.fullmatch("https://" + name.format(TAILS[1])) is None
