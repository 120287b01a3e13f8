"""A callout counts only with exactly the bytes, the key and the time it was signed with."""

import base64
import hmac
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridge.settings import SigningKey
from bridge.web.signature import Unsigned, check_claims, verify

Sign = Callable[..., str]
Keys = dict[str, SigningKey]
ORG = "00D000000000001EAA"
reuse = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


@pytest.mark.parametrize("form", ["hex", "HEX", "base64"])
def test_what_salesforce_signed_is_believed(sign: Sign, keys: Keys, noon: datetime, form: str) -> None:
    assert verify(sign(b"body", "new", form), b"body", keys, noon) == "new"


def test_two_keys_count_while_one_replaces_the_other(sign: Sign, keys: Keys, noon: datetime) -> None:
    assert verify(sign(b"body", "old"), b"body", keys, noon) == "old"
    assert verify(sign(b"body", "new"), b"body", keys, noon) == "new"


def test_a_certificate_counts_as_well(sign: Sign, keys: Keys, noon: datetime) -> None:
    assert verify(sign(b"body", "cert"), b"body", keys, noon) == "cert"


@pytest.mark.parametrize("kid", ["expired", "future"])
def test_a_key_counts_in_its_time_only(sign: Sign, keys: Keys, noon: datetime, kid: str) -> None:
    with pytest.raises(Unsigned, match="not valid at this time"):
        verify(sign(b"body", kid), b"body", keys, noon)


@reuse
@given(
    body=st.binary(max_size=200),
    place=st.integers(0, 10_000),
    bit=st.integers(0, 7),
    kid=st.sampled_from(["new", "cert"]),
)
def test_no_bit_of_the_body_can_change(
    sign: Sign, keys: Keys, noon: datetime, body: bytes, place: int, bit: int, kid: str
) -> None:
    header = sign(body, kid)
    changed = bytearray(body or b"\0")
    changed[place % len(changed)] ^= 1 << bit

    with pytest.raises(Unsigned):
        verify(header, bytes(changed), keys, noon)


@reuse
@given(place=st.integers(0, 10_000), sign_=st.characters(codec="latin-1"), kid=st.sampled_from(["new", "cert"]))
def test_no_character_of_the_header_can_change(
    sign: Sign, keys: Keys, noon: datetime, place: int, sign_: str, kid: str
) -> None:
    header = sign(b"body", kid)
    at = place % len(header)
    changed = header[:at] + sign_ + header[at + 1 :]
    if changed == header:
        return

    with pytest.raises(Unsigned):
        verify(changed, b"body", keys, noon)


@reuse
@given(
    header=st.none() | st.text(max_size=300) | st.from_regex(r"k=\w{1,50},[vs]1=[A-Za-z0-9+/=]{0,400}", fullmatch=True)
)
def test_any_other_header_is_refused_and_nothing_else_happens(keys: Keys, noon: datetime, header: str | None) -> None:
    with pytest.raises(Unsigned):
        verify(header, b"body", keys, noon)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda header: header + " ",
        lambda header: " " + header,
        lambda header: header + "\n",
        lambda header: header.replace(",", ", "),
        lambda header: header.replace("v1", "V1"),
        lambda header: header.replace("k=new", "k=NEW"),
        lambda header: header.replace("k=new", "k=new.x"),
        lambda header: header.replace("k=new,", ""),
        lambda header: ",".join(reversed(header.split(","))),
        lambda header: f"{header},{header.split(',')[1]}",
        lambda header: f"{header},{header}",
        lambda header: header[:-1],
        lambda header: header.split("v1=")[0] + "v1=",
    ],
)
def test_the_grammar_is_exact(sign: Sign, keys: Keys, noon: datetime, spoil: Callable[[str], str]) -> None:
    with pytest.raises(Unsigned):
        verify(spoil(sign(b"body")), b"body", keys, noon)


def test_a_key_under_another_name_is_not_the_key(sign: Sign, keys: Keys, noon: datetime) -> None:
    with pytest.raises(Unsigned, match="not what key old signed"):
        verify(sign(b"body", "new").replace("k=new", "k=old"), b"body", keys, noon)


def test_a_certificate_is_never_used_as_the_secret_of_an_hmac(keys: Keys, noon: datetime) -> None:
    """The classic trick: the public certificate as the secret, with the other algorithm named in the message."""
    pem = keys["cert"].certificate
    assert pem is not None
    forged = {"cert": SigningKey.model_validate({"secret": pem})}
    mac = "k=cert,v1=" + hmac.digest(pem.encode(), b"body", "sha256").hex()
    assert verify(mac, b"body", forged, noon) == "cert"

    with pytest.raises(Unsigned, match="not what key cert signed"):
        verify(mac, b"body", keys, noon)


def test_an_hmac_key_does_not_check_certificates(sign: Sign, keys: Keys, noon: datetime) -> None:
    with pytest.raises(Unsigned, match="not what key new signed"):
        verify(sign(b"body", "cert").replace("k=cert", "k=new"), b"body", keys, noon)


def test_another_padding_of_the_same_key_is_refused(private_key: rsa.RSAPrivateKey, keys: Keys, noon: datetime) -> None:
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    header = "k=cert,s1=" + base64.b64encode(private_key.sign(b"body", pss, hashes.SHA256())).decode()

    with pytest.raises(Unsigned):
        verify(header, b"body", keys, noon)


def test_base64_has_one_form_only(sign: Sign, keys: Keys, noon: datetime) -> None:
    """The last letter of a MAC in base64 has spare bits; a decoder that ignores them knows several texts of it."""
    header = sign(b"body", "new", "base64")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    twin = header[:-2] + alphabet[alphabet.index(header[-2]) + 1] + "="
    assert base64.b64decode(twin.split("v1=")[1]) == base64.b64decode(header.split("v1=")[1])

    with pytest.raises(Unsigned, match="one form"):
        verify(twin, b"body", keys, noon)


@given(seconds=st.integers(-600, 600))
def test_a_callout_counts_for_five_minutes_either_way(noon: datetime, seconds: int) -> None:
    sent_at = noon - timedelta(seconds=seconds)

    if abs(seconds) <= 300:
        check_claims(sent_at=sent_at, org=ORG, expected_org=ORG, now=noon)
    else:
        with pytest.raises(Unsigned, match="sent"):
            check_claims(sent_at=sent_at, org=ORG, expected_org=ORG, now=noon)


def test_another_organisation_is_refused(noon: datetime) -> None:
    with pytest.raises(Unsigned, match="another organisation"):
        check_claims(sent_at=noon, org="00D000000000002EAA", expected_org=ORG, now=noon)


def test_unknown_keys_leave_nothing_behind(keys: Keys, noon: datetime) -> None:
    before = dict(keys)

    for number in range(10_000):
        with pytest.raises(Unsigned, match="unknown key"):
            verify(f"k=x{number},v1={'0' * 64}", b"", keys, noon)

    assert keys == before
